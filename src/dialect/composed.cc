#include "dialect/composed.h"

#include <array>

#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/cohere/embed.h"
#include "dialect/openai_chat/openai_chat.h"

namespace entrepot::dialect {
namespace {

const bedrock_invoke::Delegates& families() {
    static const bedrock_invoke::Delegates kDelegates{&anthropic_messages::dialect(),
        &bedrock_converse::kDialect, &openai_chat::openai_chat(), &cohere::embed()};
    return kDelegates;
}

Result<canon::Request> decode_invoke(const json::Document& body, const RequestContext& context) {
    return bedrock_invoke::decode_request(families(), body, context);
}

Result<EncodedRequest> encode_invoke(const canon::Request& request, const EncodeTarget& target) {
    return bedrock_invoke::encode_request(families(), request, target);
}

std::unique_ptr<ReplyDecoder> invoke_decoder(ReplyForm form) {
    return bedrock_invoke::reply_decoder(families(), form);
}

std::unique_ptr<ReplyEncoder> invoke_encoder(ReplyForm form, const ReplyContext& context) {
    return bedrock_invoke::reply_encoder(families(), form, context);
}

// Of the operation's own: what a model is told stands in the body.
constexpr std::array<OwnHeader, 6> kInvokeHeaders{OwnHeader{"x-amzn-bedrock-accept", ""},
    OwnHeader{"x-amzn-bedrock-trace", ""}, OwnHeader{"x-amzn-bedrock-guardrailidentifier", ""},
    OwnHeader{"x-amzn-bedrock-guardrailversion", ""},
    OwnHeader{"x-amzn-bedrock-performanceconfig-latency", ""},
    OwnHeader{"x-amzn-bedrock-service-tier", ""}};

}  // namespace

const Dialect& invoke_dialect() {
    static const Dialect kInvoke{
        .name = bedrock_invoke::kName,
        .tasks = canon::task_bit(canon::Task::kConverse) | canon::task_bit(canon::Task::kEmbed),
        .stream_content_type = "application/vnd.amazon.eventstream",
        .has_model_in_path = true,
        .model_field = "",
        .own_headers = kInvokeHeaders,
        .reply_header_prefix = "x-amzn-bedrock-",
        .request_id_header = bedrock_converse::kDialect.request_id_header,
        .reads_reply_headers = true,
        .reply_id_prefix = "msg_bdrk_",
        .decode_request = decode_invoke,
        .encode_request = encode_invoke,
        .echo_of =
            [](const canon::Request& request) {
                return bedrock_invoke::echo_of(families(), request);
            },
        .takes_family = bedrock_invoke::takes_family,
        .reply_decoder = invoke_decoder,
        .reply_encoder = invoke_encoder,
        .decode_failure = bedrock_converse::kDialect.decode_failure,
        .encode_failure = bedrock_converse::kDialect.encode_failure,
        .adopt_failure = bedrock_converse::kDialect.adopt_failure,
        .failure_headers = bedrock_converse::kDialect.failure_headers,
    };
    return kInvoke;
}

}  // namespace entrepot::dialect
