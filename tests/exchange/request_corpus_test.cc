#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "corpus.h"
#include "dialect/openai_chat/native.h"
#include "dialect/registry.h"
#include "json/writer.h"

namespace entrepot::exchange {
namespace {

using json::Value;

constexpr const char* kFiles[] = {"openai-chat", "openai-compatible", "azure-openai"};

std::vector<Exchange> requests() {
    std::vector<Exchange> all;
    for (const char* file : kFiles)
        for (Exchange& exchange : read_corpus(
                 file, [](std::string_view operation) { return operation == "chat.completions"; }))
            if (!exchange.request.empty()) all.push_back(std::move(exchange));
    return all;
}

/// JSON with sorted keys, without nulls, and with the spellings brought together that mean the same
/// in a chat request. What remains different is a loss.
class Normal {
public:
    static std::string of(const Value& root) {
        std::string out;
        Normal().write(root, out, "");
        return out;
    }

private:
    static std::string_view renamed(std::string_view key, std::string_view parent) {
        if (key == "max_tokens" && parent.empty()) return "max_completion_tokens";
        if (key == "reasoning" && parent == "messages") return "reasoning_content";
        if (key == "safety_identifier") return "user";
        if (key == "function_call" && parent.empty()) return "tool_choice";
        return key;
    }

    /// One text part and nothing beside it is a string; one word of `stop` is a list.
    void write_member(
        std::string_view key, const Value& value, std::string& out, std::string_view parent) {
        if (key == "content" && value.items().size() == 1) {
            const Value& part = value.items()[0];
            const std::size_t marks = part["cache_control"].is_object() ? 1 : 0;
            if (part["type"].string() == "text" && part.members().size() == 2 + marks) {
                json::append_quoted(out, part["text"].string());
                return;
            }
        }
        if (key == "stop" && value.is_string()) {
            out += "[" + json::quoted(value.string()) + ",]";
            return;
        }
        if (key == "arguments" && parent == "function" && value.string().empty()) {
            out += "\"{}\"";  // healed on purpose
            return;
        }
        write(value, out, key);
    }

    void write(const Value& value, std::string& out, std::string_view name) {
        if (value.is_array()) {
            out += '[';
            for (const Value& item : value.items()) {
                write(item, out, name);
                out += ',';
            }
            out += ']';
        } else if (value.is_object()) {
            std::map<std::string, std::string> members;
            for (const json::Member& member : value.members()) {
                const bool is_default = (member.key == "stream" && member.value.raw() == "false") ||
                    member.key == "stream_options" ||
                    ((member.key == "tool_calls" || member.key == "tools" ||
                         member.key == "annotations" || member.key == "stop") &&
                        member.value.is_array() && member.value.items().empty()) ||
                    (member.key == "index" && name == "tool_calls") ||
                    ((member.key == "refusal" || member.key == "description") &&
                        member.value.string().empty() && member.value.is_string());
                if (member.value.is_null() || is_default) continue;
                // A mark on a message of one text is a mark on the text.
                if (member.key == "content" && member.value.items().size() == 1 &&
                    member.value.items()[0]["cache_control"].is_object())
                    write(member.value.items()[0]["cache_control"], members["cache_control"], "");
                std::string text;
                write_member(member.key, member.value, text, name);
                members[std::string(renamed(member.key, name))] = std::move(text);
            }
            // A turn that says nothing at all says "".
            if (name == "messages" && !members.contains("content") &&
                !members.contains("tool_calls") && !members.contains("refusal"))
                members["content"] = "\"\"";
            out += '{';
            for (const auto& [key, text] : members) out += json::quoted(key) + ":" + text + ",";
            out += '}';
        } else if (value.is_string()) {
            json::append_quoted(out, value.string());
        } else {
            out += value.raw();
        }
    }
};

class RequestCorpus : public testing::Test {
protected:
    void SetUp() override {
        if (corpus_folder().empty())
            GTEST_SKIP()
                << "the recorded exchanges are not beside the project; set ENTREPOT_SHARED";
    }
};

TEST_F(RequestCorpus, EveryRequestSurvivesTheWayThroughCanon) {
    const auto* chat = dialect::find_dialect("openai-chat");
    int carried = 0;
    int refused = 0;
    int legacy = 0;
    for (const Exchange& exchange : requests()) {
        auto document = json::Document::parse(exchange.request);
        ASSERT_TRUE(document) << exchange.id;
        const auto request = chat->decode_request(*document, {});
        if (!request) {
            // Recordings of clients that were refused by their supplier too, or that name no model.
            EXPECT_EQ(request.error().code, ErrorCode::kInvalidField) << exchange.id;
            EXPECT_FALSE(request.error().field.empty()) << exchange.id;
            EXPECT_TRUE(exchange.status >= 400 || document->root()["model"].is_null())
                << exchange.id << " " << request.error().message;
            ++refused;
            continue;
        }
        dialect::EncodeTarget target;
        target.model_id = request->model;
        target.on_lossy = dialect::OnLossy::kRefuse;
        const auto encoded = chat->encode_request(*request, target);
        ASSERT_TRUE(encoded) << exchange.id << encoded.error().message;
        EXPECT_TRUE(encoded->dropped.empty()) << exchange.id;
        auto back = json::Document::parse(encoded->body);
        ASSERT_TRUE(back) << exchange.id << encoded->body;
        if (request->uses_functions) {
            ++legacy;
            continue;
        }
        EXPECT_EQ(Normal::of(document->root()), Normal::of(back->root())) << exchange.id;
        ++carried;
    }
    std::printf("requests: %d carried, %d refused, %d of the old functions form\n", carried,
        refused, legacy);
    EXPECT_GT(carried, 700);
    EXPECT_LT(refused, 40);
}

TEST_F(RequestCorpus, InspectAgreesWithTheDecoder) {
    const auto* chat = dialect::find_dialect("openai-chat");
    dialect::openai_chat::RequestFacts facts;
    int agreed = 0;
    for (const Exchange& exchange : requests()) {
        auto document = json::Document::parse(exchange.request);
        ASSERT_TRUE(document) << exchange.id;
        const auto request = chat->decode_request(*document, {});
        const Status inspected = dialect::openai_chat::inspect(exchange.request, facts);
        if (!request) continue;  // strict about more fields than the native lane has to be
        ASSERT_TRUE(inspected) << exchange.id << inspected.error().message;
        EXPECT_EQ(facts.model, request->model) << exchange.id;
        EXPECT_EQ(facts.is_stream, request->is_stream) << exchange.id;
        EXPECT_EQ(facts.wants_stream_usage, request->wants_usage) << exchange.id;
        EXPECT_EQ(facts.tools, request->tools.size()) << exchange.id;
        EXPECT_EQ(facts.choices, request->choices.value_or(1)) << exchange.id;
        std::uint32_t images = 0;
        for (const canon::Item& item : request->items)
            if (const auto* media = std::get_if<canon::Media>(&item.body))
                images += media->kind == canon::Media::Kind::kImage ? 1 : 0;
        EXPECT_EQ(facts.images, images) << exchange.id;
        EXPECT_EQ(facts.messages, document->root()["messages"].items().size()) << exchange.id;
        EXPECT_GT(facts.prompt_bytes, 0) << exchange.id;
        ++agreed;
    }
    std::printf("inspected: %d\n", agreed);
    EXPECT_GT(agreed, 700);
}

TEST_F(RequestCorpus, SplicingChangesTheEditedFieldsAndNothingElse) {
    dialect::openai_chat::RequestFacts facts;
    dialect::openai_chat::Splice splice;
    int spliced = 0;
    for (const Exchange& exchange : requests()) {
        if (!dialect::openai_chat::inspect(exchange.request, facts)) continue;
        dialect::openai_chat::Edits edits;
        edits.model_id = "an \"odd\" id";
        edits.output_tokens_max = 7;
        edits.asks_stream_usage = true;
        dialect::openai_chat::splice(exchange.request, facts, edits, splice);
        std::string body;
        splice.append_to(body);
        EXPECT_EQ(body.size(), splice.bytes()) << exchange.id;
        auto before = json::Document::parse(exchange.request);
        auto after = json::Document::parse(body);
        ASSERT_TRUE(before && after) << exchange.id << body.substr(0, 300);
        const Value& root = after->root();
        EXPECT_EQ(root["model"].string(), "an \"odd\" id") << exchange.id;
        for (const std::string_view cap : {"max_tokens", "max_completion_tokens"})
            EXPECT_LE(root[cap].as_int().value_or(0), 7) << exchange.id;
        EXPECT_TRUE(root["max_tokens"].is_number() || root["max_completion_tokens"].is_number());
        EXPECT_EQ(root["stream_options"]["include_usage"].as_bool().value_or(false),
            facts.is_stream || facts.wants_stream_usage)
            << exchange.id;
        for (const json::Member& member : before->root().members()) {
            if (member.key == "model" || member.key == "stream_options" ||
                member.key.starts_with("max_"))
                continue;
            EXPECT_EQ(member.value.raw(), root[member.key].raw()) << exchange.id << member.key;
        }
        ++spliced;
    }
    std::printf("spliced: %d\n", spliced);
    EXPECT_GT(spliced, 700);
}

}  // namespace
}  // namespace entrepot::exchange
