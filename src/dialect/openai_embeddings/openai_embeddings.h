#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dialect/dialect.h"

namespace entrepot::dialect::openai_embeddings {

inline constexpr std::string_view kName = "openai-embeddings";

/// OpenAI's embeddings, also Azure's and those of the servers that copy it. Its errors are those
/// of chat completions, which who puts the dialect together hands in (`errors`).
/// `canon::Request::family` says in which form the client wants its vectors: `float`, `base64`.
[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context);
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target);
[[nodiscard]] std::unique_ptr<ReplyDecoder> reply_decoder(const Dialect& errors);
[[nodiscard]] std::unique_ptr<ReplyEncoder> reply_encoder(
    const Dialect& errors, const ReplyContext& context);
/// The usage behind the vectors, which is the last that a reply says.
[[nodiscard]] std::optional<canon::Usage> usage_of_tail(std::string_view tail);
/// Whether the vectors of a reply are numbers where the client wants numbers, and texts where it
/// wants those: servers without base64 answer numbers all the same.
[[nodiscard]] bool passes_reply(std::string_view body, std::string_view family);

}  // namespace entrepot::dialect::openai_embeddings
