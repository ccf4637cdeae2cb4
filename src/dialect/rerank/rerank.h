#pragma once

#include <memory>
#include <string_view>

#include "dialect/dialect.h"

// Documents ranked by what they say to a query: `rerank`, as Cohere's first version has it and
// Jina, vLLM, llama.cpp and Voyage copy it, and `rerank-v2`, Cohere's second.
namespace entrepot::dialect::rerank {

inline constexpr std::string_view kName = "rerank";
inline constexpr std::string_view kV2Name = "rerank-v2";

/// Errors: kInvalidField, kBadRequest.
[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, std::string_view name);
/// Errors: kUnsupported, as `on_lossy` says.
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target, std::string_view name);
[[nodiscard]] std::unique_ptr<ReplyDecoder> reply_decoder(
    std::string_view name, const Dialect& errors);
/// `errors` writes those of the client's side: Cohere's.
[[nodiscard]] std::unique_ptr<ReplyEncoder> reply_encoder(
    std::string_view name, const ReplyContext& context, const Dialect& errors);

}  // namespace entrepot::dialect::rerank
