// Every recorded exchange with Bedrock Converse: metered to what its body states, and requests that
// come back as they went in. tests/exchange splits the streams at every byte.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "dialect/bedrock_converse/parts.h"
#include "dialect/bedrock_converse/testing.h"
#include "framing/event_stream.h"
#include "json/value.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Meter;
using json::Value;

std::filesystem::path corpus_file() {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus" / "bedrock-converse.jsonl";
}

std::vector<json::Document> exchanges() {
    std::vector<json::Document> all;
    std::ifstream file(corpus_file());
    for (std::string line; std::getline(file, line);)
        all.push_back(*json::Document::parse(std::move(line)));
    std::erase_if(all, [](const json::Document& document) {
        return !document.root()["operation"].string().starts_with("converse");
    });
    return all;
}

#define SKIP_WITHOUT_CORPUS()                    \
    if (!std::filesystem::exists(corpus_file())) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

/// JSON with sorted keys and without what means nothing: what two requests are compared by.
std::string normal(const Value& value) {
    if (value.is_array()) {
        std::string out = "[";
        std::string_view role;
        for (const Value& item : value.items()) {
            // Adjacent turns of one role are one turn.
            const std::string_view next = item["content"].is_array() ? item["role"].string() : "";
            std::string text = normal(item);
            if (!role.empty() && role == next) {
                const std::string tail = "],role:" + std::string(item["role"].raw()) + ",},";
                EXPECT_TRUE(out.ends_with(tail));
                out.resize(out.size() - tail.size());
                text = text.substr(std::string("{content:[").size());
            }
            role = next;
            out += text + ",";
        }
        return out + "]";
    }
    if (!value.is_object()) return std::string(value.raw());
    // A tool's result says the same as text and as JSON.
    if (value.members().size() == 1 && value.members()[0].key == "json" &&
        value["json"].find("type") == nullptr)
        return "{text:" + json::quoted(value["json"].raw()) + ",}";
    std::vector<std::string> members;
    for (const json::Member& member : value.members()) {
        const bool is_empty = (member.value.is_object() && member.value.members().empty()) ||
            (member.value.is_array() && member.value.items().empty());
        const bool is_top_level = member.key == "system" || member.key.ends_with("Config") ||
            member.key == "additionalModelRequestFields" || member.key == "stopSequences";
        if (is_empty && is_top_level) continue;
        if (member.key == "status" && member.value.string() == "success") continue;
        if (member.key == "format" && member.value.string().find('/') != std::string_view::npos) {
            members.push_back("format:\"" +
                std::string(member.value.string().substr(member.value.string().find('/') + 1)) +
                '"');
            continue;
        }
        members.push_back(std::string(member.key) + ":" + normal(member.value));
    }
    std::ranges::sort(members);
    std::string out = "{";
    for (const std::string& member : members) out += member + ",";
    return out + "}";
}

/// The recorded stream's bytes; a stream kept as decoded events is framed again.
std::string stream_bytes(const Value& response) {
    std::string out;
    if (const Value* body = response.find("body_base64")) {
        EXPECT_TRUE(base64_decode(body->string(), out));
        return out;
    }
    for (const Value& event : response["events"].items())
        for (const json::Member& member : event.members())
            framing::append_event_stream_event(out, member.key, member.value.raw());
    return out;
}

/// What the reply itself states, read without the code under test.
canon::Usage stated(const Value& usage) {
    const auto count = [&](std::string_view key) { return usage[key].as_int().value_or(0); };
    canon::Usage out;
    out[Meter::kInput] = count("inputTokens");
    out[Meter::kOutput] = count("outputTokens");
    out[Meter::kCacheRead] = count("cacheReadInputTokens");
    out[Meter::kCacheWrite] = count("cacheWriteInputTokens");
    for (const Value& detail : usage["cacheDetails"].items()) {
        if (detail["ttl"].string() != "1h") continue;
        out[Meter::kCacheWriteLong] += detail["inputTokens"].as_int().value_or(0);
        out[Meter::kCacheWrite] -= detail["inputTokens"].as_int().value_or(0);
    }
    if (usage["totalTokens"].is_number()) {
        EXPECT_EQ(out.prompt_tokens() + out.answer_tokens(), count("totalTokens"));
    }
    return out;
}

canon::Reply fold(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

std::string text_of(const canon::Reply& reply) {
    std::string out;
    for (const auto& choice : reply.choices)
        for (const auto& part : choice.parts)
            if (part.start.kind == canon::PartKind::kText) out += part.text;
    return out;
}

std::vector<std::string> asides_of(const canon::Reply& reply) {
    std::vector<std::string> shown;
    for (const canon::Aside& aside : reply.choices.at(0).asides) shown.push_back(show(aside));
    return shown;
}

TEST(BedrockConverseCorpus, WholeRepliesAreReadAndMeteredAsStated) {
    SKIP_WITHOUT_CORPUS();
    int replies = 0, with_usage = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& body = exchange["response"]["body"];
        if (exchange["stream"].as_bool() == true || exchange["response"]["status"].as_int() != 200)
            continue;
        SCOPED_TRACE(exchange["id"].string());
        ++replies;
        const Decoded decoded = decode(ReplyForm::kWhole, body.raw(), body.raw().size());
        ASSERT_TRUE(decoded.status) << decoded.status.error().message;
        const canon::Reply reply = fold(decoded.events);
        EXPECT_TRUE(reply.has_ended);
        if (body["usage"].is_object()) {
            ++with_usage;
            EXPECT_EQ(canon::to_json(reply.usage), canon::to_json(stated(body["usage"])));
        }
        std::string text;
        std::size_t calls = 0;
        for (const Value& block : body["output"]["message"]["content"].items()) {
            text += block["text"].string();
            for (const Value& part : block["citationsContent"]["content"].items())
                text += part["text"].string();
            if (block["toolUse"].is_object()) ++calls;
        }
        EXPECT_EQ(text_of(reply), text);
        ASSERT_EQ(reply.choices.size(), 1U);
        ASSERT_TRUE(reply.choices[0].finished);
        EXPECT_NE(reply.choices[0].finished->reason, canon::StopReason::kOther);
        std::size_t seen_calls = 0;
        for (const auto& part : reply.choices[0].parts)
            if (part.start.kind == canon::PartKind::kToolCall ||
                (part.start.opaque && part.start.opaque->kind == "toolUse"))
                ++seen_calls;
        EXPECT_EQ(seen_calls, calls);

        // Written and read again it says the same, what it cites included.
        std::vector<std::string> dropped;
        const std::string written = encode(ReplyForm::kWhole, decoded.events, &dropped);
        EXPECT_TRUE(dropped.empty()) << dropped.front();
        const Decoded again = decode(ReplyForm::kWhole, written, written.size());
        ASSERT_TRUE(again.status) << written;
        const canon::Reply second = fold(again.events);
        EXPECT_EQ(text_of(second), text);
        EXPECT_EQ(second.usage, reply.usage);
        EXPECT_EQ(second.choices[0].finished->raw_reason, reply.choices[0].finished->raw_reason);
        EXPECT_EQ(second.choices[0].parts.size(), reply.choices[0].parts.size());
        EXPECT_EQ(asides_of(second), asides_of(reply));
    }
    EXPECT_GT(replies, 150);
    std::cout << replies << " whole replies, " << with_usage << " metered as stated\n";
}

TEST(BedrockConverseCorpus, StreamsAreReadAndMeteredAsStated) {
    SKIP_WITHOUT_CORPUS();
    int streams = 0, with_usage = 0, failed = 0;
    std::size_t frames = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        if (exchange["stream"].as_bool() != true) continue;
        SCOPED_TRACE(exchange["id"].string());
        ++streams;
        const std::string bytes = stream_bytes(exchange["response"]);
        const Decoded whole = decode(ReplyForm::kStream, bytes, bytes.size());
        ASSERT_TRUE(whole.status) << whole.status.error().message;
        const canon::Reply reply = fold(whole.events);

        framing::EventStreamParser parser;
        std::vector<framing::EventStreamMessage> messages;
        ASSERT_TRUE(parser.feed(bytes, messages));
        frames += messages.size();
        std::string text;
        bool has_usage = false;
        for (const framing::EventStreamMessage& message : messages) {
            const auto payload = json::Document::parse(std::string(message.payload));
            ASSERT_TRUE(payload);
            text += payload->root()["delta"]["text"].string();
            if (message.find(":event-type") == "metadata" && payload->root()["usage"].is_object()) {
                has_usage = true;
                ++with_usage;
                EXPECT_EQ(
                    canon::to_json(reply.usage), canon::to_json(stated(payload->root()["usage"])));
            }
            if (message.find(":message-type") == "exception") {
                ++failed;
                ASSERT_TRUE(reply.failure);
                EXPECT_EQ(reply.failure->message, payload->root()["message"].string());
            }
        }
        EXPECT_EQ(reply.has_usage, has_usage);
        EXPECT_EQ(text_of(reply), text);
        EXPECT_NE(reply.has_ended, reply.failure.has_value());

        const std::string written = encode(ReplyForm::kStream, whole.events);
        const Decoded again = decode(ReplyForm::kStream, written, written.size());
        ASSERT_TRUE(again.status) << again.status.error().message;
        const canon::Reply second = fold(again.events);
        EXPECT_EQ(text_of(second), text);
        EXPECT_EQ(second.usage, reply.usage);
        EXPECT_EQ(second.failure.has_value(), reply.failure.has_value());
        if (!reply.failure) {
            EXPECT_EQ(second.choices[0].parts.size(), reply.choices[0].parts.size());
        }
    }
    EXPECT_GT(streams, 70);
    std::cout << streams << " streams of " << frames << " frames, " << with_usage
              << " metered as stated, " << failed << " ended by an exception\n";
}

TEST(BedrockConverseCorpus, EveryCutStreamIsIncomplete) {
    SKIP_WITHOUT_CORPUS();
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        if (exchange["response"].find("body_base64") == nullptr) continue;
        SCOPED_TRACE(exchange["id"].string());
        const std::string bytes = stream_bytes(exchange["response"]);
        framing::EventStreamParser parser;
        std::vector<framing::EventStreamMessage> messages;
        ASSERT_TRUE(parser.feed(bytes, messages));
        if (messages.front().find(":message-type") == "exception") continue;
        // Behind messageStop only the usage is missing, which is no incomplete answer.
        const std::size_t until_stop = bytes.size() - messages.back().raw.size();
        for (std::size_t n = 1; n < until_stop; n += 97)
            EXPECT_FALSE(
                decode(ReplyForm::kStream, std::string_view(bytes).substr(0, n), 4096).status);
        std::string bad = bytes;
        bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 4);
        EXPECT_FALSE(decode(ReplyForm::kStream, bad, 4096).status);
    }
}

TEST(BedrockConverseCorpus, RequestsComeBackAsTheyWentIn) {
    SKIP_WITHOUT_CORPUS();
    int requests = 0, refused = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& body = exchange["request"]["body"];
        if (!body.is_object()) continue;
        SCOPED_TRACE(exchange["id"].string());
        const auto parsed = json::Document::parse(std::string(body.raw()));
        const auto request = kDialect.decode_request(*parsed, {});
        if (!request) {
            // What we refuse, Bedrock refused as well.
            EXPECT_GE(exchange["response"]["status"].as_int().value_or(0), 400)
                << request.error().message;
            ++refused;
            continue;
        }
        ++requests;
        EncodeTarget target;
        target.model_id = exchange["model"].string();
        target.on_lossy = OnLossy::kRefuse;
        const auto encoded = kDialect.encode_request(*request, target);
        if (!encoded) {
            EXPECT_GE(exchange["response"]["status"].as_int().value_or(0), 400)
                << encoded.error().message;
            ++refused;
            continue;
        }
        EXPECT_TRUE(encoded->dropped.empty());
        const auto again = json::Document::parse(encoded->body);
        ASSERT_TRUE(again) << again.error().message << "\n" << encoded->body;
        EXPECT_EQ(normal(again->root()), normal(body));
    }
    EXPECT_GT(requests, 230);
    std::cout << requests << " requests carried, " << refused << " refused as Bedrock did\n";
}

TEST(BedrockConverseCorpus, ErrorsAreUnderstood) {
    SKIP_WITHOUT_CORPUS();
    int errors = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const auto status = exchange["response"]["status"].as_int().value_or(0);
        if (status < 400) continue;
        SCOPED_TRACE(exchange["id"].string());
        ++errors;
        std::vector<Header> headers;
        for (const json::Member& header : exchange["response"]["headers"].members())
            headers.push_back({std::string(header.key), std::string(header.value.string())});
        const canon::Failure failure = kDialect.decode_failure(
            static_cast<int>(status), headers, exchange["response"]["body"].raw());
        EXPECT_EQ(failure.status, status);
        EXPECT_EQ(failure.message, exchange["response"]["body"]["message"].string());
        const bool is_refused = failure.kind == canon::FailureKind::kPermission ||
            failure.kind == canon::FailureKind::kAuthentication;
        EXPECT_EQ(is_refused, status == 403);
        EXPECT_EQ(failure.kind == canon::FailureKind::kNotFound, status == 404);
    }
    EXPECT_GT(errors, 10);
    std::cout << errors << " errors\n";
}

}  // namespace
}  // namespace entrepot::dialect::bedrock_converse
