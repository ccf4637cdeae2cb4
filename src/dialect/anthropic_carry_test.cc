// What crosses between OpenAI's chat and Anthropic's messages, over the recorded exchanges:
// requests one way, judged by the rules the supplier is known to hold, and replies the other.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <set>

#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/anthropic_messages/testing.h"
#include "dialect/openai_chat/openai_chat.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect {
namespace {

using anthropic_messages::Answer;
using anthropic_messages::answers_of;
using anthropic_messages::read_corpus;
using json::Document;
using json::Value;

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

bool is_name(std::string_view name, std::size_t bytes_max) {
    return !name.empty() && name.size() <= bytes_max &&
        name.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            "0123456789_-") == std::string_view::npos;
}

// --- the supplier's rules, as far as they are known; each breach in words ---

class Rules {
public:
    explicit Rules(const Value& body) : body_(body) {}

    std::vector<std::string> breaches() {
        check(body_["max_tokens"].as_int().value_or(0) >= 1, "max_tokens");
        for (const Value& block : body_["system"].items()) check_text(block, "system");
        check_messages();
        for (const Value& tool : body_["tools"].items()) {
            check(is_name(tool["name"].string(), 128), "tool name");
            check(tool["input_schema"]["type"].string() == "object", "input_schema.type");
        }
        for (const Value& stop : body_["stop_sequences"].items()) {
            check(!is_blank(stop.string()), "blank stop");
        }
        check(!body_["tool_choice"].is_object() || !body_["tools"].items().empty() ||
                body_["tool_choice"]["type"].string() != "auto",
            "a choice without tools");
        const Value& thinking = body_["thinking"];
        if (thinking["type"].string() == "enabled") {
            const std::int64_t budget = thinking["budget_tokens"].as_int().value_or(0);
            check(budget >= 1024 && budget < *body_["max_tokens"].as_int(), "budget_tokens");
            check(body_["tool_choice"]["type"].string() != "any", "forced tool while thinking");
            check(body_["temperature"].is_null() || body_["temperature"].as_int() == 1,
                "temperature while thinking");
        }
        count_marks(body_);
        check(marks_ <= 4, "cache marks");
        return breaches_;
    }

private:
    void check(bool is_kept, std::string rule) {
        if (!is_kept) breaches_.push_back(std::move(rule));
    }

    void check_text(const Value& block, const std::string& where) {
        check(block["type"].string() == "text", where + " block type");
        check(!is_blank(block["text"].string()), where + " empty text");
    }

    void check_messages() {
        const auto messages = body_["messages"].items();
        check(!messages.empty(), "no messages");
        std::string_view last = "assistant";
        std::set<std::string_view> open;  // calls of the turn before, without their results
        for (const Value& message : messages) {
            const std::string_view role = message["role"].string();
            check(role != last, "roles alternate");
            last = role;
            check(!message["content"].items().empty(), "empty turn");
            bool is_past_results = false;
            std::set<std::string_view> calls;
            for (const Value& block : message["content"].items()) {
                const std::string_view type = block["type"].string();
                if (type == "tool_result") {
                    check(role == "user" && !is_past_results, "results stand first");
                    check(open.erase(block["tool_use_id"].string()) == 1, "result without call");
                    for (const Value& part : block["content"].items()) {
                        if (part["type"].string() == "text") check_text(part, "result");
                    }
                    continue;
                }
                is_past_results = true;
                if (type == "text") check_text(block, "message");
                if (type == "image" || type == "document") check(role == "user", "media role");
                if (type == "tool_use") {
                    check(role == "assistant", "call role");
                    check(block["input"].is_object(), "call input");
                    check(is_name(block["id"].string(), 256), "call id");
                    check(calls.insert(block["id"].string()).second, "call id twice");
                }
            }
            check(open.empty(), "call without result");
            open = calls;
        }
        check(open.empty(), "call without result");
    }

    void count_marks(const Value& value) {
        for (const Value& item : value.items()) count_marks(item);
        for (const json::Member& m : value.members()) {
            if (m.key == "cache_control") ++marks_;
            // A schema or an input may hold anything.
            if (m.key != "input_schema" && m.key != "input") count_marks(m.value);
        }
    }

    const Value& body_;
    std::vector<std::string> breaches_;
    std::size_t marks_ = 0;
};

// Every text of a conversation that is not blank, in no order: turns may be merged, and results
// move.
std::multiset<std::string> texts_of(const Value& body) {
    std::multiset<std::string> texts;
    const auto add = [&](const Value& content, const auto& self) -> void {
        if (content.is_string() && !is_blank(content.string())) {
            texts.emplace(content.string());
        }
        for (const Value& block : content.items()) {
            if (block.is_string()) self(block, self);
            if (block["type"].string() == "text") self(block["text"], self);
            if (block["type"].string() == "tool_result") self(block["content"], self);
        }
    };
    add(body["system"], add);
    for (const Value& message : body["messages"].items()) {
        add(message["content"], add);
        add(message["refusal"], add);
    }
    return texts;
}

// Histories that the client's own supplier refuses as well are not for us to mend.
bool has_broken_tool_history(const Value& body) {
    std::set<std::string_view> open;
    for (const Value& message : body["messages"].items()) {
        const std::string_view role = message["role"].string();
        if (role == "tool" && open.erase(message["tool_call_id"].string()) == 0) return true;
        if (role != "tool" && !open.empty()) return true;
        for (const Value& call : message["tool_calls"].items()) {
            if (!open.insert(call["id"].string()).second) return true;
        }
    }
    return !open.empty();
}

struct Tally {
    std::size_t carried = 0;
    std::map<std::string, std::size_t> refused;  // by field, indices taken out
    std::map<std::string, std::size_t> dropped;
    std::size_t undecoded = 0;
};

std::string without_indices(std::string_view field) {
    std::string out;
    bool is_inside = false;
    for (const char c : field) {
        if (c == ']') is_inside = false;
        if (!is_inside) out += c;
        if (c == '[') is_inside = true;
    }
    return out;
}

Tally carry_requests(const std::string& name, OnLossy on_lossy) {
    Tally tally;
    for (const Document& exchange : read_corpus(name)) {
        const Value& body = exchange.root()["request"]["body"];
        if (!body["messages"].is_array()) continue;
        const std::string id(exchange.root()["id"].string());
        const auto document = Document::parse(std::string(body.raw()));
        if (!document) continue;
        const auto request = openai_chat::openai_chat().decode_request(*document, {});
        if (!request) {
            ++tally.undecoded;
            continue;
        }
        const auto encoded = anthropic_messages::dialect().encode_request(
            *request, {.model_id = "claude-sonnet-4-5", .on_lossy = on_lossy});
        if (!encoded) {
            EXPECT_EQ(encoded.error().code, ErrorCode::kUnsupported) << id;
            EXPECT_FALSE(encoded.error().field.empty()) << id;
            ++tally.refused[without_indices(encoded.error().field)];
            continue;
        }
        ++tally.carried;
        for (const std::string& field : encoded->dropped) ++tally.dropped[without_indices(field)];
        const auto written = Document::parse(encoded->body);
        EXPECT_TRUE(written) << id;
        if (!written) continue;
        if (!has_broken_tool_history(body)) {
            EXPECT_EQ(Rules(written->root()).breaches(), std::vector<std::string>{}) << id;
        }
        if (on_lossy != OnLossy::kName) {
            EXPECT_EQ(texts_of(written->root()), texts_of(body)) << id;
        }
    }
    return tally;
}

void print(const std::string& name, const Tally& tally) {
    std::string words = fmt::format(
        "{}: {} carried, {} refused by their own dialect;", name, tally.carried, tally.undecoded);
    for (const auto& [field, count] : tally.refused) words += fmt::format(" {} {}", field, count);
    words += "; named:";
    for (const auto& [field, count] : tally.dropped) words += fmt::format(" {} {}", field, count);
    std::puts(words.c_str());
}

struct File {
    std::string name;
    std::size_t carried_min = 0;  // as it is today; fewer would be a request lost
};
void PrintTo(const File& file, std::ostream* out) { *out << file.name; }

class AnthropicCarry : public testing::TestWithParam<File> {};

TEST_P(AnthropicCarry, RequestsThatAreCarriedKeepTheSuppliersRules) {
    const File& file = GetParam();
    ENTREPOT_NEEDS_CORPUS(file.name);
    const Tally strict = carry_requests(file.name, OnLossy::kRefuse);
    const Tally usual = carry_requests(file.name, OnLossy::kMeaning);
    const Tally lax = carry_requests(file.name, OnLossy::kName);
    print(file.name, usual);
    EXPECT_TRUE(strict.dropped.empty());
    EXPECT_LE(strict.carried, usual.carried);
    EXPECT_LE(usual.carried, lax.carried);
    EXPECT_GE(usual.carried, file.carried_min);
}

INSTANTIATE_TEST_SUITE_P(Corpus, AnthropicCarry,
    testing::Values(
        File{"openai-chat", 455}, File{"openai-compatible", 195}, File{"azure-openai", 81}));

// --- replies ---

// A message as a client of chat completions comes to hold it.
struct Said {
    std::string text;
    std::vector<std::string> calls;  // id, name, arguments
    std::string finish;
    std::int64_t prompt_tokens = 0;
    std::int64_t cached_tokens = 0;
    std::int64_t completion_tokens = 0;
    friend bool operator==(const Said&, const Said&) = default;
};

void read_usage(const Value& usage, Said& said) {
    if (!usage.is_object()) return;
    said.prompt_tokens = usage["prompt_tokens"].as_int().value_or(-1);
    said.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"].as_int().value_or(0);
    said.completion_tokens = usage["completion_tokens"].as_int().value_or(-1);
    EXPECT_EQ(usage["total_tokens"].as_int(), said.prompt_tokens + said.completion_tokens);
}

Said read_whole(const std::string& bytes) {
    Said said;
    const auto document = Document::parse(bytes);
    EXPECT_TRUE(document) << bytes;
    if (!document) return said;
    EXPECT_EQ(document->root()["object"].string(), "chat.completion");
    const Value& choice = document->root()["choices"].items()[0];
    said.text = std::string(choice["message"]["content"].string());
    for (const Value& call : choice["message"]["tool_calls"].items()) {
        said.calls.push_back(fmt::format("{} {} {}", call["id"].string(),
            call["function"]["name"].string(), call["function"]["arguments"].string()));
    }
    said.finish = std::string(choice["finish_reason"].string());
    read_usage(document->root()["usage"], said);
    return said;
}

Said read_stream(const std::string& bytes) {
    Said said;
    framing::SseParser parser;
    std::vector<framing::SseEvent> events;
    EXPECT_TRUE(parser.feed(bytes, events));
    EXPECT_FALSE(events.empty());
    if (events.empty()) return said;
    EXPECT_EQ(events.back().data, "[DONE]");
    struct Call {
        std::string id, name, arguments;
    };
    std::map<std::int64_t, Call> calls;
    for (const framing::SseEvent& event : events) {
        if (event.data == "[DONE]") continue;
        const auto document = Document::parse(std::string(event.data));
        EXPECT_TRUE(document) << event.data;
        if (!document) continue;
        EXPECT_EQ(document->root()["object"].string(), "chat.completion.chunk");
        read_usage(document->root()["usage"], said);
        for (const Value& choice : document->root()["choices"].items()) {
            const Value& delta = choice["delta"];
            said.text += delta["content"].string();
            for (const Value& part : delta["tool_calls"].items()) {
                Call& call = calls[part["index"].as_int().value_or(-1)];
                call.id += part["id"].string();
                call.name += part["function"]["name"].string();
                call.arguments += part["function"]["arguments"].string();
            }
            if (choice["finish_reason"].is_string()) said.finish = choice["finish_reason"].string();
        }
    }
    for (const auto& [index, call] : calls) {
        said.calls.push_back(fmt::format("{} {} {}", call.id, call.name, call.arguments));
    }
    return said;
}

TEST(AnthropicCarryReplies, EveryRecordedReplyReachesAClientOfChatCompletions) {
    ENTREPOT_NEEDS_CORPUS("anthropic-messages");
    std::size_t replies = 0;
    std::map<std::string, std::size_t> dropped;
    std::map<std::string, std::size_t> finishes;
    for (const Document& exchange : read_corpus("anthropic-messages")) {
        for (const Answer& answer : answers_of(exchange.root())) {
            const std::string id(exchange.root()["id"].string());
            const auto decoder = anthropic_messages::dialect().reply_decoder(answer.form);
            std::vector<canon::Event> events;
            ASSERT_TRUE(decoder->feed(answer.bytes, events)) << id;
            ASSERT_TRUE(decoder->finish(events)) << id;
            canon::Reply reply;
            std::string text;
            for (const canon::Event& event : events) reply.add(event);
            std::size_t calls = 0;
            for (const canon::Reply::Part& part : reply.choices.at(0).parts) {
                if (part.start.kind == canon::PartKind::kText) text += part.text;
                if (part.start.kind == canon::PartKind::kToolCall) ++calls;
            }
            std::vector<Said> both;
            for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
                const auto encoder = openai_chat::openai_chat().reply_encoder(
                    form, {.model = "shown", .id = "x", .created_s = 7});
                std::string out;
                for (const canon::Event& event : events) encoder->add(event, out);
                both.push_back(form == ReplyForm::kWhole ? read_whole(out) : read_stream(out));
                for (const std::string& name : encoder->dropped()) ++dropped[name];
            }
            EXPECT_EQ(both[0], both[1]) << id;
            EXPECT_EQ(both[0].text, text) << id;
            EXPECT_EQ(both[0].calls.size(), calls) << id;
            EXPECT_EQ(both[0].prompt_tokens, reply.usage.prompt_tokens()) << id;
            EXPECT_EQ(both[0].cached_tokens, reply.usage[canon::Meter::kCacheRead]) << id;
            EXPECT_EQ(both[0].completion_tokens, reply.usage.answer_tokens()) << id;
            const std::string& finish = both[0].finish;
            ++finishes[fmt::format("{} as {}", reply.choices[0].finished->raw_reason, finish)];
            ++replies;
        }
    }
    std::string words = fmt::format("{} replies carried;", replies);
    for (const auto& [pair, count] : finishes) words += fmt::format(" {} {},", pair, count);
    words += " named:";
    for (const auto& [field, count] : dropped) words += fmt::format(" {} {}", field, count);
    std::puts(words.c_str());
    EXPECT_EQ(replies, 407u);
    for (const auto& [pair, count] : finishes) {
        // The first: recordings whose source left out the event that says why it stopped.
        static const std::set<std::string> kKnown{" as stop", "end_turn as stop",
            "stop_sequence as stop", "tool_use as tool_calls", "max_tokens as length",
            "refusal as content_filter", "pause_turn as stop",
            "model_context_window_exceeded as length"};
        EXPECT_TRUE(kKnown.contains(pair)) << pair;
    }
}

// The classifier's refusal has no words of its own; 'stop' would say that the answer is whole.
TEST(AnthropicToChat, ARefusalWithoutWordsIsAContentFilter) {
    const std::string whole =
        R"({"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],)"
        R"("stop_reason":"refusal","usage":{"input_tokens":1,"output_tokens":1}})";
    const std::string stream =
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],"
        "\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"refusal\"},\"usage\":{\"output_tokens\":1}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for (const auto& [form, bytes] :
        {std::pair{ReplyForm::kWhole, whole}, std::pair{ReplyForm::kStream, stream}}) {
        const auto decoder = anthropic_messages::dialect().reply_decoder(form);
        std::vector<canon::Event> events;
        ASSERT_TRUE(decoder->feed(bytes, events));
        ASSERT_TRUE(decoder->finish(events));
        const auto encoder = openai_chat::openai_chat().reply_encoder(form, {});
        std::string out;
        for (const canon::Event& event : events) encoder->add(event, out);
        EXPECT_NE(out.find("\"finish_reason\":\"content_filter\""), std::string::npos) << out;
    }
}

TEST(ChatToAnthropic, AnEffortThatNobodyKnowsIsNamed) {
    const auto decoded = [](std::string_view effort) {
        return openai_chat::openai_chat().decode_request(
            *Document::parse(fmt::format(
                R"({{"model":"m","messages":[{{"role":"user","content":"q"}}],"reasoning_effort":{}}})",
                effort)),
            {});
    };
    EXPECT_TRUE(decoded("\"xhigh\""));
    EXPECT_TRUE(decoded("null"));
    EXPECT_FALSE(decoded("\"default\"")->reasoning);
    ASSERT_FALSE(decoded("\"hihg\""));
    EXPECT_EQ(decoded("\"hihg\"").error().field, "reasoning_effort");
}

}  // namespace
}  // namespace entrepot::dialect
