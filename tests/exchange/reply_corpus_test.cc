#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "corpus.h"
#include "dialect/openai_chat/native.h"
#include "dialect/registry.h"

namespace entrepot::exchange {
namespace {

using canon::Meter;
using dialect::ReplyForm;

/// The files whose replies are chat completions, and the dialect that reads each.
struct ChatFile {
    const char* name;
    const char* dialect;
};
constexpr ChatFile kChatFiles[] = {{"openai-chat", "openai-chat"},
    {"openai-compatible", "openai-chat"}, {"azure-openai", "azure-openai"}};

std::vector<Exchange> chat_exchanges(const ChatFile& file) {
    return read_corpus(
        file.name, [](std::string_view operation) { return operation == "chat.completions"; });
}

ReplyForm form_of(const Exchange& exchange) {
    return exchange.is_stream ? ReplyForm::kStream : ReplyForm::kWhole;
}

/// The last usage object that the raw body states, found without the code under test: every JSON
/// text of the body is looked through for `usage` at its top, then for Groq's own place.
std::optional<std::string> stated_usage(const Exchange& exchange) {
    std::optional<std::string> found;
    const auto look = [&](std::string_view text) {
        const auto document = json::Document::parse(std::string(text));
        if (!document) return;
        for (const json::Value* usage :
            {&document->root()["usage"], &document->root()["x_groq"]["usage"]}) {
            if (!usage->is_object() || usage->members().empty()) continue;
            found = std::string(usage->raw());
            return;
        }
    };
    if (!exchange.is_stream) {
        look(exchange.response);
        return found;
    }
    std::size_t at = 0;
    while (at < exchange.response.size()) {
        std::size_t end = exchange.response.find_first_of("\r\n", at);
        if (end == std::string::npos) end = exchange.response.size();
        const std::string_view line = std::string_view(exchange.response).substr(at, end - at);
        if (line.starts_with("data:")) look(line.substr(5));
        at = end + 1;
    }
    return found;
}

std::int64_t number(const json::Value& value) { return value.as_int().value_or(0); }

/// What must hold between a usage object and its normal form, whoever counts what inside what.
void expect_usage(const std::string& raw, const canon::Usage& usage, const std::string& where) {
    const auto document = json::Document::parse(raw);
    ASSERT_TRUE(document) << where;
    const json::Value& stated = document->root();
    const std::int64_t prompt = number(stated["prompt_tokens"]);
    const std::int64_t completion = number(stated["completion_tokens"]);
    const std::int64_t total = number(stated["total_tokens"]);
    const json::Value& in = stated["prompt_tokens_details"];
    const json::Value& out = stated["completion_tokens_details"];
    std::int64_t cached = number(in["cached_tokens"]);
    if (!in["cached_tokens"].is_number())
        cached = std::max(
            number(stated["prompt_cache_hit_tokens"]), number(stated["cache_read_input_tokens"]));
    std::int64_t written = number(in["cache_write_tokens"]);
    if (!in["cache_write_tokens"].is_number())
        written = number(stated["cache_creation_input_tokens"]);
    EXPECT_EQ(usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead], cached) << where << raw;
    EXPECT_EQ(usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong], written) << where << raw;
    EXPECT_EQ(usage[Meter::kAudioOut], number(out["audio_tokens"])) << where << raw;
    EXPECT_GE(usage[Meter::kAudioIn] + cached, number(in["audio_tokens"])) << where << raw;
    if (cached + written > prompt) {
        // Read and written in one call: what is beside both is all that is new.
        // Grok on Azure counts its own hidden prompt as cached and not as prompt: nothing is new.
        EXPECT_EQ(
            usage[Meter::kInput], std::max<std::int64_t>(0, prompt - std::max(cached, written)))
            << where << raw;
        return;
    }
    // The total is what the supplier bills; it names every token once.
    const std::int64_t reasoning = number(out["reasoning_tokens"]);
    // Unless it leaves out thoughts, which then outnumber the whole answer.
    const std::int64_t billed = (total == 0 ? prompt + completion : total) +
        (reasoning > completion && total <= prompt + completion ? reasoning : 0);
    EXPECT_EQ(usage.prompt_tokens() + usage.answer_tokens(), billed) << where << raw;
    EXPECT_GE(usage.prompt_tokens(), prompt) << where << raw;
    EXPECT_GE(usage.answer_tokens(), completion) << where << raw;
    if (reasoning > 0) {
        EXPECT_EQ(usage[Meter::kReasoning], reasoning) << where << raw;
    }
    EXPECT_LE(usage[Meter::kReasoning], usage.answer_tokens()) << where << raw;
}

canon::Usage last_usage(const std::vector<canon::Event>& events) {
    canon::Usage usage;
    for (const canon::Event& event : events)
        if (const auto* report = std::get_if<canon::UsageReported>(&event)) usage = report->usage;
    return usage;
}

class ReplyCorpus : public testing::Test {
protected:
    void SetUp() override {
        if (corpus_folder().empty())
            GTEST_SKIP()
                << "the recorded exchanges are not beside the project; set ENTREPOT_SHARED";
    }
};

TEST_F(ReplyCorpus, EveryChatReplyIsMeteredToWhatItsBodyStates) {
    for (const ChatFile& file : kChatFiles) {
        int metered = 0;
        int silent = 0;
        for (const Exchange& exchange : chat_exchanges(file)) {
            if (exchange.status != 200) continue;
            const std::string where = fmt::format("{} {} ", file.name, exchange.id);
            const auto* dialect = dialect::find_dialect(file.dialect);
            const auto kind =
                exchange.is_stream ? dialect::BodyKind::kStream : dialect::BodyKind::kResponse;
            const auto usage = dialect::meter(*dialect, kind, exchange.response);
            ASSERT_TRUE(usage) << where << usage.error().message;
            const auto stated = stated_usage(exchange);
            if (stated) {
                expect_usage(*stated, *usage, where);
                ++metered;
            } else {
                EXPECT_TRUE(usage->is_zero()) << where;
                ++silent;
            }
        }
        std::printf("%s: %d metered, %d state no usage\n", file.name, metered, silent);
        EXPECT_GT(metered, 50);
    }
}

TEST_F(ReplyCorpus, TheNativeMeterReadsWhatTheDecoderReads) {
    int whole = 0;
    int streams = 0;
    for (const ChatFile& file : kChatFiles) {
        for (const Exchange& exchange : chat_exchanges(file)) {
            if (exchange.status != 200) continue;
            const auto* dialect = dialect::find_dialect(file.dialect);
            const auto decoder = dialect->reply_decoder(form_of(exchange));
            std::vector<canon::Event> events;
            Status status = decoder->feed(exchange.response, events);
            if (status) status = decoder->finish(events);
            if (!exchange.is_stream) {
                const auto metered = dialect::openai_chat::meter_whole(exchange.response);
                ASSERT_TRUE(metered) << exchange.id;
                EXPECT_EQ(metered->usage, last_usage(events)) << exchange.id;
                ++whole;
                continue;
            }
            dialect::openai_chat::StreamMeter meter({});
            std::vector<std::string_view> out;
            ASSERT_TRUE(meter.feed(exchange.response, out)) << exchange.id;
            const Status end = meter.finish(out);
            EXPECT_EQ(end.has_value(), status.has_value()) << exchange.id;
            EXPECT_EQ(meter.usage(), last_usage(events)) << exchange.id;
            std::string passed;
            for (const std::string_view span : out) passed += span;
            EXPECT_EQ(passed, exchange.response) << exchange.id;
            ++streams;
        }
    }
    std::printf("native meter: %d whole, %d streams\n", whole, streams);
}

/// Relays a stream cut at `cuts` through the meter that strips; the bytes the client gets.
std::string stripped(std::string_view bytes, const std::vector<std::size_t>& cuts) {
    dialect::openai_chat::StreamMeter meter({.strips_usage = true});
    std::string passed;
    std::vector<std::string_view> out;
    std::size_t from = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : bytes.size();
        out.clear();
        EXPECT_TRUE(meter.feed(bytes.substr(from, to - from), out));
        for (const std::string_view span : out) passed += span;
        from = to;
    }
    out.clear();
    (void)meter.finish(out);
    for (const std::string_view span : out) passed += span;
    return passed;
}

TEST_F(ReplyCorpus, StrippingUsageTakesNothingElse) {
    int removed = 0;
    int streams = 0;
    for (const ChatFile& file : kChatFiles) {
        for (const Exchange& exchange : chat_exchanges(file)) {
            if (exchange.status != 200 || !exchange.is_stream) continue;
            const std::string_view bytes = exchange.response;
            std::vector<std::size_t> every;
            for (std::size_t i = 1; i < bytes.size(); ++i) every.push_back(i);
            const std::string passed = stripped(bytes, {});
            ASSERT_EQ(passed, stripped(bytes, every)) << exchange.id;
            EXPECT_EQ(passed.find("\"usage\":null"), std::string::npos) << exchange.id;
            const auto* dialect = dialect::find_dialect(file.dialect);
            const auto without_usage = [&](std::string_view stream) {
                std::string out;
                const auto decoder = dialect->reply_decoder(ReplyForm::kStream);
                std::vector<canon::Event> events;
                if (decoder->feed(stream, events)) (void)decoder->finish(events);
                for (const canon::Event& event : events)
                    if (!std::holds_alternative<canon::UsageReported>(event) &&
                        !std::holds_alternative<canon::Aside>(event))
                        out += describe(event) + "\n";
                return out;
            };
            EXPECT_EQ(without_usage(bytes), without_usage(passed)) << exchange.id;
            removed += passed.size() < bytes.size() ? 1 : 0;
            ++streams;
        }
    }
    std::printf("stripping: %d of %d streams changed\n", removed, streams);
    EXPECT_GT(removed, 50);
}

/// The events as far as chat completions can say them: there a choice always has a reason, and
/// nothing tells which of the cached tokens were sound.
std::vector<canon::Event> as_chat_can_say(std::vector<canon::Event> events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    for (std::uint32_t i = 0; i < reply.choices.size(); ++i)
        if (!reply.choices[i].finished && reply.has_ended)
            events.insert(events.end() - 1, canon::Finished{i, canon::StopReason::kStop, {}, {}});
    if (reply.usage[Meter::kAudioCacheRead] > 0)
        std::erase_if(events,
            [](const canon::Event& e) { return std::holds_alternative<canon::UsageReported>(e); });
    return events;
}

/// Carries the events to both forms of chat completions and reads them back.
void expect_carried(const std::vector<canon::Event>& seen, const std::string& where) {
    const std::vector<canon::Event> events = as_chat_can_say(seen);
    const auto* chat = dialect::find_dialect("openai-chat");
    const bool has_failed = std::ranges::any_of(
        events, [](const canon::Event& e) { return std::holds_alternative<canon::Failed>(e); });
    for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
        const auto encoder = chat->reply_encoder(form, {.model = "m", .id = "x", .created_s = 1});
        std::string bytes;
        for (const canon::Event& event : events) encoder->add(event, bytes);
        const auto back = dialect::decode_all(*chat, form, bytes);
        // A background answer that is still to come, or vectors: nothing that a chat could end
        // with.
        const bool says_nothing = std::ranges::none_of(events, [](const canon::Event& e) {
            return std::holds_alternative<canon::PartStarted>(e) ||
                std::holds_alternative<canon::Finished>(e) ||
                std::holds_alternative<canon::Failed>(e);
        });
        if (says_nothing && form == ReplyForm::kStream) {
            EXPECT_FALSE(back) << where;
            continue;
        }
        ASSERT_TRUE(back) << where << back.error().message << bytes.substr(0, 400);
        // A whole body is an answer or an error; a stream can be the one and then the other.
        const bool is_error_body = has_failed && form == ReplyForm::kWhole;
        const std::string expected = is_error_body ? meaning({events.back()}) : meaning(events);
        EXPECT_EQ(meaning(*back), expected)
            << where << (form == ReplyForm::kWhole ? "whole" : "stream");
    }
}

/// What a client of Responses can be told: one answer, and why it ended as far as that is stated
/// there.
std::string meaning_of_first(const std::vector<canon::Event>& events) {
    std::vector<canon::Event> told;
    bool has_call = false;
    for (const canon::Event& event : events) {
        const auto* started = std::get_if<canon::PartStarted>(&event);
        const auto* delta = std::get_if<canon::PartDelta>(&event);
        const auto* finished = std::get_if<canon::Finished>(&event);
        const auto* aside = std::get_if<canon::Aside>(&event);
        if ((started != nullptr && started->choice != 0) ||
            (aside != nullptr && aside->choice.value_or(0) != 0) ||
            (delta != nullptr && delta->choice != 0) ||
            (finished != nullptr && finished->choice != 0))
            continue;
        has_call = has_call || (started != nullptr && started->kind == canon::PartKind::kToolCall);
        told.push_back(event);
        if (finished != nullptr) {
            canon::StopReason& reason = std::get<canon::Finished>(told.back()).reason;
            const bool is_cut = reason == canon::StopReason::kLength ||
                reason == canon::StopReason::kContextExceeded ||
                reason == canon::StopReason::kContentFilter;
            if (!is_cut)
                reason = has_call ? canon::StopReason::kToolCalls : canon::StopReason::kStop;
        } else if (auto* report = std::get_if<canon::UsageReported>(&told.back())) {
            // Sound and images are tokens among others there.
            canon::Usage& usage = report->usage;
            usage[Meter::kInput] += usage[Meter::kAudioIn] + usage[Meter::kImageIn];
            usage[Meter::kCacheRead] += usage[Meter::kAudioCacheRead];
            usage[Meter::kOutput] += usage[Meter::kAudioOut] + usage[Meter::kImageOut];
            for (const Meter meter : {Meter::kAudioIn, Meter::kImageIn, Meter::kAudioCacheRead,
                     Meter::kAudioOut, Meter::kImageOut})
                usage[meter] = 0;
        }
    }
    // Every answer there has a status, and an answer without one is complete.
    const auto is_finish = [](const canon::Event& e) {
        return std::holds_alternative<canon::Finished>(e);
    };
    if (std::ranges::none_of(told, is_finish) && !told.empty() &&
        std::holds_alternative<canon::Ended>(told.back()))
        told.insert(told.end() - 1,
            canon::Finished{
                0, has_call ? canon::StopReason::kToolCalls : canon::StopReason::kStop, "", ""});
    return meaning(told);
}

/// Carries the events to both forms of Responses and reads them back.
void expect_carried_to_responses(
    const std::vector<canon::Event>& events, const std::string& where) {
    const auto* responses = dialect::find_dialect("openai-responses");
    const bool has_failed = std::ranges::any_of(
        events, [](const canon::Event& e) { return std::holds_alternative<canon::Failed>(e); });
    for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
        const auto encoder =
            responses->reply_encoder(form, {.model = "m", .id = "resp_x", .created_s = 1});
        std::string bytes;
        for (const canon::Event& event : events) encoder->add(event, bytes);
        const auto back = dialect::decode_all(*responses, form, bytes);
        ASSERT_TRUE(back) << where << back.error().message << bytes.substr(0, 400);
        const bool is_error_body = has_failed && form == ReplyForm::kWhole;
        EXPECT_EQ(meaning_of_first(*back),
            is_error_body ? meaning({events.back()}) : meaning_of_first(events))
            << where << (form == ReplyForm::kWhole ? "whole" : "stream");
    }
}

TEST_F(ReplyCorpus, EveryReplyIsCarriedToBothOfOpenAisDialectsWholeAndStreamed) {
    struct File {
        const char* name;
        const char* dialect;
        bool (*wanted)(std::string_view operation);
    };
    const auto is_chat = [](std::string_view o) { return o == "chat.completions"; };
    const auto is_google = [](std::string_view o) { return o.ends_with("enerateContent"); };
    const File files[] = {{"openai-chat", "openai-chat", is_chat},
        {"openai-compatible", "openai-chat", is_chat}, {"azure-openai", "azure-openai", is_chat},
        {"openai-responses", "openai-responses",
            [](std::string_view o) { return o == "responses"; }},
        {"anthropic-messages", "anthropic-messages",
            [](std::string_view o) { return o == "messages"; }},
        {"bedrock-converse", "bedrock-converse",
            [](std::string_view o) { return o == "converse" || o == "converse-stream"; }},
        {"bedrock-invoke", "bedrock-invoke",
            [](std::string_view o) { return o.starts_with("invoke"); }},
        {"gemini", "gemini", is_google}, {"vertex", "vertex", is_google},
        {"cohere", "cohere", [](std::string_view o) { return o == "v2/chat"; }}};
    for (const File& file : files) {
        int carried = 0;
        int cut = 0;
        for (const Exchange& exchange : read_corpus(file.name, file.wanted)) {
            if (exchange.status != 200) continue;
            const auto* dialect = dialect::find_dialect(file.dialect);
            const auto decoder = dialect->reply_decoder(form_of(exchange));
            std::vector<canon::Event> events;
            Status status = decoder->feed(exchange.response, events);
            if (status) status = decoder->finish(events);
            if (!status) {  // recordings that stop early
                ++cut;
                continue;
            }
            const std::string where = fmt::format("{} {} ", file.name, exchange.id);
            expect_carried(events, where);
            expect_carried_to_responses(events, where);
            ++carried;
        }
        std::printf("%s: %d carried to both, %d recordings are cut\n", file.name, carried, cut);
        EXPECT_GT(carried, 50) << file.name;
        // 23 of InvokeModel's are embeddings and rerankings.
        EXPECT_LE(cut, std::string_view(file.name) == "bedrock-invoke" ? 23 : 6) << file.name;
    }
}

TEST_F(ReplyCorpus, EveryErrorAnswerKeepsItsMessageAndStatus) {
    int errors = 0;
    for (const ChatFile& file : kChatFiles)
        for (const Exchange& exchange : chat_exchanges(file)) {
            if (exchange.status < 400) continue;
            const auto* dialect = dialect::find_dialect(file.dialect);
            const canon::Failure failure =
                dialect->decode_failure(exchange.status, {}, exchange.response);
            EXPECT_EQ(failure.status, exchange.status) << exchange.id;
            const std::string start = failure.message.substr(0, 12);
            EXPECT_GE(start.size(), 4u) << exchange.id << exchange.response;
            EXPECT_NE(exchange.response.find(start.substr(0, start.find('"'))), std::string::npos)
                << exchange.id << failure.message;
            const std::string body = dialect->encode_failure(failure);
            const canon::Failure back = dialect->decode_failure(exchange.status, {}, body);
            EXPECT_EQ(back.message, failure.message) << exchange.id;
            EXPECT_EQ(back.kind, failure.kind) << exchange.id << body;
            ++errors;
        }
    std::printf("errors: %d\n", errors);
    EXPECT_GT(errors, 40);
}

}  // namespace
}  // namespace entrepot::exchange
