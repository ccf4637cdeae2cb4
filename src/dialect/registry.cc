#include "dialect/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/check.h"
#include "base/text.h"
#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/cohere/cohere.h"
#include "dialect/cohere/embed.h"
#include "dialect/composed.h"
#include "dialect/count_tokens.h"
#include "dialect/gemini/embed.h"
#include "dialect/gemini/gemini.h"
#include "dialect/oci/oci.h"
#include "dialect/openai_chat/openai_chat.h"
#include "dialect/openai_responses/openai_responses.h"
#include "dialect/tasks.h"

namespace entrepot::dialect {
namespace {

constexpr std::array<std::string_view, 34> kNames{"openai-chat", "openai-responses",
    "openai-embeddings", "azure-openai", "anthropic-messages", "bedrock-converse", "bedrock-invoke",
    "gemini", "vertex", "vertex-anthropic", "cohere", "oci", "oci-cohere", "oci-cohere-v2",
    "ollama",
    // What is asked besides conversations, where it is not in a dialect's own path.
    "openai-input-tokens", "anthropic-count-tokens", "bedrock-count-tokens", "gemini-count-tokens",
    "vertex-count-tokens", "gemini-embed", "gemini-embed-batch", "vertex-predict", "cohere-embed",
    "vertex-anthropic-count-tokens", "openai-completions", "openai-moderations", "openai-images",
    "openai-image-edits", "openai-speech", "openai-transcriptions", "openai-translations", "rerank",
    "rerank-v2"};

std::vector<std::string> built_in_names() {
    std::vector<std::string> names;
    for (const std::string_view name : kNames)
        if (find_dialect(name) != nullptr) names.emplace_back(name);
    return names;
}

/// Whether the supplier's own error is among the events.
bool has_failure(const std::vector<canon::Event>& events) {
    return std::ranges::any_of(events,
        [](const canon::Event& event) { return std::holds_alternative<canon::Failed>(event); });
}

std::unexpected<Error> upstream_only(const Dialect& dialect, std::string_view why) {
    return fail_field(ErrorCode::kUnsupported, "dialect",
        fmt::format("'{}' is spoken to suppliers alone: {}", dialect.name, why));
}

Result<Translated> translate_request(const Dialect& from, const Dialect& to, std::string_view bytes,
    const TranslateOptions& options) {
    if (from.decode_request == nullptr)
        return upstream_only(from, "its requests are written, not read");
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(bytes)));
    RequestContext context;
    if (from.has_model_in_path) context.model = options.model_id;
    context.raw_body = bytes;
    ENTREPOT_TRY(const canon::Request request, from.decode_request(document, context));
    if ((to.tasks & canon::task_bit(request.task)) == 0)
        return fail_field(ErrorCode::kUnsupported, "to",
            fmt::format("nobody can {} in {}", canon::task_words(request.task), to.name));
    EncodeTarget target;
    target.model_id = options.model_id.empty() ? request.model : options.model_id;
    target.on_lossy = options.on_lossy;
    ENTREPOT_TRY(EncodedRequest encoded, to.encode_request(request, target));
    return Translated{std::move(encoded.body), std::move(encoded.dropped)};
}

Result<Translated> translate_reply(
    const Dialect& from, const Dialect& to, ReplyForm form, std::string_view bytes) {
    if (to.reply_encoder == nullptr) return upstream_only(to, "its replies are read, not written");
    const auto decoder = from.reply_decoder(form);
    const auto encoder = to.reply_encoder(form, ReplyContext{});
    std::vector<canon::Event> events;
    Status status = decoder->feed(bytes, events);
    if (status) status = decoder->finish(events);
    // A body that is no reply may still be an error answer of the supplier.
    if (!status && form == ReplyForm::kWhole && !has_failure(events)) {
        if (auto document = json::Document::parse(std::string(bytes));
            document && !document->root()["error"].is_null()) {
            events = {canon::Failed{from.decode_failure(502, {}, bytes)}};
            status = {};
        }
    }
    ENTREPOT_TRY_DO(status);
    Translated translated;
    for (const canon::Event& event : events) encoder->add(event, translated.bytes);
    translated.dropped = encoder->dropped();
    return translated;
}

}  // namespace

const Dialect* find_dialect(std::string_view name) {
    static const std::vector<const Dialect*> built_in = [] {
        std::vector<const Dialect*> all{&openai_chat::openai_chat(), &openai_chat::azure_openai(),
            &openai_responses::dialect(), &anthropic_messages::dialect(),
            &anthropic_messages::vertex(), &bedrock_converse::kDialect, &invoke_dialect(),
            &gemini::gemini(), &gemini::vertex(), &cohere::dialect(), &oci::generic(),
            &oci::cohere(), &oci::cohere_v2(), &openai_embeddings_dialect(), &gemini::embed(),
            &gemini::embed_batch(), &gemini::embed_predict(), &cohere::embed(), &rerank_dialect(),
            &rerank_v2_dialect()};
        std::ranges::copy(count_tokens_dialects(), std::back_inserter(all));
        std::ranges::copy(openai_small_dialects(), std::back_inserter(all));
        return all;
    }();
    const auto found = std::ranges::find(built_in, name, &Dialect::name);
    return found == built_in.end() ? nullptr : *found;
}

std::span<const std::string_view> dialect_names() { return kNames; }

std::size_t index_of(const Dialect& dialect) {
    const auto found = std::ranges::find(kNames, dialect.name);
    ENTREPOT_CHECK(found != kNames.end());
    return static_cast<std::size_t>(found - kNames.begin());
}

Result<const Dialect*> require_dialect(std::string_view name) {
    if (const Dialect* found = find_dialect(name)) return found;
    const std::vector<std::string> names = built_in_names();
    const std::string listed = fmt::format("{}", fmt::join(names, ", "));
    if (std::ranges::find(kNames, name) != kNames.end())
        return fail_field(ErrorCode::kUnsupported, "dialect",
            fmt::format("the dialect '{}' is not supported yet; these are: {}", name, listed));
    const std::vector<std::string> known(kNames.begin(), kNames.end());
    const std::string_view near = nearest(name, known);
    return fail_field(ErrorCode::kInvalidField, "dialect",
        fmt::format("there is no dialect '{}'{}; these are supported: {}", excerpt(name),
            near.empty() ? "" : fmt::format(", did you mean '{}'?", near), listed));
}

Result<BodyKind> parse_body_kind(std::string_view text) {
    if (text == "request") return BodyKind::kRequest;
    if (text == "response") return BodyKind::kResponse;
    if (text == "stream") return BodyKind::kStream;
    return fail_field(ErrorCode::kInvalidField, "kind",
        fmt::format("'kind' is '{}'; it must be request, response or stream", excerpt(text)));
}

Result<std::vector<canon::Event>> decode_all(
    const Dialect& dialect, ReplyForm form, std::string_view bytes) {
    const auto decoder = dialect.reply_decoder(form);
    std::vector<canon::Event> events;
    ENTREPOT_TRY_DO(decoder->feed(bytes, events));
    ENTREPOT_TRY_DO(decoder->finish(events));
    return events;
}

Result<Translated> translate(const Dialect& from, const Dialect& to, BodyKind kind,
    std::string_view bytes, const TranslateOptions& options) {
    if (kind == BodyKind::kRequest) return translate_request(from, to, bytes, options);
    return translate_reply(
        from, to, kind == BodyKind::kStream ? ReplyForm::kStream : ReplyForm::kWhole, bytes);
}

Result<canon::Usage> meter(const Dialect& dialect, BodyKind kind, std::string_view bytes) {
    if (kind == BodyKind::kRequest)
        return fail_field(ErrorCode::kInvalidField, "kind",
            "a request has no usage; 'kind' must be response or stream");
    const auto decoder =
        dialect.reply_decoder(kind == BodyKind::kStream ? ReplyForm::kStream : ReplyForm::kWhole);
    std::vector<canon::Event> events;
    Status status = decoder->feed(bytes, events);
    if (status) status = decoder->finish(events);
    if (!status && events.empty()) return std::unexpected(std::move(status).error());
    canon::Usage usage;
    for (const canon::Event& event : events)
        if (const auto* report = std::get_if<canon::UsageReported>(&event)) usage = report->usage;
    return usage;
}

}  // namespace entrepot::dialect
