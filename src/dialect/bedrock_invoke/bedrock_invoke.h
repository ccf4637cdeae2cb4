#pragma once

#include <memory>
#include <string_view>

#include "dialect/dialect.h"

namespace entrepot::dialect::bedrock_invoke {

inline constexpr std::string_view kName = "bedrock-invoke";

/// The dialects whose formats stand inside of the envelope. They are siblings of this folder, which
/// does not know them: who names all of them (composed.cc) hands them in.
struct Delegates {
    const Dialect* messages;  ///< anthropic-messages
    const Dialect* converse;  ///< bedrock-converse: Nova's format, and all errors
    const Dialect* chat;      ///< openai-chat
    const Dialect* embed;     ///< cohere-embed
};

/// AWS Bedrock's InvokeModel (whole) and InvokeModelWithResponseStream (frames of `chunk` events).
/// See Dialect for what each of them does. `canon::Request::origin` is the dialect of the format
/// inside where that is one of the delegates, so that it goes home and to its maker whole.
[[nodiscard]] Result<canon::Request> decode_request(
    const Delegates& delegates, const json::Document& body, const RequestContext& context);
[[nodiscard]] Result<EncodedRequest> encode_request(
    const Delegates& delegates, const canon::Request& request, const EncodeTarget& target);
/// What a reply repeats of its request; empty for most families.
[[nodiscard]] std::string echo_of(const Delegates& delegates, const canon::Request& request);
/// Whether the model's body is of that family, or the id does not say.
[[nodiscard]] bool takes_family(std::string_view model_id, std::string_view family);
[[nodiscard]] std::unique_ptr<ReplyDecoder> reply_decoder(
    const Delegates& delegates, ReplyForm form);
[[nodiscard]] std::unique_ptr<ReplyEncoder> reply_encoder(
    const Delegates& delegates, ReplyForm form, const ReplyContext& context);

}  // namespace entrepot::dialect::bedrock_invoke
