#pragma once

// What the files of Google's embeddings and token counts share.

#include <string>
#include <string_view>

#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {

[[nodiscard]] Result<canon::Request> decode_embed(
    const json::Document& body, const RequestContext& context);
[[nodiscard]] Result<canon::Request> decode_batch(
    const json::Document& body, const RequestContext& context);
[[nodiscard]] Result<canon::Request> decode_predict(
    const json::Document& body, const RequestContext& context);
[[nodiscard]] Result<EncodedRequest> encode_embed(
    const canon::Request& request, const EncodeTarget& target);
[[nodiscard]] Result<EncodedRequest> encode_batch(
    const canon::Request& request, const EncodeTarget& target);
[[nodiscard]] Result<EncodedRequest> encode_predict(
    const canon::Request& request, const EncodeTarget& target);

/// `models/{id}`, unless the id is a full name already.
[[nodiscard]] std::string embed_model_name(std::string_view model_id);
/// Dialect::rename_model: bodies repeat the name of the path's model.
[[nodiscard]] Result<std::string> rename_in_body(
    std::string_view body, std::string_view content_type, std::string_view model);

}  // namespace entrepot::dialect::gemini
