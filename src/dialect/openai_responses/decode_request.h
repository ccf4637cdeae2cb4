#pragma once

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {

/// A request of a client to canon; see Dialect::decode_request. Fields this code does not know ride
/// along as extras, stored state too.
[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context);

}  // namespace entrepot::dialect::openai_responses
