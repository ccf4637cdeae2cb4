#pragma once

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"

namespace entrepot::dialect::anthropic_messages {

/// The folder's README says what is carried, emulated, named and refused.
/// Errors: kUnsupported with the field.
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target);
/// The same for Google's endpoint: the path names the model, the body the version.
[[nodiscard]] Result<EncodedRequest> encode_vertex_request(
    const canon::Request& request, const EncodeTarget& target);

}  // namespace entrepot::dialect::anthropic_messages
