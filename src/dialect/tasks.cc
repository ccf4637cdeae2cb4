#include "dialect/tasks.h"

#include <array>

#include "dialect/cohere/cohere.h"
#include "dialect/openai_chat/openai_chat.h"
#include "dialect/openai_embeddings/openai_embeddings.h"
#include "dialect/openai_small/openai_small.h"
#include "dialect/rerank/rerank.h"

namespace entrepot::dialect {
namespace {

/// OpenAI's errors are the same wherever they come from.
const Dialect& openai() { return openai_chat::openai_chat(); }

}  // namespace

const Dialect& openai_embeddings_dialect() {
    static const Dialect kEmbeddings{
        .name = openai_embeddings::kName,
        .tasks = canon::task_bit(canon::Task::kEmbed),
        .decode_request = openai_embeddings::decode_request,
        .encode_request = openai_embeddings::encode_request,
        .passes_reply = openai_embeddings::passes_reply,
        .usage_of_tail = openai_embeddings::usage_of_tail,
        .reply_decoder = [](ReplyForm) { return openai_embeddings::reply_decoder(openai()); },
        .reply_encoder =
            [](ReplyForm, const ReplyContext& context) {
                return openai_embeddings::reply_encoder(openai(), context);
            },
        .decode_failure = openai().decode_failure,
        .encode_failure = openai().encode_failure,
    };
    return kEmbeddings;
}

namespace {

using openai_small::Endpoint;

template <Endpoint endpoint>
const Dialect& small() {
    constexpr bool kTakesForms = endpoint == Endpoint::kImageEdits ||
        endpoint == Endpoint::kTranscriptions || endpoint == Endpoint::kTranslations;
    constexpr bool kMayAnswerOther = endpoint == Endpoint::kSpeech ||
        endpoint == Endpoint::kTranscriptions || endpoint == Endpoint::kTranslations;
    constexpr bool kMakesImages =
        endpoint == Endpoint::kImages || endpoint == Endpoint::kImageEdits;
    static const Dialect kSmall{
        .name = openai_small::name_of(endpoint),
        .tasks = canon::task_bit(openai_small::task_of(endpoint)),
        .stream_content_type = "text/event-stream",
        .reads_reply_headers = true,
        .asks_stream_usage = endpoint == Endpoint::kCompletions,
        .reads_raw_body = kTakesForms,
        .passes_reply_type = kMayAnswerOther,
        .reply_id_prefix = endpoint == Endpoint::kCompletions ? "cmpl-" : "",
        .decode_request =
            [](const json::Document& body, const RequestContext& context) {
                return openai_small::decode_request(endpoint, body, context);
            },
        .encode_request =
            [](const canon::Request& request, const EncodeTarget& target) {
                return openai_small::encode_request(endpoint, request, target);
            },
        .rename_model = kTakesForms ? openai_small::rename_model : nullptr,
        .usage_of_tail = kMakesImages ? openai_small::usage_of_images_tail : nullptr,
        .reply_decoder =
            [](ReplyForm form) { return openai_small::reply_decoder(endpoint, form, openai()); },
        .reply_encoder =
            [](ReplyForm form, const ReplyContext& context) {
                return openai_small::reply_encoder(endpoint, form, context, openai());
            },
        .decode_failure = openai().decode_failure,
        .encode_failure = openai().encode_failure,
    };
    return kSmall;
}

template <bool is_v2>
const Dialect& make_rerank() {
    static constexpr std::string_view kName = is_v2 ? rerank::kV2Name : rerank::kName;
    static const Dialect kRerank{
        .name = kName,
        .tasks = canon::task_bit(canon::Task::kRerank),
        .decode_request =
            [](const json::Document& body, const RequestContext&) {
                return rerank::decode_request(body, kName);
            },
        .encode_request =
            [](const canon::Request& request, const EncodeTarget& target) {
                return rerank::encode_request(request, target, kName);
            },
        .reply_decoder = [](ReplyForm) { return rerank::reply_decoder(kName, openai()); },
        .reply_encoder =
            [](ReplyForm, const ReplyContext& context) {
                return rerank::reply_encoder(kName, context, cohere::dialect());
            },
        .decode_failure = openai().decode_failure,
        .encode_failure = cohere::dialect().encode_failure,
    };
    return kRerank;
}

}  // namespace

std::span<const Dialect* const> openai_small_dialects() {
    static const std::array kAll{&small<Endpoint::kCompletions>(), &small<Endpoint::kModerations>(),
        &small<Endpoint::kImages>(), &small<Endpoint::kImageEdits>(), &small<Endpoint::kSpeech>(),
        &small<Endpoint::kTranscriptions>(), &small<Endpoint::kTranslations>()};
    return kAll;
}

const Dialect& rerank_dialect() { return make_rerank<false>(); }
const Dialect& rerank_v2_dialect() { return make_rerank<true>(); }

}  // namespace entrepot::dialect
