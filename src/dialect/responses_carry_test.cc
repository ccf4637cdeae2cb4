// What crosses between OpenAI's Responses and the other dialects: recorded requests judged by the
// rules that the target holds, and conversations that change their supplier and come back.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "dialect/registry.h"
#include "json/value.h"

namespace entrepot::dialect {
namespace {

using json::Document;
using json::Value;

std::filesystem::path corpus_file(const std::string& name) {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / "../shared";
    return root / "corpus" / (name + ".jsonl");
}

struct Recorded {
    std::string id;
    Document body;
};

/// The recorded requests of one file whose operation is this one.
std::vector<Recorded> requests_of(const std::string& name, std::string_view operation) {
    std::ifstream in(corpus_file(name));
    std::vector<Recorded> all;
    for (std::string line; std::getline(in, line);) {
        const auto exchange = Document::parse(std::move(line));
        EXPECT_TRUE(exchange);
        if (!exchange || exchange->root()["operation"].string() != operation) continue;
        const Value& body = exchange->root()["request"]["body"];
        if (!body.is_object()) continue;
        all.push_back({std::string(exchange->root()["id"].string()),
            Document::parse(std::string(body.raw())).value()});
    }
    return all;
}

std::string carry(std::string_view from, std::string_view to, std::string_view body,
    OnLossy on_lossy = OnLossy::kMeaning, std::string model = "claude-sonnet-4-5") {
    const auto carried = translate(*find_dialect(from), *find_dialect(to), BodyKind::kRequest, body,
        {.model_id = std::move(model), .on_lossy = on_lossy});
    EXPECT_TRUE(carried) << carried.error().message;
    return carried ? carried->bytes : std::string("{}");
}

// --- the rules, as far as they are known; each breach in words ---

using Breaches = std::vector<std::string>;

/// Of a request to a supplier of Responses.
Breaches breaches_of_responses(const Value& body) {
    Breaches breaches;
    const auto check = [&](bool is_kept, std::string rule) {
        if (!is_kept) breaches.push_back(std::move(rule));
    };
    check(body["messages"].is_null() && body["max_tokens"].is_null(), "fields of chat");
    check(!body["input"].items().empty(), "something to answer");
    std::set<std::string_view> calls;
    for (const Value& item : body["input"].items()) {
        const std::string_view type = item["type"].string();
        if (type == "function_call" || type == "custom_tool_call") {
            check(!item["call_id"].string().empty() && !item["name"].string().empty(), "call");
            check(item[type == "function_call" ? "arguments" : "input"].is_string(), "arguments");
            calls.insert(item["call_id"].string());
        } else if (type.ends_with("_output")) {
            check(calls.contains(item["call_id"].string()), "result without call");
            check(item["output"].is_string() || item["output"].is_array(), "output");
        } else if (type == "message") {
            const bool is_answer = item["role"].string() == "assistant";
            for (const Value& part : item["content"].items()) {
                const std::string_view kind = part["type"].string();
                check(is_answer == (kind == "output_text" || kind == "refusal"), "part of a role");
                check(!part["image_url"].is_object(), "an image's URL is a text");
            }
        } else {
            check(type == "reasoning", fmt::format("item {}", type));
        }
    }
    for (const Value& tool : body["tools"].items()) {
        check(tool["function"].is_null() && tool["name"].is_string(), "tools are flat");
        check(tool["type"].string() != "function" || tool["strict"].is_bool(), "strict is said");
    }
    check(body["tool_choice"].is_null() || !body["tools"].items().empty(), "choice of nothing");
    check(body["store"].is_bool(), "storing is said");
    return breaches;
}

/// Of a request to a supplier of chat completions.
Breaches breaches_of_chat(const Value& body) {
    Breaches breaches;
    const auto check = [&](bool is_kept, std::string rule) {
        if (!is_kept) breaches.push_back(std::move(rule));
    };
    check(!body["messages"].items().empty(), "messages");
    std::set<std::string_view> open;
    for (const Value& message : body["messages"].items()) {
        const std::string_view role = message["role"].string();
        if (role == "tool") {
            check(open.erase(message["tool_call_id"].string()) == 1, "result without call");
            continue;
        }
        check(open.empty(), "calls are answered at once");
        for (const Value& call : message["tool_calls"].items()) {
            check(role == "assistant", "who calls");
            open.insert(call["id"].string());
        }
        check(message["content"].is_string() || message["content"].is_array() ||
                !message["tool_calls"].items().empty(),
            "content");
    }
    for (const Value& tool : body["tools"].items())
        check(tool["function"]["name"].is_string() || tool["custom"]["name"].is_string(), "tools");
    check(body["tool_choice"].is_null() || !body["tools"].items().empty(), "choice of nothing");
    return breaches;
}

/// A history that its own supplier can follow only with what it has stored, or not at all.
bool has_open_history(const Value& body) {
    std::set<std::string_view> open;
    for (const Value& item : body["input"].items()) {
        const std::string_view type = item["type"].string();
        if (type.ends_with("_output") && open.erase(item["call_id"].string()) == 0) return true;
        if (type == "function_call") open.insert(item["call_id"].string());
    }
    std::set<std::string_view> asked;
    for (const Value& message : body["messages"].items()) {
        if (message["role"].string() == "tool" && !asked.contains(message["tool_call_id"].string()))
            return true;
        for (const Value& call : message["tool_calls"].items()) asked.insert(call["id"].string());
        for (const Value& block : message["content"].items()) {
            const bool is_result = block["type"].string() == "tool_result";
            if (is_result && !asked.contains(block["tool_use_id"].string())) return true;
            if (block["type"].string() == "tool_use") asked.insert(block["id"].string());
        }
    }
    return !open.empty();
}

struct Tally {
    std::size_t carried = 0;
    std::map<std::string, std::size_t> refused;  // by field, indices taken out

    void refuse(std::string_view field) {
        std::string name;
        for (const char c : field)
            if (c < '0' || c > '9') name += c;
        ++refused[name];
    }
    void print(const char* what) const {
        std::string words = fmt::format("{}: {} carried; refused:", what, carried);
        for (const auto& [field, count] : refused) words += fmt::format(" {} {}", field, count);
        std::puts(words.c_str());
    }
};

Tally carry_all(const std::vector<Recorded>& all, std::string_view from, std::string_view to,
    Breaches (*breaches_of)(const Value& body)) {
    Tally tally;
    for (const auto& [id, body] : all) {
        const auto request = find_dialect(from)->decode_request(body, {});
        if (!request) continue;  // its own supplier refused it too
        const auto encoded =
            find_dialect(to)->encode_request(*request, {.model_id = "claude-sonnet-4-5"});
        if (!encoded) {
            EXPECT_EQ(encoded.error().code, ErrorCode::kUnsupported) << id;
            EXPECT_FALSE(encoded.error().field.empty()) << id;
            tally.refuse(encoded.error().field);
            continue;
        }
        ++tally.carried;
        const auto written = Document::parse(encoded->body);
        EXPECT_TRUE(written) << id;
        if (written && breaches_of != nullptr && !has_open_history(body.root())) {
            EXPECT_EQ(breaches_of(written->root()), Breaches{}) << id << encoded->body;
        }
    }
    return tally;
}

class ResponsesCarry : public testing::Test {
protected:
    void SetUp() override {
        if (!std::filesystem::exists(corpus_file("openai-responses")))
            GTEST_SKIP() << "the recorded exchanges are not beside the project; ENTREPOT_SHARED "
                            "names the folder that holds corpus/";
    }
};

TEST_F(ResponsesCarry, RequestsThatReachAResponsesSupplierKeepItsRules) {
    const Tally chat = carry_all(requests_of("openai-chat", "chat.completions"), "openai-chat",
        "openai-responses", breaches_of_responses);
    chat.print("openai-chat");
    EXPECT_GE(chat.carried, 460u);
    const Tally messages = carry_all(requests_of("anthropic-messages", "messages"),
        "anthropic-messages", "openai-responses", breaches_of_responses);
    messages.print("anthropic-messages");
    EXPECT_GE(messages.carried, 230u);
    const Tally converse = carry_all(requests_of("bedrock-converse", "converse"),
        "bedrock-converse", "openai-responses", breaches_of_responses);
    converse.print("bedrock-converse");
}

TEST_F(ResponsesCarry, RequestsOfResponsesClientsKeepTheRulesOfChat) {
    const auto all = requests_of("openai-responses", "responses");
    const Tally chat = carry_all(all, "openai-responses", "openai-chat", breaches_of_chat);
    chat.print("to openai-chat");
    EXPECT_GE(chat.carried, 200u);
    const Tally messages = carry_all(all, "openai-responses", "anthropic-messages", nullptr);
    messages.print("to anthropic-messages");
    EXPECT_GE(messages.carried, 180u);
}

// A coding agent sends thoughts, words and calls of one answer as items apart.
TEST(ResponsesToChat, TheItemsOfOneAnswerBecomeOneMessage) {
    const std::string body = carry("openai-responses", "openai-chat",
        R"({"model":"m","store":false,"include":["reasoning.encrypted_content"],"input":[)"
        R"({"role":"user","content":"q"},{"type":"reasoning","id":"rs_1","summary":[]},)"
        R"({"type":"message","role":"assistant","id":"msg_1","status":"completed",)"
        R"("phase":"commentary","content":[{"type":"output_text","text":"let me see",)"
        R"("annotations":[]}]},)"
        R"({"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}"},)"
        R"({"type":"function_call","id":"fc_2","call_id":"c2","name":"f","arguments":"{}"},)"
        R"({"type":"function_call_output","call_id":"c1","output":"r1"},)"
        R"({"type":"function_call_output","call_id":"c2","output":"r2"}]})",
        OnLossy::kRefuse);
    const auto document = Document::parse(body);
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root()["messages"].raw(),
        R"([{"role":"user","content":"q"},{"role":"assistant","content":"let me see",)"
        R"("tool_calls":[{"id":"c1","type":"function","function":{"name":"f",)"
        R"("arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"f",)"
        R"("arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"r1"},)"
        R"({"role":"tool","tool_call_id":"c2","content":"r2"}])");
}

TEST(ResponsesToOthers, StoredStateIsRefusedByName) {
    for (const std::string field :
        {"previous_response_id", "conversation", "background", "prompt"}) {
        const std::string value = field == "background" ? "true"
            : field == "prompt"                         ? R"({"id":"pmpt_1"})"
                                                        : R"("x_1")";
        const auto document = Document::parse(
            R"({"model":"m","input":"hi","max_output_tokens":99,")" + field + "\":" + value + "}");
        const auto request = find_dialect("openai-responses")->decode_request(*document, {});
        ASSERT_TRUE(request);
        for (const char* to : {"openai-chat", "anthropic-messages", "bedrock-converse", "gemini"}) {
            const auto encoded =
                find_dialect(to)->encode_request(*request, {.model_id = "claude-sonnet-4-5"});
            ASSERT_FALSE(encoded) << to << field;
            EXPECT_EQ(encoded.error().field, field) << to;
        }
    }
}

// --- a conversation with two suppliers ---

/// What a client of Responses sends next: what it asked, what was answered, and the results.
std::string next_request(std::string_view reply, std::string_view results) {
    const auto document = Document::parse(std::string(reply));
    EXPECT_TRUE(document) << reply;
    std::string input = R"({"role":"user","content":"q"})";
    if (document)
        for (const Value& item : document->root()["output"].items())
            input += "," + std::string(item.raw());
    return fmt::format(R"({{"model":"m","max_output_tokens":4000,"reasoning":{{"effort":"high"}},)"
                       R"("tools":[{{"type":"function","name":"f","parameters":)"
                       R"({{"type":"object","properties":{{}}}}}}],"input":[{}{}]}})",
        input, results);
}

std::string shown_to_responses(std::string_view from, std::string_view reply) {
    const auto carried = translate(
        *find_dialect(from), *find_dialect("openai-responses"), BodyKind::kResponse, reply);
    EXPECT_TRUE(carried) << carried.error().message;
    return carried ? carried->bytes : "";
}

constexpr std::string_view kResults =
    R"(,{"type":"function_call_output","call_id":"toolu_1","output":"r"})";

TEST(ResponsesConversation, ThoughtsReturnToTheirMakerWithTheirSignatures) {
    const std::string reply = shown_to_responses("anthropic-messages",
        R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[)"
        R"({"type":"thinking","thinking":"hm","signature":"EqSig=="},)"
        R"({"type":"redacted_thinking","data":"EmRed=="},{"type":"text","text":"let me see"},)"
        R"({"type":"tool_use","id":"toolu_1","name":"f","input":{}}],"stop_reason":"tool_use",)"
        R"("usage":{"input_tokens":3,"output_tokens":5}})");
    const std::string next = next_request(reply, kResults);
    const std::string back =
        carry("openai-responses", "anthropic-messages", next, OnLossy::kRefuse);
    EXPECT_NE(back.find(R"({"type":"thinking","thinking":"hm","signature":"EqSig=="},)"
                        R"({"type":"redacted_thinking","data":"EmRed=="},)"
                        R"({"type":"text","text":"let me see"},)"
                        R"({"type":"tool_use","id":"toolu_1","name":"f","input":{}})"),
        std::string::npos)
        << back;
    // No other maker is shown them, nor the ids that we made.
    for (const char* to : {"openai-responses", "openai-chat", "bedrock-converse", "gemini"}) {
        const std::string other = carry("openai-responses", to, next, OnLossy::kMeaning, "gpt-5");
        EXPECT_EQ(other.find("EqSig"), std::string::npos) << to << other;
        EXPECT_EQ(other.find("EmRed"), std::string::npos) << to << other;
        EXPECT_EQ(other.find("epot"), std::string::npos) << to << other;
        EXPECT_NE(other.find("let me see"), std::string::npos) << to << other;
    }
}

TEST(ResponsesConversation, ASignedCallReturnsSigned) {
    const std::string reply = shown_to_responses("gemini",
        R"({"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f",)"
        R"("args":{}},"thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],"modelVersion":"g"})");
    const auto document = Document::parse(reply);
    ASSERT_TRUE(document);
    const std::string id(document->root()["output"].items()[0]["call_id"].string());
    const std::string next = next_request(
        reply, R"(,{"type":"function_call_output","call_id":")" + id + R"(","output":"r"})");
    const std::string back =
        carry("openai-responses", "gemini", next, OnLossy::kMeaning, "gemini-3-pro");
    EXPECT_NE(back.find(R"("thoughtSignature":"c2ln")"), std::string::npos) << back;
}

// The other way: encrypted reasoning goes back to a Responses supplier as it was.
TEST(ResponsesConversation, EncryptedReasoningOfItsOwnStaysWhole) {
    const std::string reply =
        R"({"id":"resp_1","object":"response","status":"completed","model":"gpt-5","output":[)"
        R"({"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},)"
        R"({"type":"function_call","id":"fc_1","call_id":"toolu_1","name":"f","arguments":"{}",)"
        R"("status":"completed"}]})";
    const std::string shown = shown_to_responses("openai-responses", reply);
    const std::string back =
        carry("openai-responses", "openai-responses", next_request(shown, kResults));
    EXPECT_NE(back.find(R"("encrypted_content":"gAAA")"), std::string::npos) << back;
    EXPECT_NE(back.find(R"("id":"rs_1")"), std::string::npos) << back;
    EXPECT_NE(back.find(R"("id":"fc_1")"), std::string::npos) << back;
}

}  // namespace
}  // namespace entrepot::dialect
