#pragma once

#include <string_view>

#include "canon/request.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {

inline constexpr std::string_view kName = "openai-chat";
inline constexpr std::string_view kAzureName = "azure-openai";

/// Whether what `origin` wrote can go back into this wire format as it is.
[[nodiscard]] inline bool is_ours(std::string_view origin) {
    return origin == kName || origin == kAzureName;
}

/// A chat request to canon; see Dialect::decode_request. Fields this code does not know ride along
/// as extras. The old `functions` and `function_call` become tools and calls with ids of our own.
[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context);

/// Canon to a chat request; see Dialect::encode_request.
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target);

}  // namespace entrepot::dialect::openai_chat
