// What crosses between Google's generateContent and the other dialects, over the recorded
// exchanges: requests both ways, judged by the rules that Google is known to hold, replies, and
// signatures that find their way back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "dialect/registry.h"
#include "json/value.h"

namespace entrepot::dialect {
namespace {

using canon::PartKind;
using json::Document;
using json::Value;

std::filesystem::path corpus_folder() {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus";
}

#define SKIP_WITHOUT_CORPUS()                      \
    if (!std::filesystem::exists(corpus_folder())) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

struct Recorded {
    std::string id;
    std::string model;
    std::string request;
    std::string reply;
    bool is_stream = false;
};

/// Exchanges with an answer, as far as they are conversations.
std::vector<Recorded> recorded(std::string_view name) {
    std::vector<Recorded> all;
    std::ifstream file(corpus_folder() / fmt::format("{}.jsonl", name));
    for (std::string line; std::getline(file, line);) {
        const auto document = Document::parse(std::move(line));
        const Value& root = document->root();
        const std::string_view operation = root["operation"].string();
        if (operation != "chat.completions" && operation != "messages" &&
            !operation.ends_with("enerateContent"))
            continue;
        if (root["response"]["status"].as_int() != 200) continue;
        Recorded one{std::string(root["id"].string()), std::string(root["model"].string()), {}, {},
            root["stream"].as_bool() == true};
        if (root["request"]["body"].is_object()) one.request = root["request"]["body"].raw();
        if (const Value& body = root["response"]["body"]; !body.is_null())
            one.reply = body.is_string() ? body.string() : body.raw();
        all.push_back(std::move(one));
    }
    return all;
}

Result<canon::Request> decode(
    const Dialect& dialect, const std::string& body, std::string_view model) {
    const auto document = Document::parse(body);
    if (!document) return std::unexpected(document.error());
    RequestContext context;
    if (dialect.has_model_in_path) context.model = model;
    return dialect.decode_request(*document, context);
}

// --- Google's rules, as far as they are known; each breach in words ---

class Rules {
public:
    explicit Rules(const Value& body) : body_(body) {}

    std::vector<std::string> breaches() {
        for (const json::Member& member : body_.members())
            check(kFields.contains(std::string(member.key)), std::string(member.key));
        check(!body_["contents"].items().empty(), "contents");
        for (const Value& part : body_["systemInstruction"]["parts"].items())
            check(part["text"].is_string(), "system text");
        std::string_view role;
        std::size_t calls = 0;
        for (const Value& content : body_["contents"].items()) {
            check(
                content["role"].string() == "user" || content["role"].string() == "model", "role");
            check(content["role"].string() != role, "roles alternate");
            role = content["role"].string();
            check(!content["parts"].items().empty(), "parts");
            const std::size_t called = check_parts(content, calls);
            calls = called;
        }
        for (const Value& entry : body_["tools"].items())
            for (const Value& function : entry["functionDeclarations"].items()) {
                check(is_name(function["name"].string()), "tool name");
                check(function["parameters"].is_null(), "parameters");
            }
        check_generation(body_["generationConfig"]);
        const Value& calling = body_["toolConfig"]["functionCallingConfig"];
        check(calling.is_null() || !body_["tools"].items().empty(), "a choice without tools");
        check(calling["allowedFunctionNames"].is_null() || calling["mode"].string() == "ANY",
            "allowed names without ANY");
        return breaches_;
    }

private:
    static const inline std::set<std::string> kFields{"contents", "systemInstruction", "tools",
        "toolConfig", "generationConfig", "serviceTier", "labels"};

    void check(bool is_kept, std::string rule) {
        if (!is_kept) breaches_.push_back(std::move(rule));
    }
    static bool is_name(std::string_view name) {
        return !name.empty() && name.size() <= 64 && !(name[0] >= '0' && name[0] <= '9') &&
            name.find_first_not_of(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                "0123456789_.:-") == std::string_view::npos;
    }

    /// The calls that the content makes.
    std::size_t check_parts(const Value& content, std::size_t asked) {
        const bool is_model = content["role"].string() == "model";
        std::size_t calls = 0, results = 0;
        for (const Value& part : content["parts"].items()) {
            if (const Value& call = part["functionCall"]; call.is_object()) {
                check(is_model && is_name(call["name"].string()) && call["args"].is_object(),
                    "functionCall");
                check(calls > 0 || !part["thoughtSignature"].string().empty(), "signature");
                ++calls;
            } else if (const Value& result = part["functionResponse"]; result.is_object()) {
                check(
                    !is_model && is_name(result["name"].string()) && result["response"].is_object(),
                    "functionResponse");
                ++results;
            } else if (const Value& data = part["inlineData"]; data.is_object()) {
                check(!data["mimeType"].string().empty() && data["data"].is_string(), "inlineData");
            } else if (const Value& file = part["fileData"]; file.is_object()) {
                check(
                    !file["mimeType"].string().empty() && file["fileUri"].is_string(), "fileData");
            } else {
                check(!part["text"].string().empty(), "text");
            }
        }
        check(results == 0 || results == asked, "as many results as calls");
        return calls;
    }

    void check_generation(const Value& config) {
        const Value& thinking = config["thinkingConfig"];
        check(thinking["thinkingBudget"].is_null() || thinking["thinkingLevel"].is_null(),
            "one measure of thinking");
        check(config["stopSequences"].items().size() <= 5, "stopSequences");
        check(config["candidateCount"].as_int().value_or(1) <= 8, "candidateCount");
        check(config["responseJsonSchema"].is_null() ||
                config["responseMimeType"].string() == "application/json",
            "a schema without JSON");
    }

    const Value& body_;
    std::vector<std::string> breaches_;
};

/// What a conversation says: texts, calls and results in order, ids and empty texts aside.
std::string gist(const canon::Request& request) {
    std::string out;
    for (const canon::Item& item : request.items) {
        if (const auto* text = std::get_if<canon::Text>(&item.body)) {
            out += text->text;
        } else if (const auto* call = std::get_if<canon::ToolCall>(&item.body)) {
            out += fmt::format("[{} {}]", call->name, call->arguments);
        } else if (const auto* result = std::get_if<canon::ToolResult>(&item.body)) {
            for (const canon::Item& part : result->content)
                if (const auto* said = std::get_if<canon::Text>(&part.body))
                    out += fmt::format("<{}>", said->text);
        } else if (const auto* media = std::get_if<canon::Media>(&item.body)) {
            out += fmt::format("({} bytes)", media->data.size());
        }
    }
    return out;
}

void tell(std::string_view what, const std::map<std::string, int>& fields) {
    std::vector<std::string> all;
    for (const auto& [field, times] : fields) all.push_back(fmt::format("{} {}", times, field));
    std::cout << what << ": " << fmt::format("{}\n", fmt::join(all, ", "));
}

/// `messages[3].content[1].x` as `messages[].content[].x`, for counting.
std::string kind_of(std::string_view field) {
    std::string out;
    for (const char c : field)
        if (c < '0' || c > '9') out += c;
    return out;
}

TEST(GeminiCarry, ChatRequestsKeepGooglesRulesOrAreRefusedByName) {
    SKIP_WITHOUT_CORPUS();
    const Dialect& chat = *find_dialect("openai-chat");
    int carried = 0, refused = 0;
    std::map<std::string, int> refusals, named;
    for (const std::string_view service : {"gemini", "vertex"})
        for (const Recorded& exchange : recorded("openai-chat")) {
            if (exchange.request.empty()) continue;
            SCOPED_TRACE(exchange.id);
            const auto request = decode(chat, exchange.request, exchange.model);
            if (!request) continue;
            EncodeTarget target;
            target.model_id = "gemini-3-pro-preview";
            const Dialect& google = *find_dialect(service);
            const auto encoded = google.encode_request(*request, target);
            if (!encoded) {
                EXPECT_FALSE(encoded.error().field.empty()) << encoded.error().message;
                ++refusals[kind_of(encoded.error().field)];
                ++refused;
                continue;
            }
            for (const std::string& field : encoded->dropped) ++named[kind_of(field)];
            const auto body = Document::parse(encoded->body);
            ASSERT_TRUE(body) << encoded->body;
            EXPECT_THAT(Rules(body->root()).breaches(), testing::IsEmpty()) << encoded->body;
            ++carried;
        }
    EXPECT_GT(carried, 700);
    std::cout << carried << " carried, " << refused << " refused\n";
    tell("refused", refusals);
    tell("named", named);
}

TEST(GeminiCarry, ChatToGoogleToChatSaysTheSame) {
    SKIP_WITHOUT_CORPUS();
    const Dialect& chat = *find_dialect("openai-chat");
    int carried = 0;
    for (const std::string_view service : {"gemini", "vertex"})
        for (const Recorded& exchange : recorded("openai-chat")) {
            if (exchange.request.empty()) continue;
            SCOPED_TRACE(exchange.id);
            const auto request = decode(chat, exchange.request, exchange.model);
            if (!request) continue;
            const Dialect& google = *find_dialect(service);
            EncodeTarget target;
            target.model_id = "gemini-3-pro-preview";
            const auto there = google.encode_request(*request, target);
            if (!there) continue;
            const auto seen = decode(google, there->body, "gemini-3-pro-preview");
            ASSERT_TRUE(seen) << seen.error().message;
            target.model_id = exchange.model;
            target.on_lossy = OnLossy::kName;
            const auto back = chat.encode_request(*seen, target);
            ASSERT_TRUE(back) << back.error().message;
            const auto again = decode(chat, back->body, exchange.model);
            ASSERT_TRUE(again) << again.error().message;
            ++carried;
            const bool is_reordered = std::ranges::any_of(
                request->items, [](const auto& item) { return item.role == canon::Role::kTool; });
            if (!is_reordered) {
                EXPECT_EQ(gist(*again), gist(*request));
            }
            EXPECT_EQ(gist(*again).size(), gist(*request).size());
            EXPECT_EQ(again->output_tokens_max, request->output_tokens_max);
            EXPECT_EQ(again->temperature, request->temperature);
            ASSERT_EQ(again->tools.size(), request->tools.size());
            for (std::size_t i = 0; i < again->tools.size(); ++i) {
                EXPECT_EQ(again->tools[i].name, request->tools[i].name);
                EXPECT_EQ(again->tools[i].parameters, request->tools[i].parameters);
            }
            EXPECT_EQ(again->format ? again->format->schema : "",
                request->format ? request->format->schema : "");
        }
    EXPECT_GT(carried, 700);
    std::cout << carried << " carried there and back\n";
}

TEST(GeminiCarry, GooglesRequestsReachEveryOtherDialectOrAreRefusedByName) {
    SKIP_WITHOUT_CORPUS();
    for (const std::string_view name : {"openai-chat", "anthropic-messages", "bedrock-converse"}) {
        const Dialect& to = *find_dialect(name);
        int carried = 0, refused = 0;
        std::map<std::string, int> refusals, named;
        for (const std::string_view service : {"gemini", "vertex"})
            for (const Recorded& exchange : recorded(service)) {
                if (exchange.request.empty()) continue;
                SCOPED_TRACE(fmt::format("{} to {}", exchange.id, name));
                const auto request =
                    decode(*find_dialect(service), exchange.request, exchange.model);
                ASSERT_TRUE(request) << request.error().message;
                EncodeTarget target;
                target.model_id = "some-model";
                const auto encoded = to.encode_request(*request, target);
                if (!encoded) {
                    EXPECT_FALSE(encoded.error().field.empty()) << encoded.error().message;
                    ++refusals[kind_of(encoded.error().field)];
                    ++refused;
                    continue;
                }
                ++carried;
                for (const std::string& field : encoded->dropped) ++named[kind_of(field)];
                // Ids that we made up are legal everywhere, and pair up.
                const auto again = decode(to, encoded->body, "some-model");
                ASSERT_TRUE(again) << again.error().message << encoded->body;
                std::set<std::string> calls;
                for (const canon::Item& item : again->items) {
                    if (const auto* call = std::get_if<canon::ToolCall>(&item.body)) {
                        EXPECT_TRUE(calls.insert(call->id).second) << call->id;
                    }
                    if (const auto* result = std::get_if<canon::ToolResult>(&item.body)) {
                        EXPECT_TRUE(calls.contains(result->call_id)) << encoded->body;
                    }
                }
            }
        EXPECT_GT(carried, 300) << name;
        std::cout << "to " << name << ": " << carried << " carried, " << refused << " refused\n";
        tell("refused", refusals);
        tell("named", named);
    }
}

/// What an answer means, without ids, signatures and what usage cannot tell apart.
std::string meaning(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    std::string out;
    for (const auto& choice : reply.choices) {
        std::string text, thought, calls;
        for (const auto& part : choice.parts) {
            if (part.start.kind == PartKind::kText || part.start.kind == PartKind::kRefusal)
                text += part.text;
            if (part.start.kind == PartKind::kThought) thought += part.text;
            if (part.start.kind == PartKind::kToolCall)
                calls +=
                    fmt::format("[{} {}]", part.start.name, part.text.empty() ? "{}" : part.text);
        }
        out += fmt::format("{}|{}|{}\n", text, thought, calls);
    }
    if (reply.has_usage)
        out += fmt::format("{} {} {}", reply.usage.prompt_tokens(), reply.usage.answer_tokens(),
            std::min(reply.usage[canon::Meter::kReasoning], reply.usage[canon::Meter::kOutput]));
    // Google's clients read an event as one line, so arguments lose their line ends.
    std::ranges::replace(out, '\n', ' ');
    return out;
}

TEST(GeminiCarry, RepliesOfOthersAreReadByGooglesClientsAsTheyWereMeant) {
    SKIP_WITHOUT_CORPUS();
    for (const std::string_view name : {"openai-chat", "anthropic-messages"}) {
        const Dialect& from = *find_dialect(name);
        int carried = 0, left_out = 0;
        for (const Recorded& exchange : recorded(name)) {
            if (exchange.reply.empty()) continue;
            const auto events = decode_all(
                from, exchange.is_stream ? ReplyForm::kStream : ReplyForm::kWhole, exchange.reply);
            if (!events) continue;
            SCOPED_TRACE(exchange.id);
            const auto says_object = [](const canon::Event& event) {
                const auto* call = std::get_if<canon::PartStarted>(&event);
                return call != nullptr && call->is_custom;
            };
            if (std::ranges::any_of(*events, says_object)) {
                ++left_out;  // free-form input becomes a member
                continue;
            }
            for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream})
                for (const bool is_array : {false, true}) {
                    const Dialect& google = *find_dialect(is_array ? "vertex" : "gemini");
                    ReplyContext context;
                    context.wants_json_array = is_array;
                    const auto encoder = google.reply_encoder(form, context);
                    std::string bytes;
                    for (const canon::Event& event : *events) encoder->add(event, bytes);
                    const auto again = decode_all(google, form, bytes);
                    ASSERT_TRUE(again) << again.error().message << bytes.substr(0, 500);
                    const bool has_failed = std::holds_alternative<canon::Failed>(events->back());
                    if (has_failed && form == ReplyForm::kWhole) continue;
                    if (std::ranges::count(encoder->dropped(), "tool_calls") > 0) {
                        ++left_out;  // a call that was cut is told as malformed
                        continue;
                    }
                    EXPECT_EQ(meaning(*again), meaning(*events)) << bytes.substr(0, 2000);
                }
            ++carried;
        }
        EXPECT_GT(carried, 350) << name;
        std::cout << name << ": " << carried << " replies read by Google's clients, " << left_out
                  << " left out\n";
    }
}

// A conversation with thinking, from a client of Google's to Claude and back again.
// OpenAI refuses the field, and the proof is Google's: only servers of Google's models take it.
TEST(GeminiCarry, TheSignatureOfACallGoesToGooglesModelsInChatCompletionsAndToNoOther) {
    const auto request = decode(*find_dialect("gemini"),
        R"({"contents":[{"role":"user","parts":[{"text":"x"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{}},
            "thoughtSignature":"cHJvb2Y="}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"a":1}}}]}],
        "tools":[{"functionDeclarations":[{"name":"f"}]}]})",
        "m");
    ASSERT_TRUE(request);
    EncodeTarget target{.model_id = "m"};
    const auto other = find_dialect("openai-chat")->encode_request(*request, target);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ(other->body.find("cHJvb2Y="), std::string::npos) << other->body;
    EXPECT_THAT(other->dropped, testing::Contains("signature"));
    target.model_id = "google/gemini-3-pro";
    const auto own = find_dialect("openai-chat")->encode_request(*request, target);
    ASSERT_TRUE(own);
    EXPECT_NE(own->body.find(R"("extra_content":{"google":{"thought_signature":"cHJvb2Y="}})"),
        std::string::npos)
        << own->body;
}

TEST(GeminiCarry, AThinkingSignatureReachesItsMakerThroughGooglesClient) {
    const Dialect& claude = *find_dialect("anthropic-messages");
    const Dialect& google = *find_dialect("gemini");
    const std::vector<canon::Event> events = *decode_all(claude, ReplyForm::kWhole,
        R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[
        {"type":"thinking","thinking":"let me see","signature":"cHJvb2Y="},
        {"type":"redacted_thinking","data":"Y2lwaGVy"},
        {"type":"tool_use","id":"toolu_1","name":"f","input":{"x":1}}],
        "stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":9}})");
    for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
        const auto encoder = google.reply_encoder(form, {});
        std::string bytes;
        for (const canon::Event& event : events) encoder->add(event, bytes);
        EXPECT_TRUE(encoder->dropped().empty());
        // The client keeps each content that it was given.
        std::string contents = R"({"role":"user","parts":[{"text":"a"}]})";
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
            std::string_view line = std::string_view(bytes).substr(at, end - at);
            if (line.starts_with("data: ")) line.remove_prefix(6);
            if (const auto chunk = Document::parse(std::string(line))) {
                const Value& content = chunk->root()["candidates"].items()[0]["content"];
                if (!content["parts"].items().empty())
                    contents += fmt::format(",{}", content.raw());
            }
            at = end + 1;
        }
        contents += R"(,{"role":"user","parts":[{"functionResponse":{"name":"f",)"
                    R"("response":{"output":"1"}}}]})";
        const auto request =
            decode(google, fmt::format(R"({{"contents":[{}]}})", contents), "claude");
        ASSERT_TRUE(request) << request.error().message;
        EncodeTarget target;
        target.model_id = "claude-sonnet-4-5";
        const auto encoded = claude.encode_request(*request, target);
        ASSERT_TRUE(encoded) << encoded.error().message;
        EXPECT_TRUE(encoded->dropped.empty()) << encoded->dropped.front();
        const auto body = Document::parse(encoded->body);
        EXPECT_EQ(body->root()["messages"].items()[1]["content"].raw(),
            R"([{"type":"thinking","thinking":"let me see","signature":"cHJvb2Y="},)"
            R"({"type":"redacted_thinking","data":"Y2lwaGVy"},)"
            R"({"type":"tool_use","id":"toolu_1","name":"f","input":{"x":1}}])");
        EXPECT_EQ(body->root()["messages"].items()[2]["content"].items()[0]["tool_use_id"].string(),
            "toolu_1");
        // And to Google itself that proof is never shown.
        target.model_id = "gemini-3-pro-preview";
        const auto home = google.encode_request(*request, target);
        ASSERT_TRUE(home) << home.error().message;
        EXPECT_EQ(home->body.find("cHJvb2Y="), std::string::npos);
    }
}

}  // namespace
}  // namespace entrepot::dialect
