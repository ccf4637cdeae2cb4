#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dialect/dialect.h"
#include "json/value.h"

// Amazon Titan's embeddings: one text, one vector.
namespace entrepot::dialect::bedrock_invoke {

[[nodiscard]] Result<canon::Request> decode_titan_embed(
    const json::Value& body, const RequestContext& context);
/// Errors: kUnsupported, also for more than one text.
[[nodiscard]] Result<EncodedRequest> encode_titan_embed(
    const canon::Request& request, const EncodeTarget& target);
/// Appends the vectors and the count of a whole reply. Errors: kUpstreamProtocol.
[[nodiscard]] Status read_titan_embed(const json::Value& reply, std::vector<canon::Event>& events);
[[nodiscard]] std::unique_ptr<ReplyEncoder> titan_embed_encoder(const ReplyContext& context);

}  // namespace entrepot::dialect::bedrock_invoke
