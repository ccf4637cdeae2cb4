// The simulated replies against recorded real ones: no key that no supplier sends, none missing
// that all send, and streams in an order that was recorded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "framing/event_stream.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;
using Paths = std::set<std::string>;

constexpr Instant kNow{1'700'000'000'000'000'000};

std::filesystem::path corpus_file(std::string_view name) {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus" / (std::string(name) + ".jsonl");
}

#define SKIP_WITHOUT_CORPUS()                                 \
    if (!std::filesystem::exists(corpus_file("openai-chat"))) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

void add_paths(const Value& value, const std::string& path, Paths& out) {
    for (const Value& item : value.items()) add_paths(item, path + "[]", out);
    for (const json::Member& member : value.members()) {
        const std::string next = path + "." + std::string(member.key);
        out.insert(next);
        if ((member.key != "input" && member.key != "args") ||
            path.find("usage") != std::string::npos)  // the model's own words
            add_paths(member.value, next, out);
    }
}

/// What an event is, as far as its place in a stream goes; empty for what may come anywhere.
std::string kind_of(std::string_view name, const Value& data) {
    if (name == "ping") return {};
    if (!name.empty()) return std::string(name);
    if (const Value& candidates = data["candidates"]; !candidates.items().empty())
        return candidates.items().front()["finishReason"].is_string() ? "finish" : "delta";
    const Value& choices = data["choices"];
    if (choices.items().empty()) return data["usage"].is_object() ? "usage" : "filter";
    const Value& choice = choices.items().front();
    if (choice["finish_reason"].is_string()) return "finish";
    return choice["delta"]["role"].is_string() ? "role" : "delta";
}

struct Event {
    std::string name;
    json::Document data;
};

std::vector<Event> events_of(std::string_view bytes, bool is_binary) {
    std::vector<Event> out;
    if (is_binary) {
        framing::EventStreamParser parser;
        std::vector<framing::EventStreamMessage> messages;
        EXPECT_TRUE(parser.feed(bytes, messages));
        for (const auto& message : messages)
            out.push_back({std::string(message.find(":event-type")),
                *json::Document::parse(std::string(message.payload))});
        return out;
    }
    framing::SseParser parser;
    std::vector<framing::SseEvent> events;
    EXPECT_TRUE(parser.feed(bytes, events));
    for (const framing::SseEvent& event : events)
        if (auto data = json::Document::parse(std::string(event.data)))
            out.push_back({std::string(event.name), std::move(*data)});
    return out;
}

/// The kinds of a stream's events, repetitions folded.
std::string order_of(const std::vector<Event>& events) {
    std::string out, last;
    for (const Event& event : events) {
        const std::string kind = kind_of(event.name, event.data.root());
        if (kind.empty() || kind == last) continue;
        out += kind + " ";
        last = kind;
    }
    return out;
}

struct Recorded {
    Paths whole_some, whole_all;  // keys of some reply, of all replies
    Paths stream_some;
    std::set<std::string> orders;
    int wholes = 0, streams = 0;
};

Recorded recorded(std::string_view file, std::string_view provider, bool is_binary) {
    Recorded out;
    std::ifstream in(corpus_file(file));
    for (std::string line; std::getline(in, line);) {
        const auto parsed = json::Document::parse(std::move(line));
        const Value& exchange = parsed->root();
        const Value& response = exchange["response"];
        const std::string_view operation = exchange["operation"].string();
        if (response["status"].as_int() != 200 ||
            (!provider.empty() && exchange["provider"].string() != provider) ||
            (operation != "chat.completions" && operation != "messages" && operation != "v2/chat" &&
                operation != "generateContent" && operation != "streamGenerateContent" &&
                !operation.starts_with("converse")))
            continue;
        if (exchange["stream"].as_bool() != true) {
            if (exchange["fidelity"].string() != "json" || !response["body"].is_object()) continue;
            Paths paths;
            add_paths(response["body"], "", paths);
            out.whole_some.insert(paths.begin(), paths.end());
            if (out.wholes++ == 0) out.whole_all = paths;
            std::erase_if(
                out.whole_all, [&](const std::string& path) { return !paths.contains(path); });
        } else if (exchange["fidelity"].string() == "wire") {
            std::string bytes(response["body"].string());
            if (is_binary) {
                EXPECT_TRUE(base64_decode(response["body_base64"].string(), bytes));
            }
            const std::vector<Event> events = events_of(bytes, is_binary);
            for (const Event& event : events)
                add_paths(event.data.root(), event.name, out.stream_some);
            out.orders.insert(order_of(events));
            ++out.streams;
        }
    }
    return out;
}

void expect_shapes(const Cloud& cloud, const Recorded& real, bool is_binary) {
    ASSERT_GT(real.wholes, 3);
    ASSERT_GT(real.streams, 3);
    Brain brain;
    Ask text;
    text.model = cloud.address().models.front();
    text.prompt = "Say hello.";
    Ask call = text;
    call.tools = {{"now", R"({"type":"object","properties":{"zone":{"type":"string"}}})"}};
    call.tool_mode = Ask::ToolMode::kRequired;
    for (Ask ask : {text, call}) {
        SCOPED_TRACE(ask.tools.empty() ? "a text" : "a call");
        const Answer answer = brain.think(ask, Control());
        const auto whole = json::Document::parse(cloud.whole(ask, answer, true, kNow));
        ASSERT_TRUE(whole);
        Paths paths;
        add_paths(whole->root(), "", paths);
        for (const std::string& path : paths)
            EXPECT_TRUE(real.whole_some.contains(path)) << path << " was never recorded";
        for (const std::string& path : real.whole_all)
            EXPECT_TRUE(paths.contains(path)) << path << " was always recorded";

        ask.is_stream = true;
        std::string bytes;
        for (const std::string& event : cloud.stream(ask, answer, Control(), true, kNow))
            bytes += event;
        const std::vector<Event> events = events_of(bytes, is_binary);
        Paths streamed;
        for (const Event& event : events) add_paths(event.data.root(), event.name, streamed);
        for (const std::string& path : streamed)
            EXPECT_TRUE(real.stream_some.contains(path)) << path << " was never streamed";
        EXPECT_TRUE(real.orders.contains(order_of(events)))
            << "no recorded stream has this order: " << order_of(events) << "\nbut "
            << testing::PrintToString(real.orders);
    }
    std::cout << cloud.address().name << ": held to " << real.wholes << " replies and "
              << real.streams << " streams\n";
}

TEST(CloudsimShapes, OpenAiIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(
        *make_openai(OpenAiKind::kOpenAi), recorded("openai-chat", "openai", false), false);
}

TEST(CloudsimShapes, CompatibleIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(
        *make_openai(OpenAiKind::kCompatible), recorded("openai-compatible", "", false), false);
}

TEST(CloudsimShapes, AzureIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(*make_openai(OpenAiKind::kAzure), recorded("azure-openai", "", false), false);
}

TEST(CloudsimShapes, AnthropicIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(*make_anthropic(), recorded("anthropic-messages", "anthropic", false), false);
}

TEST(CloudsimShapes, GeminiIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(*make_gemini(), recorded("gemini", "gemini", false), false);
}

TEST(CloudsimShapes, VertexIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(*make_vertex(), recorded("vertex", "vertex", false), false);
}

TEST(CloudsimShapes, CohereIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(*make_cohere(), recorded("cohere", "cohere", false), false);
}

TEST(CloudsimShapes, BedrockIsAsRecorded) {
    SKIP_WITHOUT_CORPUS();
    expect_shapes(*make_bedrock(), recorded("bedrock-converse", "bedrock", true), true);
}

}  // namespace
}  // namespace entrepot::cloudsim
