// Recorded exchanges, read where they are at hand: every usage against an oracle of this file's
// own, every request there and back. tests/exchange splits the streams at every byte.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "canon/reply.h"
#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/anthropic_messages/testing.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Event;
using canon::Meter;
using json::Value;

struct Decoded {
    std::vector<Event> events;
    Status status;
};

Decoded decode(const Answer& answer) {
    Decoded out;
    const auto decoder = dialect().reply_decoder(answer.form);
    out.status = decoder->feed(answer.bytes, out.events);
    if (out.status) out.status = decoder->finish(out.events);
    return out;
}

canon::Reply fold(const Decoded& decoded) {
    canon::Reply reply;
    for (const Event& event : decoded.events) reply.add(event);
    return reply;
}

// --- the oracle: what a reply states, read another way than the decoder does ---

// The JSON values of the `data:` lines, cut out line by line.
std::vector<json::Document> data_lines(const std::string& stream) {
    std::vector<json::Document> out;
    for (std::size_t at = 0; at < stream.size();) {
        const std::size_t end = std::min(stream.find('\n', at), stream.size());
        std::string line = stream.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with("data:")) continue;
        auto document = json::Document::parse(line.substr(5));
        EXPECT_TRUE(document) << line;
        if (document) out.push_back(std::move(*document));
    }
    return out;
}

using Stated = std::map<std::string, std::int64_t>;

void state(const Value& object, const std::string& prefix, Stated& stated) {
    for (const json::Member& m : object.members()) {
        if (m.value.is_object()) state(m.value, prefix + std::string(m.key) + ".", stated);
        if (m.value.as_int()) stated[prefix + std::string(m.key)] = *m.value.as_int();
    }
}

// Where passes are listed, what is billed is their plain sum; else the counts as they are.
std::string oracle(const Answer& answer) {
    Stated stated;
    Stated passes;
    const auto read = [&](const Value& usage) {
        state(usage, "", stated);
        if (usage["iterations"].items().empty()) return;
        passes.clear();
        for (const Value& pass : usage["iterations"].items()) {
            Stated one;
            state(pass, "", one);
            for (const auto& [key, count] : one) passes[key] += count;
        }
    };
    if (answer.form == ReplyForm::kWhole) {
        const auto document = json::Document::parse(answer.bytes);
        read(document->root()["usage"]);
    } else {
        for (const json::Document& event : data_lines(answer.bytes)) {
            read(event.root()["message"]["usage"]);
            read(event.root()["usage"]);
        }
    }
    const Stated& billed = passes.empty() ? stated : passes;
    const auto get = [](const Stated& counts, const char* key) {
        const auto found = counts.find(key);
        return found == counts.end() ? 0 : found->second;
    };
    const std::int64_t lasting = get(billed, "cache_creation.ephemeral_1h_input_tokens");
    canon::Usage usage;
    usage[Meter::kInput] = get(billed, "input_tokens");
    usage[Meter::kCacheRead] = get(billed, "cache_read_input_tokens");
    usage[Meter::kCacheWrite] = get(billed, "cache_creation_input_tokens") - lasting;
    usage[Meter::kCacheWriteLong] = lasting;
    usage[Meter::kOutput] = get(billed, "output_tokens");
    usage[Meter::kReasoning] = get(stated, "output_tokens_details.thinking_tokens");
    usage[Meter::kSearches] = get(stated, "server_tool_use.web_search_requests");
    usage[Meter::kToolCalls] = get(stated, "server_tool_use.web_fetch_requests");
    return canon::to_json(usage);
}

// What the answer says, read from the blocks: kind and text of each.
std::string spoken(const Answer& answer) {
    std::map<std::int64_t, std::string> blocks;
    const auto head = [&](const Value& b) {
        return fmt::format(
            "[{}]{}{}", b["type"].string(), b["text"].string(), b["thinking"].string());
    };
    if (answer.form == ReplyForm::kWhole) {
        const auto document = json::Document::parse(answer.bytes);
        std::int64_t index = 0;
        for (const Value& b : document->root()["content"].items()) blocks[index++] = head(b);
    } else {
        for (const json::Document& event : data_lines(answer.bytes)) {
            const Value& e = event.root();
            const std::int64_t index = e["index"].as_int().value_or(-1);
            const auto at_once = e["message"]["content"].items();  // a message that starts finished
            for (std::size_t i = 0; i < at_once.size(); ++i)
                blocks[static_cast<std::int64_t>(i) - 1000] = head(at_once[i]);
            if (e["content_block"].is_object()) blocks[index] = head(e["content_block"]);
            if (e["delta"]["text"].is_string()) blocks[index] += e["delta"]["text"].string();
            if (e["delta"]["thinking"].is_string())
                blocks[index] += e["delta"]["thinking"].string();
        }
    }
    std::string out;
    for (const auto& [index, block] : blocks) out += block;
    return out;
}

std::string spoken(const canon::Reply& reply) {
    std::string out;
    if (reply.choices.empty()) return out;
    for (const canon::Reply::Part& part : reply.choices[0].parts) {
        switch (part.start.kind) {
            case canon::PartKind::kText: out += "[text]" + part.text; break;
            case canon::PartKind::kThought:
                out += part.start.is_redacted ? "[redacted_thinking]" : "[thinking]" + part.text;
                break;
            case canon::PartKind::kToolCall: out += "[tool_use]"; break;
            case canon::PartKind::kOpaque: out += "[" + part.start.opaque->kind + "]"; break;
            default: out += "[?]"; break;
        }
    }
    return out;
}

void check_replies(const std::string& name, std::size_t expected) {
    std::size_t replies = 0;
    std::size_t streams = 0;
    for (const json::Document& exchange : read_corpus(name)) {
        for (const Answer& answer : answers_of(exchange.root())) {
            const std::string id(exchange.root()["id"].string());
            const Decoded got = decode(answer);
            ASSERT_TRUE(got.status) << id << " " << got.status.error().message;
            const canon::Reply reply = fold(got);
            ++replies;
            if (answer.form == ReplyForm::kStream) ++streams;
            EXPECT_EQ(canon::to_json(reply.usage), oracle(answer)) << id;
            EXPECT_TRUE(reply.has_usage) << id;
            EXPECT_TRUE(reply.has_ended) << id;
            EXPECT_EQ(spoken(reply), spoken(answer)) << id;
            for (const canon::Reply::Choice& choice : reply.choices) {
                ASSERT_TRUE(choice.finished) << id;
                for (const canon::Reply::Part& part : choice.parts) {
                    if (part.start.kind != canon::PartKind::kToolCall) continue;
                    if (choice.finished->reason == canon::StopReason::kLength) continue;
                    const auto arguments = json::Document::parse(part.text);
                    EXPECT_TRUE(arguments && arguments->root().is_object())
                        << id << " " << part.text;
                }
            }
            // To a client of the same dialect and back: the same answer.
            for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
                const auto encoder = dialect().reply_encoder(form, {});
                Answer written{form, ""};
                for (const Event& event : got.events) encoder->add(event, written.bytes);
                const Decoded again = decode(written);
                ASSERT_TRUE(again.status) << id;
                EXPECT_EQ(canon::to_json(fold(again).usage), canon::to_json(reply.usage)) << id;
            }
        }
    }
    EXPECT_EQ(replies, expected);
    std::printf("%s: %zu replies metered and decoded, %zu of them streams\n", name.c_str(), replies,
        streams);
}

TEST(AnthropicCorpus, EveryReplyIsMeteredToWhatItStatesAndDecoded) {
    ENTREPOT_NEEDS_CORPUS("anthropic-messages");
    check_replies("anthropic-messages", 407);
}

TEST(AnthropicCorpus, RepliesFromVertexAreTheSame) {
    ENTREPOT_NEEDS_CORPUS("vertex-anthropic");
    check_replies("vertex-anthropic", 10);
}

TEST(AnthropicCorpus, EveryErrorIsRead) {
    ENTREPOT_NEEDS_CORPUS("anthropic-messages");
    std::map<int, std::size_t> seen;
    for (const json::Document& exchange : read_corpus("anthropic-messages")) {
        const Value& response = exchange.root()["response"];
        const int status = static_cast<int>(response["status"].as_int().value_or(200));
        if (status == 200) continue;
        ++seen[status];
        const canon::Failure failure = dialect().decode_failure(status, {}, response["body"].raw());
        const Value& error = response["body"]["error"];
        EXPECT_EQ(failure.message, error["message"].string()) << exchange.root()["id"].string();
        EXPECT_EQ(failure.status, status);
        const auto again = json::Document::parse(dialect().encode_failure(failure));
        ASSERT_TRUE(again);
        EXPECT_EQ(again->root()["error"]["message"].string(), error["message"].string());
        if (failure.kind != canon::FailureKind::kBilling) {
            EXPECT_EQ(again->root()["error"]["type"].string(), error["type"].string());
        }
    }
    EXPECT_EQ(seen, (std::map<int, std::size_t>{{400, 10}, {401, 12}, {404, 13}}));
}

// --- requests ---

// One spelling for what means the same: sorted members, no nulls, texts as blocks, defaults left
// out.
std::string normal(const Value& value, std::string_view key) {
    if (value.is_array()) {
        std::string out = "[";
        for (const Value& item : value.items())
            out += normal(item, key == "tools" ? "tool" : "") + ",";
        return out + "]";
    }
    if ((key == "content" || key == "system") && value.is_string()) {
        return "[{\"text\":" + json::quoted(value.string()) + ",\"type\":\"text\",},]";
    }
    if (value.is_string()) return json::quoted(value.string());
    if (!value.is_object()) return std::string(value.raw());
    std::map<std::string, std::string> members;
    for (const json::Member& m : value.members()) {
        if (m.value.is_null()) continue;
        if ((m.key == "stream" || m.key == "is_error") && m.value.as_bool() == false) continue;
        if (key == "tool" && m.key == "type" && m.value.string() == "custom") continue;
        if (m.key == "tools" && m.value.items().empty()) continue;
        if (key == "tool" && m.key == "description" && m.value.string().empty()) continue;
        if (m.key == "output_format" && m.value["schema"].is_object()) {
            members["output_config"] = "{\"format\":" + normal(m.value, "") + ",}";
            continue;
        }
        members[std::string(m.key)] = normal(m.value, m.key);
    }
    std::string out = "{";
    for (const auto& [name, text] : members) out += json::quoted(name) + ":" + text + ",";
    return out + "}";
}

TEST(AnthropicCorpus, EveryRequestComesBackWithItsMeaning) {
    ENTREPOT_NEEDS_CORPUS("anthropic-messages");
    std::size_t same = 0;
    std::map<std::string, std::size_t> refused;  // by field
    for (const json::Document& exchange : read_corpus("anthropic-messages")) {
        const Value& body = exchange.root()["request"]["body"];
        if (!body.is_object() || !body["messages"].is_array()) continue;
        const std::string id(exchange.root()["id"].string());
        const auto document = json::Document::parse(std::string(body.raw()));
        ASSERT_TRUE(document);
        const auto request = dialect().decode_request(*document, {});
        if (!request) {
            ++refused[request.error().field];
            continue;
        }
        const auto encoded = dialect().encode_request(
            *request, {.model_id = request->model, .on_lossy = OnLossy::kRefuse});
        ASSERT_TRUE(encoded) << id << " " << encoded.error().message;
        const auto again = json::Document::parse(encoded->body);
        ASSERT_TRUE(again) << id;
        EXPECT_EQ(normal(again->root(), ""), normal(body, "")) << id;
        ++same;
    }
    // Bodies to count tokens have no max_tokens, and are no requests for an answer; one schema is
    // `true`, which the supplier answered with 400 as well.
    EXPECT_EQ(refused,
        (std::map<std::string, std::size_t>{{"max_tokens", 8}, {"tools[0].input_schema", 1}}));
    std::printf("%zu requests come back the same\n", same);
    EXPECT_EQ(same, 388u);
}

}  // namespace
}  // namespace entrepot::dialect::anthropic_messages
