#pragma once

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {

/// Turn 0 is `system`; message i of `messages` is turn i + 1.
/// Errors: kBadRequest, kInvalidField with the field.
[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context);
/// The same of a client of Google's endpoint.
[[nodiscard]] Result<canon::Request> decode_vertex_request(
    const json::Document& body, const RequestContext& context);

}  // namespace entrepot::dialect::anthropic_messages
