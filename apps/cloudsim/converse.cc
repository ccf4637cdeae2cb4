#include "cloudsim/converse.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cloudsim/messages.h"
#include "json/writer.h"

namespace entrepot::cloudsim::converse {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;
using Read = std::expected<void, std::string>;

/// Models that take texts and no more.
bool is_text_only(std::string_view model) {
    return model.starts_with("amazon.titan-text") || model.starts_with("meta.llama3-8b") ||
        model.starts_with("mistral.mistral-7b") || model.starts_with("cohere.command-text");
}

std::unexpected<std::string> invalid(std::string message) {
    return std::unexpected(std::move(message));
}

// What our signatures begin with. Other sellers of the same models are not asked about theirs.
constexpr std::string_view kProof = "QmVkcm9ja1Np";

void mark(const Value& block, Ask& ask) {
    ask.marked_bytes = ask.prompt.size();
    ask.is_mark_long = block["cachePoint"]["ttl"].string() == "1h";
}

Read read_tools(const Value& root, Ask& ask) {
    const Value& config = root["toolConfig"];
    if (config.is_null()) return {};
    if (config["tools"].items().empty())
        return invalid("toolConfig.tools must have at least 1 item.");
    for (const Value& tool : config["tools"].items()) {
        const Value& spec = tool["toolSpec"];
        if (tool["cachePoint"].is_object()) mark(tool, ask);
        if (!spec.is_object()) continue;
        const std::string_view name = spec["name"].string();
        const bool is_legal = !name.empty() && name.size() <= 64 &&
            std::ranges::all_of(
                name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
        if (!is_legal)
            return invalid(fmt::format(
                "Value '{}' at 'toolConfig.tools.toolSpec.name' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
                name));
        if (spec.find("description") != nullptr && spec["description"].string().empty())
            return invalid("toolSpec.description must have length greater than or equal to 1");
        if (!spec["inputSchema"]["json"].is_object())
            return invalid("toolSpec.inputSchema.json must be an object");
        ask.tools.push_back({std::string(name), std::string(spec["inputSchema"]["json"].raw())});
        ask.prompt += spec.raw();
    }
    const Value& choice = config["toolChoice"];
    if (choice["any"].is_object()) ask.tool_mode = Ask::ToolMode::kRequired;
    if (choice["tool"].is_object()) {
        ask.tool_mode = Ask::ToolMode::kNamed;
        ask.tool_named = choice["tool"]["name"].string();
    }
    if (choice.is_object() && !choice["any"].is_object() && !choice["tool"].is_object() &&
        !choice["auto"].is_object())
        return invalid("toolChoice must be one of auto, any, tool");
    // Anthropic's models take their own form of it, which says more.
    const Value& own = root["additionalModelRequestFields"]["tool_choice"];
    if (own["type"].string() == "any") ask.tool_mode = Ask::ToolMode::kRequired;
    if (own["type"].string() == "tool") {
        ask.tool_mode = Ask::ToolMode::kNamed;
        ask.tool_named = own["name"].string();
    }
    ask.is_parallel_allowed = !own["disable_parallel_tool_use"].as_bool().value_or(false);
    return {};
}

Read read_blocks(const Value& content, std::size_t i, bool is_user,
    std::set<std::string, std::less<>>& waiting, Ask& ask) {
    std::string text;
    std::set<std::string, std::less<>> answered, calls;
    for (std::size_t j = 0; j < content.items().size(); ++j) {
        const Value& block = content.items()[j];
        const std::string path = fmt::format("messages.{}.content.{}", i, j);
        if (block.find("text") != nullptr) {
            if (trim(block["text"].string()).empty())
                return invalid(fmt::format(
                    "The text field in the ContentBlock object at {} is blank. Add text to "
                    "the text field, and try again.",
                    path));
            text += block["text"].string();
            ask.prompt += block["text"].string();
        } else if (const Value* use = block.find("toolUse")) {
            ask.has_tool_blocks = true;
            if (!(*use)["input"].is_object())
                return invalid(
                    fmt::format("The format of the value at {}.toolUse.input is invalid. "
                                "Provide a json object for the field and try again.",
                        path));
            if (!is_legal_id((*use)["toolUseId"].string(), 64))
                return invalid(fmt::format(
                    "Value at {}.toolUse.toolUseId failed to satisfy constraint: Member must "
                    "satisfy regular expression pattern: [a-zA-Z0-9_-]+",
                    path));
            calls.emplace((*use)["toolUseId"].string());
            ask.prompt += use->raw();
        } else if (const Value* result = block.find("toolResult")) {
            ask.has_tool_blocks = true;
            const std::string id((*result)["toolUseId"].string());
            if (!waiting.contains(id))
                return invalid(fmt::format(
                    "The number of toolResult blocks at messages.{}.content exceeds the "
                    "number of toolUse blocks of previous turn.",
                    i));
            answered.insert(id);
            ask.prompt += (*result)["content"].raw();
        } else if (block.find("image") != nullptr) {
            const Value& source = block["image"]["source"];
            if (!source["bytes"].is_string() && !source["s3Location"].is_object())
                return invalid(path + ".image.source must be set.");
            ++ask.images;
        } else if (const Value* thought = block.find("reasoningContent")) {
            const Value& hidden = (*thought)["redactedContent"];
            const std::string_view proof = hidden.is_string()
                ? hidden.string()
                : (*thought)["reasoningText"]["signature"].string();
            if (!proof.starts_with(kProof))
                return invalid(
                    fmt::format("The model returned the following errors: {}: Invalid "
                                "`signature` in `thinking` block",
                        path));
            ++ask.thoughts;
        } else if (block.find("cachePoint") != nullptr) {
            mark(block, ask);
        } else if (block.members().empty()) {
            return invalid(path + " must set one of the members.");
        }
    }
    for (const std::string& id : waiting)
        if (!answered.contains(id))
            return invalid(fmt::format(
                "Expected toolResult blocks at messages.{}.content for the following Ids: {}", i,
                id));
    waiting = std::move(calls);
    if (is_user) ask.last_user_text = text;
    return {};
}

Read read_messages(const Value& root, Ask& ask) {
    for (const Value& block : root["system"].items()) {
        if (block["cachePoint"].is_object()) {
            mark(block, ask);
            continue;
        }
        if (trim(block["text"].string()).empty() && block.find("text") != nullptr)
            return invalid(
                "The text field in the ContentBlock object at system is blank. Add text to "
                "the text field, and try again.");
        ask.prompt += block["text"].string();
    }
    const Value& messages = root["messages"];
    if (messages.items().empty())
        return invalid("The value at messages is empty. Add values to messages, and try again.");
    std::string_view before;
    std::set<std::string, std::less<>> waiting;
    for (std::size_t i = 0; i < messages.items().size(); ++i) {
        const Value& message = messages.items()[i];
        const std::string_view role = message["role"].string();
        if (role != "user" && role != "assistant")
            return invalid(fmt::format(
                "Value '{}' at 'messages.{}.member.role' failed to satisfy constraint: Member "
                "must satisfy enum value set: [user, assistant]",
                role, i + 1));
        if (i == 0 && role != "user")
            return invalid(
                "A conversation must start with a user message. Try again with a "
                "conversation that starts with a user message.");
        if (role == before)
            return invalid("A conversation must alternate between user and assistant roles.");
        before = role;
        ask.prompt += role;
        if (message["content"].items().empty())
            return invalid(
                fmt::format("The content field in the Message object at messages.{} is empty.", i));
        auto read = read_blocks(message["content"], i, role == "user", waiting, ask);
        if (!read) return read;
    }
    const auto last = messages.items();
    const bool is_loop = last.size() > 1 && !last.back()["content"].items().empty() &&
        last.back()["content"].items().front()["toolResult"].is_object();
    if (is_loop && root["additionalModelRequestFields"]["thinking"]["type"].string() == "enabled" &&
        !last[last.size() - 2]["content"].items().front()["reasoningContent"].is_object())
        return invalid(fmt::format(
            "The model returned the following errors: messages.{}.content.0.type: Expected "
            "`thinking` or `redacted_thinking`, but found `tool_use`.",
            last.size() - 2));
    if (ask.has_tool_blocks && root["toolConfig"].is_null())
        return invalid(
            "The toolConfig field must be defined when using "
            "toolUse and toolResult content blocks.");
    return {};
}

Read read_parameters(const Value& root, Ask& ask) {
    const Value& config = root["inferenceConfig"];
    if (const Value& cap = config["maxTokens"]; !cap.is_null()) {
        if (cap.as_int().value_or(0) < 1)
            return invalid("inferenceConfig.maxTokens must be greater than or equal to 1");
        ask.output_tokens_max = cap.as_int();
    }
    if (config["temperature"].as_int().value_or(0) > 1)
        return invalid("inferenceConfig.temperature must be less than or equal to 1");
    for (const Value& stop : config["stopSequences"].items()) ask.stop.emplace_back(stop.string());
    const Value& more = root["additionalModelRequestFields"];
    const Value& thinking = more["thinking"];
    ask.wants_reasoning = thinking["type"].string() == "enabled" ||
        thinking["type"].string() == "adaptive" || more["reasoning_effort"].is_string();
    if (const auto budget = thinking["budget_tokens"].as_int();
        budget && *budget >= ask.output_tokens_max.value_or(4096))
        return invalid(
            "The model returned the following errors: `max_tokens` must be greater than "
            "`thinking.budget_tokens`.");
    const Value& schema = root["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    if (schema.is_object()) {
        if (!schema["schema"].is_string()) return invalid("jsonSchema.schema must be a string");
        ask.schema = schema["schema"].string();
        const auto parsed = json::Document::parse(ask.schema);
        if (!parsed) return invalid("jsonSchema.schema is no JSON");
        if (const std::string wrong = messages::complaint_of(parsed->root()); !wrong.empty())
            return invalid(
                "The model returned the following errors: output_config.format.schema: " + wrong);
        ask.prompt += ask.schema;
    }
    return {};
}

std::string call_id(const SimCall& call) { return "tooluse_" + call.id; }
std::string signature_of(const Answer& answer) { return id_of(kProof, answer.serial); }

void write_usage(Writer& writer, const canon::Usage& usage) {
    const std::int64_t read = usage[Meter::kCacheRead];
    const std::int64_t longer = usage[Meter::kCacheWriteLong];
    const std::int64_t written = usage[Meter::kCacheWrite] + longer;
    writer.begin_object();
    if (read + written > 0) {  // under the new names and the old
        if (longer > 0)
            writer.member_raw(
                "cacheDetails", fmt::format(R"([{{"inputTokens":{},"ttl":"1h"}}])", longer));
        writer.member("cacheReadInputTokenCount", read).member("cacheReadInputTokens", read);
        writer.member("cacheWriteInputTokenCount", written);
        writer.member("cacheWriteInputTokens", written);
    }
    writer.member("inputTokens", usage[Meter::kInput]);
    writer.member("outputTokens", usage[Meter::kOutput]);
    writer.member_raw("serverToolUsage", "{}");
    writer.member("totalTokens", usage.prompt_tokens() + usage.answer_tokens());
    writer.end_object();
}

}  // namespace

Read read(const Value& root, Ask& ask) {
    if (Read read = read_tools(root, ask); !read) return read;
    if (Read read = read_messages(root, ask); !read) return read;
    if (Read read = read_parameters(root, ask); !read) return read;
    if (!is_text_only(ask.model)) return {};
    if (!ask.tools.empty()) return invalid("This model doesn't support tool use.");
    if (ask.images > 0) return invalid("This model doesn't support the image content block.");
    if (ask.wants_reasoning || !ask.schema.empty())
        return invalid(
            "The model returned the following errors: Malformed input request: #: extraneous key "
            "is not permitted, please reformat your input and try again.");
    return {};
}

std::string_view stop_of(const Answer& answer) {
    switch (answer.finish) {
        case Finish::kLength: return "max_tokens";
        case Finish::kToolCalls: return "tool_use";
        case Finish::kStopSequence: return "stop_sequence";
        default: return "end_turn";
    }
}

std::string message_of(const Answer& answer) {
    std::string out;
    Writer writer(out);
    writer.begin_object().key("content").begin_array();
    if (!answer.reasoning.empty())
        writer.raw(fmt::format(
            R"({{"reasoningContent":{{"reasoningText":{{"signature":{},"text":{}}}}}}})",
            json::quoted(signature_of(answer)), json::quoted(answer.reasoning)));
    if (!answer.text.empty()) writer.begin_object().member("text", answer.text).end_object();
    for (const SimCall& call : answer.calls) {
        const bool is_object = json::Document::parse(call.arguments).has_value();
        writer.raw(fmt::format(R"({{"toolUse":{{"input":{},"name":{},"toolUseId":{}}}}})",
            is_object ? call.arguments : "{}", json::quoted(call.name),
            json::quoted(call_id(call))));
    }
    writer.end_array().member("role", "assistant").end_object();
    return out;
}

std::string whole(const Answer& answer, bool has_usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object().key("metrics").begin_object().member("latencyMs", 12).end_object();
    writer.key("output").begin_object().member_raw("message", message_of(answer)).end_object();
    writer.member("stopReason", stop_of(answer));
    if (has_usage) write_usage(writer.key("usage"), answer.usage);
    writer.end_object();
    return out;
}

std::vector<Event> stream(const Answer& answer, const Control& control, bool has_usage) {
    std::vector<Event> out;
    const auto put = [&](std::string_view type, std::string members) {
        out.push_back({type, std::move(members)});
    };
    int index = 0;
    const auto delta = [&](std::string_view content) {
        put("contentBlockDelta",
            fmt::format(R"("contentBlockIndex":{},"delta":{{{}}})", index, content));
    };
    const auto close = [&] {
        put("contentBlockStop", fmt::format(R"("contentBlockIndex":{})", index++));
    };
    put("messageStart", R"("role":"assistant")");
    if (!answer.reasoning.empty()) {
        for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
            delta(fmt::format(R"("reasoningContent":{{"text":{}}})", json::quoted(piece)));
        delta(fmt::format(
            R"("reasoningContent":{{"signature":{}}})", json::quoted(signature_of(answer))));
        close();
    }
    if (!answer.text.empty()) {
        for (const std::string_view piece : pieces_of(answer.text, control.chunks))
            delta(fmt::format(R"("text":{})", json::quoted(piece)));
        close();
    }
    for (const SimCall& call : answer.calls) {
        put("contentBlockStart",
            fmt::format(R"("contentBlockIndex":{},"start":{{"toolUse":{{"name":{},)"
                        R"("toolUseId":{}}}}})",
                index, json::quoted(call.name), json::quoted(call_id(call))));
        for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
            delta(fmt::format(R"("toolUse":{{"input":{}}})", json::quoted(piece)));
        close();
    }
    put("messageStop", fmt::format(R"("stopReason":"{}")", stop_of(answer)));
    std::string usage;
    if (has_usage) {
        Writer writer(usage);
        write_usage(writer, answer.usage);
    }
    put("metadata", R"("metrics":{"latencyMs":12})" + (has_usage ? R"(,"usage":)" + usage : usage));
    return out;
}

}  // namespace entrepot::cloudsim::converse
