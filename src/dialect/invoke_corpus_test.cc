// Every recorded exchange with Bedrock's InvokeModel: read, metered to what its body, its metrics
// or its headers state, written again to the same meaning. tests/exchange splits the streams.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "base/text.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/composed.h"
#include "framing/event_stream.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect {
namespace {

using canon::Meter;
using json::Value;

std::filesystem::path corpus_file() {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus" / "bedrock-invoke.jsonl";
}

std::vector<json::Document> exchanges() {
    std::vector<json::Document> all;
    std::ifstream file(corpus_file());
    for (std::string line; std::getline(file, line);)
        all.push_back(*json::Document::parse(std::move(line)));
    return all;
}

#define SKIP_WITHOUT_CORPUS()                    \
    if (!std::filesystem::exists(corpus_file())) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

/// The id in the path, as a gateway hands it to the dialect.
std::string model_of(const Value& exchange) {
    std::string path = percent_decode(exchange["request"]["path"].string());
    const std::size_t begin = path.find("/model/") + 7;
    return path.substr(begin, path.rfind('/') - begin);
}

bool is_conversation(const Value& exchange) {
    const std::string model = model_of(exchange);
    return model.find("embed") == std::string::npos && model.find("rerank") == std::string::npos;
}

bool makes_vectors(const Value& exchange) {
    const auto family = bedrock_invoke::family_of_model(model_of(exchange));
    return family == bedrock_invoke::Family::kTitanEmbed ||
        family == bedrock_invoke::Family::kCohereEmbed;
}

bool is_stream(const Value& exchange) {
    return exchange["operation"].string() == "invoke-with-response-stream";
}

std::vector<Header> headers_of(const Value& message) {
    std::vector<Header> headers;
    for (const json::Member& member : message["headers"].members())
        headers.push_back({std::string(member.key), std::string(member.value.string())});
    return headers;
}

std::string frame(std::string_view json) {
    std::string out;
    framing::append_event_stream_event(
        out, "chunk", fmt::format(R"({{"bytes":"{}"}})", base64_encode(json)));
    return out;
}

/// The bytes of an answer; events that a source kept decoded are framed again.
std::string reply_bytes(const Value& response) {
    std::string out;
    if (const Value* body = response.find("body_base64")) {
        EXPECT_TRUE(base64_decode(body->string(), out));
        return out;
    }
    if (!response["events"].is_array()) return std::string(response["body"].raw());
    for (const Value& event : response["events"].items()) out += frame(event.raw());
    return out;
}

struct Decoded {
    std::vector<canon::Event> events;
    Status status;
};

Decoded decode(ReplyForm form, std::string_view bytes, std::span<const Header> headers = {}) {
    const auto decoder = invoke_dialect().reply_decoder(form);
    decoder->take_headers(headers);
    Decoded decoded;
    decoded.status = decoder->feed(bytes, decoded.events);
    if (decoded.status) decoded.status = decoder->finish(decoded.events);
    return decoded;
}

canon::Reply fold(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

/// What a reader gets of a reply: per choice texts, thoughts, calls and the reason of the end.
std::string meaning(const canon::Reply& reply) {
    std::string out;
    for (const canon::Reply::Choice& choice : reply.choices) {
        for (const canon::Reply::Part& part : choice.parts)
            out += fmt::format("[{} {} {} {} {}]", static_cast<int>(part.start.kind),
                part.start.call_id, part.start.name, part.text,
                part.signature ? part.signature->data : "");
        if (choice.finished)
            out += fmt::format("({} {} {})", canon::stop_reason_name(choice.finished->reason),
                choice.finished->raw_reason, choice.finished->stop_sequence);
    }
    if (reply.failure) out += "failed: " + reply.failure->message;
    return out + canon::to_json(reply.usage);
}

/// The chunks of a stream, read without the code under test.
std::vector<json::Document> chunks_of(const std::string& bytes) {
    framing::EventStreamParser parser;
    std::vector<framing::EventStreamMessage> messages;
    EXPECT_TRUE(parser.feed(bytes, messages));
    std::vector<json::Document> chunks;
    for (const framing::EventStreamMessage& message : messages) {
        if (message.find(":message-type") != "event") continue;
        const auto payload = json::Document::parse(std::string(message.payload));
        std::string chunk;
        EXPECT_TRUE(payload && base64_decode(payload->root()["bytes"].string(), chunk));
        chunks.push_back(*json::Document::parse(std::move(chunk)));
    }
    return chunks;
}

/// A count that any of these formats states under one of its names; -1 when none does.
std::int64_t count(const Value& object, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
        if (object[name].is_number()) return object[name].as_int().value_or(-1);
    return -1;
}

struct Stated {
    std::int64_t input = -1;
    std::int64_t output = -1;
    std::int64_t cache_read = -1;
    std::int64_t cache_write = -1;

    void lay(const Value& usage) {
        const auto take = [&](std::int64_t& to, std::initializer_list<std::string_view> names) {
            if (const std::int64_t found = count(usage, names); found >= 0) to = found;
        };
        take(input,
            {"input_tokens", "inputTokens", "prompt_tokens", "prompt_token_count",
                "inputTextTokenCount", "inputTokenCount"});
        take(output,
            {"output_tokens", "outputTokens", "completion_tokens", "generation_token_count",
                "totalOutputTextTokenCount", "outputTokenCount"});
        take(cache_read,
            {"cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount"});
        take(cache_write,
            {"cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount"});
    }
    void lay_reply(const Value& reply) {
        lay(reply);
        for (const Value* usage : {&reply["usage"], &reply["message"]["usage"],
                 &reply["metadata"]["usage"], &reply["response"]["meta"]["billed_units"]})
            lay(*usage);
        std::int64_t results = -1;
        for (const Value& result : reply["results"].items())
            results =
                std::max<std::int64_t>(results, 0) + result["tokenCount"].as_int().value_or(0);
        if (results >= 0) output = results;
    }
    /// Where this says nothing, what the other does.
    void fill(const Stated& other) {
        for (const auto field :
            {&Stated::input, &Stated::output, &Stated::cache_read, &Stated::cache_write})
            if (this->*field < 0) this->*field = other.*field;
    }
};

Stated stated_of_headers(const Value& response) {
    const auto number = [&](std::string_view name) -> std::int64_t {
        const std::string_view text = response["headers"][name].string();
        const auto value = json::Document::parse(std::string(text.empty() ? "-1" : text));
        return value->root().as_int().value_or(-1);
    };
    return {number("x-amzn-bedrock-input-token-count"), number("x-amzn-bedrock-output-token-count"),
        number("x-amzn-bedrock-cache-read-input-token-count"),
        number("x-amzn-bedrock-cache-write-input-token-count")};
}

void expect_metered(const canon::Reply& reply, const Stated& stated) {
    if (stated.input < 0 && stated.output < 0) {
        EXPECT_FALSE(reply.has_usage);
        return;
    }
    EXPECT_TRUE(reply.has_usage);
    EXPECT_EQ(reply.usage[Meter::kInput], std::max<std::int64_t>(stated.input, 0));
    EXPECT_EQ(reply.usage[Meter::kOutput], std::max<std::int64_t>(stated.output, 0));
    EXPECT_EQ(reply.usage[Meter::kCacheRead], std::max<std::int64_t>(stated.cache_read, 0));
    EXPECT_EQ(reply.usage[Meter::kCacheWrite] + reply.usage[Meter::kCacheWriteLong],
        std::max<std::int64_t>(stated.cache_write, 0));
}

/// Everything that any of the formats calls the answer's text, in order.
std::string text_in(const Value& reply) {
    std::string out;
    const auto add = [&](const Value& value) { out += value.string(); };
    for (const Value& block : reply["content"].items()) add(block["text"]);
    if (reply["delta"]["type"].string() == "text_delta") add(reply["delta"]["text"]);
    for (const Value& block : reply["output"]["message"]["content"].items()) add(block["text"]);
    add(reply["contentBlockDelta"]["delta"]["text"]);
    for (const std::string_view key : {"completion", "outputText", "generation"}) add(reply[key]);
    for (const Value& result : reply["results"].items()) add(result["outputText"]);
    for (const Value& output : reply["outputs"].items()) add(output["text"]);
    for (const Value& generation : reply["generations"].items()) add(generation["text"]);
    for (const Value& completion : reply["completions"].items()) add(completion["data"]["text"]);
    for (const Value& choice : reply["choices"].items()) {
        add(choice["text"]);
        add(choice["message"]["content"]);
        add(choice["delta"]["content"]);
    }
    if (reply["index"].is_null() || reply["is_finished"].as_bool() == false) add(reply["text"]);
    return out;
}

std::string text_of(const canon::Reply& reply) {
    std::string out;
    for (const auto& choice : reply.choices)
        for (const auto& part : choice.parts)
            if (part.start.kind == canon::PartKind::kText) out += part.text;
    return out;
}

std::string family_of(const Value& exchange) {
    // The format is that of the request; where the source kept none, of the model.
    const Value& body = exchange["request"]["body"];
    auto family = bedrock_invoke::family_of_request(model_of(exchange), body);
    if (!body.is_object()) {
        family = bedrock_invoke::family_of_model(model_of(exchange));
        if (exchange["response"]["body"]["completion"].is_string())
            family = bedrock_invoke::Family::kClaudeText;
    }
    return std::string(bedrock_invoke::family_name(family));
}

TEST(InvokeCorpus, RepliesAreReadMeteredAndComeBackAsTheyWere) {
    SKIP_WITHOUT_CORPUS();
    std::map<std::string, int> read;
    int others = 0, mixed = 0, foreign_words = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& response = exchange["response"];
        if (response["status"].as_int() != 200) continue;
        SCOPED_TRACE(exchange["id"].string());
        const ReplyForm form = is_stream(exchange) ? ReplyForm::kStream : ReplyForm::kWhole;
        const std::string bytes = reply_bytes(response);
        const std::vector<Header> headers = headers_of(response);
        const Decoded decoded = decode(form, bytes, headers);
        if (!is_conversation(exchange)) {
            // Vectors are looked at in tasks_test.cc.
            EXPECT_EQ(decoded.status.has_value(), makes_vectors(exchange));
            ++others;
            continue;
        }
        ASSERT_TRUE(decoded.status) << decoded.status.error().message;
        const canon::Reply reply = fold(decoded.events);
        ++read[fmt::format("{} {}", family_of(exchange), is_stream(exchange) ? "stream" : "whole")];

        Stated stated;
        std::string text;
        bool is_cut = false;
        if (form == ReplyForm::kStream) {
            Stated of_metrics;
            for (const json::Document& chunk : chunks_of(bytes)) {
                of_metrics.lay(chunk.root()["amazon-bedrock-invocationMetrics"]);
                stated.lay_reply(chunk.root());
                text += text_in(chunk.root());
            }
            stated.fill(of_metrics);
            is_cut = reply.failure.has_value();
        } else {
            stated.lay_reply(response["body"]);
            text = text_in(response["body"]);
        }
        stated.fill(stated_of_headers(response));
        expect_metered(reply, stated);
        // An answer in several choices is streamed in turns; its choices are looked at below.
        if (reply.choices.size() == 1) {
            EXPECT_EQ(text_of(reply), text);
        }
        EXPECT_NE(reply.has_ended, is_cut);
        for (const canon::Reply::Choice& choice : reply.choices) {
            if (is_cut) continue;
            ASSERT_TRUE(choice.finished);
            EXPECT_NE(choice.finished->reason, canon::StopReason::kOther);
        }

        ReplyContext context;
        context.family = family_of(exchange);
        // One recording answers Messages with a text completion; it can go back as one alone.
        if (context.family == "messages" && response["body"]["completion"].is_string()) {
            context.family = "claude-text";
            ++mixed;
        }
        context.model = model_of(exchange);
        const auto encoder = invoke_dialect().reply_encoder(form, context);
        std::string written;
        for (const canon::Event& event : decoded.events) encoder->add(event, written);
        for (const std::string& name : encoder->dropped()) ADD_FAILURE() << "dropped " << name;
        const Decoded again = decode(form, written, encoder->headers());
        ASSERT_TRUE(again.status) << again.status.error().message << written;
        canon::Reply second = fold(again.events);
        // Recordings made by hand end in words that the family has not; its own stand for them.
        for (std::size_t i = 0; i < second.choices.size() && i < reply.choices.size(); ++i) {
            auto& finished = second.choices[i].finished;
            const auto& was = reply.choices[i].finished;
            if (!finished || !was || finished->raw_reason == was->raw_reason) continue;
            EXPECT_EQ(was->raw_reason, "max_tokens");
            finished->raw_reason = was->raw_reason;
            ++foreign_words;
        }
        EXPECT_EQ(meaning(second), meaning(reply));
    }
    EXPECT_GT(read.size(), 14U);
    EXPECT_EQ(mixed, 1);
    EXPECT_LE(foreign_words, 4);
    int total = 0;
    for (const auto& [what, number] : read) {
        std::cout << number << " " << what << "\n";
        total += number;
    }
    std::cout << total << " replies, " << others << " of no conversations\n";
    EXPECT_GT(total, 170);
}

/// JSON with sorted keys and without what means nothing: what two requests are compared by.
std::string normal(const Value& value, std::string_view under = {}) {
    if (value.is_array()) {
        std::string out = "[";
        for (const Value& item : value.items()) out += normal(item, under) + ",";
        return out + "]";
    }
    if (!value.is_object()) {
        if (value.is_string()) return json::quoted(value.string());
        return std::string(value.raw());
    }
    // Text and JSON mean the same in a tool's result.
    if (value.members().size() == 1 && value["json"].is_object() && under == "content")
        return "{text:" + json::quoted(value["json"].raw()) + ",}";
    std::vector<std::string> members;
    for (const json::Member& member : value.members()) {
        std::string_view key = member.key;
        const Value& v = member.value;
        const bool is_empty =
            (v.is_object() && v.members().empty()) || (v.is_array() && v.items().empty());
        if (v.is_null() || (is_empty && key != "properties" && key != "input")) continue;
        if (key == "schemaVersion" || key == "stream") continue;
        if (key == "is_error" && v.as_bool() == false) continue;
        if (v["scale"].as_int() == 0) continue;  // a penalty that is off
        if (key == "max_new_tokens") key = "maxTokens";
        if (key == "top_p" && under == "inferenceConfig") key = "topP";
        // A bare text is a list of one block.
        if (key == "content" && v.is_string() && (under == "messages" || under == "content")) {
            members.push_back("content:[{text:" + json::quoted(v.string()) + ",type:\"text\",},]");
            continue;
        }
        if (key == "system" && v.is_string()) {
            members.push_back("system:[{text:" + json::quoted(v.string()) + ",type:\"text\",},]");
            continue;
        }
        members.push_back(std::string(key) + ":" + normal(v, member.key));
    }
    std::ranges::sort(members);
    std::string out = "{";
    for (const std::string& member : members) out += member + ",";
    return out + "}";
}

TEST(InvokeCorpus, RequestsComeBackAsTheyWentIn) {
    SKIP_WITHOUT_CORPUS();
    std::map<std::string, int> carried;
    int refused = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& body = exchange["request"]["body"];
        if (!body.is_object()) continue;
        SCOPED_TRACE(exchange["id"].string());
        const auto parsed = json::Document::parse(std::string(body.raw()));
        RequestContext context;
        const std::string model = model_of(exchange);
        context.model = model;
        context.is_stream = is_stream(exchange);
        const std::vector<Header> headers = headers_of(exchange["request"]);
        context.headers = headers;
        const auto request = invoke_dialect().decode_request(*parsed, context);
        if (!request) {
            // What is no conversation; and what Bedrock refused as well.
            EXPECT_TRUE(!is_conversation(exchange) ||
                exchange["response"]["status"].as_int().value_or(0) >= 400)
                << request.error().message;
            EXPECT_FALSE(request.error().field.empty());
            ++refused;
            continue;
        }
        EXPECT_EQ(request->is_stream, is_stream(exchange));
        EncodeTarget target;
        target.on_lossy = OnLossy::kRefuse;
        target.model_id = model;
        // Names and profiles that say nothing: a model of the family that the body has.
        if (request->family == "messages" && model.find("anthropic.") == std::string::npos)
            target.model_id = "anthropic.claude-haiku-4-5-20251001-v1:0";
        if (request->family == "titan" && model.find("amazon.titan") == std::string::npos)
            target.model_id = "amazon.titan-text-express-v1";
        const auto encoded = invoke_dialect().encode_request(*request, target);
        ASSERT_TRUE(encoded) << encoded.error().message;
        EXPECT_TRUE(encoded->dropped.empty()) << encoded->dropped.front();
        const auto back = json::Document::parse(encoded->body);
        ASSERT_TRUE(back) << encoded->body;
        EXPECT_EQ(normal(back->root()), normal(body));
        for (const Header& header : encoded->headers) {
            const auto found = std::ranges::find(headers, header.name, &Header::name);
            ASSERT_NE(found, headers.end()) << header.name;
            EXPECT_EQ(found->value, header.value);
        }
        ++carried[request->family];
    }
    int total = 0;
    for (const auto& [family, number] : carried) {
        std::cout << number << " " << family << "\n";
        total += number;
    }
    std::cout << total << " requests came back, " << refused << " are no conversations\n";
    EXPECT_GT(total, 160);
}

TEST(InvokeCorpus, ErrorsAreReadAsBedrockNamesThem) {
    SKIP_WITHOUT_CORPUS();
    int errors = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& response = exchange["response"];
        const int status = static_cast<int>(response["status"].as_int().value_or(0));
        if (status < 400) continue;
        SCOPED_TRACE(exchange["id"].string());
        ++errors;
        const canon::Failure failure =
            invoke_dialect().decode_failure(status, headers_of(response), response["body"].raw());
        EXPECT_EQ(failure.status, status);
        EXPECT_EQ(failure.message, response["body"]["message"].string());
        EXPECT_EQ(failure.request_id, response["headers"]["x-amzn-requestid"].string());
        EXPECT_TRUE(response["headers"]["x-amzn-errortype"].string().starts_with(failure.code));
    }
    EXPECT_GE(errors, 20);
}

TEST(InvokeCorpus, EveryCutStreamIsIncomplete) {
    SKIP_WITHOUT_CORPUS();
    int cuts = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        if (exchange["response"].find("body_base64") == nullptr) continue;
        SCOPED_TRACE(exchange["id"].string());
        const std::string bytes = reply_bytes(exchange["response"]);
        framing::EventStreamParser parser;
        std::vector<framing::EventStreamMessage> messages;
        ASSERT_TRUE(parser.feed(bytes, messages));
        if (messages.back().find(":message-type") == "exception") continue;
        // Behind the last word on the answer only the usage is missing.
        std::size_t until = bytes.size() - messages.back().raw.size();
        for (std::size_t n = 1; n < until; n += 97, ++cuts)
            EXPECT_FALSE(decode(ReplyForm::kStream, std::string_view(bytes).substr(0, n)).status);
        std::string bad = bytes;
        bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 4);
        EXPECT_FALSE(decode(ReplyForm::kStream, bad).status);
    }
    EXPECT_GT(cuts, 1000);
}

}  // namespace
}  // namespace entrepot::dialect
