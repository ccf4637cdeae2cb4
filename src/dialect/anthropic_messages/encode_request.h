#pragma once

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"

namespace entrepot::dialect::anthropic_messages {

/// The folder's README says what is carried, emulated, named and refused.
/// Errors: kUnsupported with the field.
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target);

}  // namespace entrepot::dialect::anthropic_messages
