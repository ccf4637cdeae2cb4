// Every recorded exchange with Cohere's Chat: read, metered to what is billed, written back. The
// recordings of its first version, of embeddings and rerankings are none of this dialect.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "dialect/cohere/cohere.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::Meter;
using json::Value;

std::filesystem::path corpus_file() {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus" / "cohere.jsonl";
}

std::vector<json::Document> exchanges() {
    std::vector<json::Document> all;
    std::ifstream file(corpus_file());
    for (std::string line; std::getline(file, line);)
        all.push_back(*json::Document::parse(std::move(line)));
    std::erase_if(all, [](const json::Document& document) {
        return document.root()["operation"].string() != "v2/chat";
    });
    return all;
}

#define SKIP_WITHOUT_CORPUS()                    \
    if (!std::filesystem::exists(corpus_file())) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

std::string reply_bytes(const Value& response) {
    if (response["body"].is_string()) return std::string(response["body"].string());
    if (response["body"].is_object()) return std::string(response["body"].raw());
    std::string out;
    for (const Value& event : response["events"].items())
        framing::append_sse(out, event["type"].string(), event.raw());
    return out;
}

struct Decoded {
    std::vector<canon::Event> events;
    Status status;
};

Decoded decode(ReplyForm form, std::string_view bytes, std::size_t piece_bytes) {
    const auto decoder = dialect().reply_decoder(form);
    Decoded decoded;
    for (std::size_t at = 0; at < bytes.size() && decoded.status; at += piece_bytes) {
        const std::string piece(bytes.substr(at, piece_bytes));
        decoded.status = decoder->feed(piece, decoded.events);
    }
    if (decoded.status) decoded.status = decoder->finish(decoded.events);
    return decoded;
}

canon::Reply fold(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

/// Texts, thoughts, calls, citations and the end of a reply.
std::string meaning(const canon::Reply& reply) {
    std::string out;
    for (const canon::Reply::Choice& choice : reply.choices) {
        for (const canon::Reply::Part& part : choice.parts)
            out += fmt::format("[{} {} {} {} {}]", static_cast<int>(part.start.kind),
                part.start.call_id, part.start.name, part.start.marks.size(), part.text);
        for (const canon::Aside& aside : choice.asides)
            out += fmt::format("<{} {}>", aside.key, aside.json);
        if (choice.finished) out += choice.finished->raw_reason;
    }
    return out + canon::to_json(reply.usage);
}

TEST(CohereCorpus, RepliesAreReadMeteredAndComeBackAsTheyWere) {
    SKIP_WITHOUT_CORPUS();
    int whole = 0, streamed = 0, cited = 0, plans = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& response = exchange["response"];
        SCOPED_TRACE(exchange["id"].string());
        const bool is_stream = !response["body"].is_object();
        const ReplyForm form = is_stream ? ReplyForm::kStream : ReplyForm::kWhole;
        const std::string bytes = reply_bytes(response);
        const Decoded decoded = decode(form, bytes, bytes.size());
        ASSERT_TRUE(decoded.status) << decoded.status.error().message;
        const canon::Reply reply = fold(decoded.events);
        ++(is_stream ? streamed : whole);
        EXPECT_TRUE(reply.has_ended);
        ASSERT_EQ(reply.choices.size(), 1U);
        ASSERT_TRUE(reply.choices[0].finished);
        EXPECT_NE(reply.choices[0].finished->reason, canon::StopReason::kOther);

        // What it states, read without the code under test.
        std::string text, thought, plan, arguments;
        std::size_t citations = 0;
        std::int64_t input = 0, output = 0;
        const auto count = [&](const Value& usage) {
            const Value& billed = usage["billed_units"];
            if (!billed.is_object()) return;
            input = billed["input_tokens"].as_int().value_or(0);
            output = billed["output_tokens"].as_int().value_or(0);
        };
        if (is_stream) {
            framing::SseParser parser;
            std::vector<framing::SseEvent> events;
            ASSERT_TRUE(parser.feed(bytes, events));
            for (const framing::SseEvent& event : events) {
                if (event.data == "[DONE]") continue;
                const auto data = json::Document::parse(std::string(event.data));
                const Value& delta = data->root()["delta"];
                const Value& message = delta["message"];
                if (data->root()["type"].string() == "content-delta") {
                    text += message["content"]["text"].string();
                    thought += message["content"]["thinking"].string();
                }
                plan += message["tool_plan"].string();
                arguments += message["tool_calls"]["function"]["arguments"].string();
                if (data->root()["type"].string() == "citation-start") ++citations;
                count(delta["usage"]);
            }
        } else {
            const Value& message = response["body"]["message"];
            for (const Value& block : message["content"].items()) {
                text += block["text"].string();
                thought += block["thinking"].string();
            }
            plan = message["tool_plan"].string();
            for (const Value& call : message["tool_calls"].items())
                arguments += call["function"]["arguments"].string();
            citations = message["citations"].items().size();
            count(response["body"]["usage"]);
        }
        std::string seen_text, seen_thought, seen_plan, seen_arguments;
        for (const canon::Reply::Part& part : reply.choices[0].parts) {
            if (part.start.kind == canon::PartKind::kText) seen_text += part.text;
            if (part.start.kind == canon::PartKind::kToolCall) seen_arguments += part.text;
            if (part.start.kind == canon::PartKind::kThought)
                (part.start.marks.empty() ? seen_thought : seen_plan) += part.text;
        }
        EXPECT_EQ(seen_text, text);
        EXPECT_EQ(seen_thought, thought);
        EXPECT_EQ(seen_plan, plan);
        // A call without arguments has an empty object.
        EXPECT_EQ(seen_arguments, arguments.empty() && !seen_arguments.empty() ? "{}" : arguments);
        EXPECT_EQ(reply.choices[0].asides.size(), citations);
        EXPECT_EQ(reply.usage[Meter::kInput], input);
        EXPECT_EQ(reply.usage[Meter::kOutput], output);
        cited += citations > 0 ? 1 : 0;
        plans += plan.empty() ? 0 : 1;

        const auto encoder = dialect().reply_encoder(form, {});
        std::string written;
        for (const canon::Event& event : decoded.events) encoder->add(event, written);
        EXPECT_TRUE(encoder->dropped().empty());
        const Decoded again = decode(form, written, written.size());
        ASSERT_TRUE(again.status) << written;
        EXPECT_EQ(meaning(fold(again.events)), meaning(reply));

        if (!is_stream) continue;
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
            const Decoded split = decode(form, bytes, piece);
            EXPECT_TRUE(split.status && split.events == decoded.events) << piece;
        }
        const std::size_t end = bytes.find("message-end");
        ASSERT_NE(end, std::string::npos);
        for (std::size_t n = 1; n < end; n += 211) {
            EXPECT_FALSE(decode(form, std::string_view(bytes).substr(0, n), bytes.size()).status);
        }
    }
    std::cout << whole << " whole replies, " << streamed << " streams, " << cited
              << " with citations, " << plans << " with a plan\n";
    EXPECT_GE(whole, 50);
    EXPECT_GE(streamed, 20);
    EXPECT_GT(cited, 5);
    EXPECT_GT(plans, 10);
}

/// JSON with sorted keys and without what means nothing: what two requests are compared by.
std::string normal(const Value& value, std::string_view under = {}) {
    if (value.is_array()) {
        std::string out = "[";
        for (const Value& item : value.items()) out += normal(item, under) + ",";
        return out + "]";
    }
    if (value.is_string()) return json::quoted(value.string());
    if (!value.is_object()) return std::string(value.raw());
    std::vector<std::string> members;
    for (const json::Member& member : value.members()) {
        const Value& v = member.value;
        // Absent, empty and off are one; where the plan or the texts are empty, there is none.
        const bool is_schema = under == "properties" || member.key == "properties";
        const bool is_empty = (v.is_array() && v.items().empty()) ||
            (v.is_object() && v.members().empty() && !is_schema);
        if (v.is_null() || is_empty) continue;
        if (member.key == "stream" && v.as_bool() == false) continue;
        if (member.key == "content" && v.is_string() && under == "messages") {
            members.push_back("content:[{text:" + json::quoted(v.string()) + ",type:\"text\",},]");
            continue;
        }
        members.push_back(std::string(member.key) + ":" + normal(v, member.key));
    }
    std::ranges::sort(members);
    std::string out = "{";
    for (const std::string& member : members) out += member + ",";
    return out + "}";
}

TEST(CohereCorpus, RequestsComeBackAsTheyWentIn) {
    SKIP_WITHOUT_CORPUS();
    int requests = 0;
    for (const json::Document& document : exchanges()) {
        const Value& exchange = document.root();
        const Value& body = exchange["request"]["body"];
        if (!body.is_object()) continue;
        SCOPED_TRACE(exchange["id"].string());
        const auto parsed = json::Document::parse(std::string(body.raw()));
        const auto request = dialect().decode_request(*parsed, {});
        ASSERT_TRUE(request) << request.error().message;
        EncodeTarget target;
        target.on_lossy = OnLossy::kRefuse;
        const auto encoded = dialect().encode_request(*request, target);
        ASSERT_TRUE(encoded) << encoded.error().message;
        EXPECT_TRUE(encoded->dropped.empty());
        const auto back = json::Document::parse(encoded->body);
        ASSERT_TRUE(back) << encoded->body;
        EXPECT_EQ(normal(back->root()), normal(body));
        ++requests;
    }
    std::cout << requests << " requests came back\n";
    EXPECT_GE(requests, 65);
}

}  // namespace
}  // namespace entrepot::dialect::cohere
