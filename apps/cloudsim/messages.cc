#include "cloudsim/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "json/writer.h"

namespace entrepot::cloudsim::messages {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;
using Read = std::expected<void, std::string>;

std::unexpected<std::string> invalid(std::string message) {
    return std::unexpected(std::move(message));
}

constexpr std::string_view kProof = "U2ltdWxhdGVk";  // what our signatures begin with

void mark(const Value& block, Ask& ask) {
    if (!block["cache_control"].is_object()) return;
    ask.marked_bytes = ask.prompt.size();
    ask.is_mark_long = block["cache_control"]["ttl"].string() == "1h";
}

Read read_tools(const Value& root, Ask& ask) {
    for (std::size_t i = 0; i < root["tools"].items().size(); ++i) {
        const Value& tool = root["tools"].items()[i];
        if (tool.find("type") != nullptr && tool["type"].string() != "custom") continue;
        if (tool["name"].string().empty())
            return invalid(fmt::format("tools.{}.custom.name: Field required", i));
        const Value& schema = tool["input_schema"];
        if (schema["type"].string() != "object")
            return invalid(fmt::format("tools.{}.custom.input_schema.type: Field required", i));
        ask.tools.push_back({std::string(tool["name"].string()), std::string(schema.raw())});
        ask.prompt += tool.raw();
        mark(tool, ask);
    }
    const Value& choice = root["tool_choice"];
    const std::string_view type = choice["type"].string();
    if (type == "any") ask.tool_mode = Ask::ToolMode::kRequired;
    if (type == "none") ask.tool_mode = Ask::ToolMode::kNone;
    if (type == "tool") {
        ask.tool_mode = Ask::ToolMode::kNamed;
        ask.tool_named = choice["name"].string();
        if (std::ranges::find(ask.tools, ask.tool_named, &Ask::Tool::name) == ask.tools.end())
            return invalid(
                fmt::format("tool_choice: Tool '{}' not found in provided tools", ask.tool_named));
    }
    ask.is_parallel_allowed = !choice["disable_parallel_tool_use"].as_bool().value_or(false);
    return {};
}

Read read_blocks(const Value& content, std::size_t i, bool is_user,
    std::set<std::string, std::less<>>& waiting, Ask& ask) {
    std::string text;
    bool has_other = false;
    std::set<std::string, std::less<>> answered;
    std::set<std::string, std::less<>> calls;
    for (std::size_t j = 0; j < content.items().size(); ++j) {
        const Value& block = content.items()[j];
        const std::string_view type = block["type"].string();
        const std::string path = fmt::format("messages.{}.content.{}", i, j);
        if (type == "text") {
            if (block["text"].string().empty())
                return invalid("messages: text content blocks must be non-empty");
            text += block["text"].string();
            ask.prompt += block["text"].string();
        } else if (type == "tool_result") {
            if (has_other) return invalid(path + ": tool_result blocks must come first");
            const std::string id(block["tool_use_id"].string());
            if (!waiting.contains(id))
                return invalid(fmt::format(
                    "{}: unexpected `tool_use_id` found in `tool_result` blocks: {}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the "
                    "previous message.",
                    path, id));
            answered.insert(id);
            ask.prompt += block["content"].raw();
        } else if (type == "tool_use") {
            if (!block["input"].is_object())
                return invalid(path + ".tool_use.input: Input should be a valid dictionary");
            if (!is_legal_id(block["id"].string(), 256))
                return invalid(
                    path + ".tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
            calls.emplace(block["id"].string());
            ask.prompt += block.raw();
        } else if (type == "image") {
            const Value& source = block["source"];
            if (source["type"].string() == "base64" && source["data"].string().empty())
                return invalid(path + ".image.source.base64.data: required");
            ++ask.images;
        } else if (type == "thinking" || type == "redacted_thinking") {
            const std::string_view proof = type == "thinking" ? "signature" : "data";
            if (!block[proof].string().starts_with(kProof))
                return invalid(fmt::format("{}: Invalid `{}` in `{}` block", path, proof, type));
            ++ask.thoughts;
        } else if (type != "document" && type != "search_result") {
            return invalid(
                fmt::format("{}: Input tag '{}' found using 'type' does not match any of "
                            "the expected tags",
                    path, type));
        }
        has_other = has_other || type != "tool_result";
        mark(block, ask);
    }
    for (const std::string& id : waiting)
        if (!answered.contains(id))
            return invalid(
                fmt::format("messages.{}: `tool_use` ids were found without `tool_result` blocks "
                            "immediately after: {}",
                    i - 1, id));
    waiting = std::move(calls);
    if (is_user && content.is_array()) ask.last_user_text = text;
    return {};
}

/// With thinking by a budget, an answer whose calls have just been carried out begins with
/// thoughts.
Read check_loop(const Value& root) {
    const auto messages = root["messages"].items();
    if (root["thinking"]["type"].string() != "enabled" || messages.size() < 2) return {};
    const auto results = messages.back()["content"].items();
    const auto before = messages[messages.size() - 2]["content"].items();
    if (results.empty() || results.front()["type"].string() != "tool_result" || before.empty())
        return {};
    const std::string_view first = before.front()["type"].string();
    if (first == "thinking" || first == "redacted_thinking") return {};
    return invalid(
        fmt::format("messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
                    "found `{}`. When `thinking` is enabled, a final `assistant` message must "
                    "start with a thinking block.",
            messages.size() - 2, first));
}

Read read_messages(const Value& root, Ask& ask) {
    const Value& system = root["system"];
    if (system.is_string()) ask.prompt += system.string();
    for (const Value& block : system.items()) {
        if (block["text"].string().empty())
            return invalid("system: text content blocks must be non-empty");
        ask.prompt += block["text"].string();
        mark(block, ask);
    }
    const Value& messages = root["messages"];
    if (!messages.is_array()) return invalid("messages: Field required");
    if (messages.items().empty()) return invalid("messages: at least one message is required");
    std::set<std::string, std::less<>> waiting;
    for (std::size_t i = 0; i < messages.items().size(); ++i) {
        const Value& message = messages.items()[i];
        const std::string_view role = message["role"].string();
        if (role == "system" && i > 0) {  // newer models take instructions in the middle
            ask.prompt += message["content"].raw();
            continue;
        }
        if (role != "user" && role != "assistant")
            return invalid(
                fmt::format("messages.{}.role: Input should be 'user' or 'assistant'", i));
        if (i == 0 && role != "user")
            return invalid("messages: first message must use the \"user\" role");
        ask.prompt += role;
        if (message["content"].is_string()) {
            if (message["content"].string().empty() && i + 1 < messages.items().size())
                return invalid(
                    fmt::format("messages.{}: all messages must have non-empty content", i));
            ask.prompt += message["content"].string();
            if (role == "user") ask.last_user_text = message["content"].string();
        } else if (!message["content"].is_array()) {
            return invalid(fmt::format("messages.{}.content: Field required", i));
        }
        auto read = read_blocks(message["content"], i, role == "user", waiting, ask);
        if (!read) return read;
    }
    return check_loop(root);
}

Read read_parameters(const Value& root, Ask& ask) {
    const auto cap = root["max_tokens"].as_int();
    if (!cap) return invalid("max_tokens: Field required");
    if (*cap < 1) return invalid("max_tokens: Input should be greater than or equal to 1");
    ask.output_tokens_max = cap;
    ask.is_stream = root["stream"].as_bool().value_or(false);
    const Value& temperature = root["temperature"];
    if (temperature.is_number() && temperature.as_int().value_or(0) > 1)
        return invalid("temperature: range: 0..1");
    for (const Value& stop : root["stop_sequences"].items()) ask.stop.emplace_back(stop.string());
    const Value& thinking = root["thinking"];
    ask.wants_reasoning =
        thinking["type"].string() == "enabled" || thinking["type"].string() == "adaptive";
    if (const auto budget = thinking["budget_tokens"].as_int(); budget) {
        if (*budget < 1024)
            return invalid(
                "thinking.enabled.budget_tokens: Input should be "
                "greater than or equal to 1024");
        if (*budget >= *cap)
            return invalid(
                "`max_tokens` must be greater than "
                "`thinking.budget_tokens`.");
    }
    if (ask.wants_reasoning &&
        (ask.tool_mode == Ask::ToolMode::kNamed || ask.tool_mode == Ask::ToolMode::kRequired))
        return invalid("Thinking may not be enabled when tool_choice forces tool use.");
    const Value& format = root["output_config"]["format"];
    if (format["type"].string() == "json_schema") {
        if (const std::string wrong = complaint_of(format["schema"]); !wrong.empty())
            return invalid("output_config.format.schema: " + wrong);
        ask.schema = format["schema"].raw();
        ask.prompt += ask.schema;
    }
    return {};
}

std::string call_id(const SimCall& call) { return "toolu_" + call.id; }
std::string signature_of(const Answer& answer) { return id_of(kProof, answer.serial); }

/// The content blocks; for a stream as its start events hold them.
std::vector<std::string> blocks(const Answer& answer, bool is_whole) {
    std::vector<std::string> out;
    if (!answer.reasoning.empty())
        out.push_back(fmt::format(R"({{"type":"thinking","thinking":{},"signature":{}}})",
            json::quoted(is_whole ? answer.reasoning : ""),
            json::quoted(is_whole ? signature_of(answer) : "")));
    if (!answer.text.empty())
        out.push_back(fmt::format(
            R"({{"type":"text","text":{}}})", json::quoted(is_whole ? answer.text : "")));
    for (const SimCall& call : answer.calls) {
        const bool is_object = json::Document::parse(call.arguments).has_value();
        out.push_back(fmt::format(R"({{"type":"tool_use","id":{},"name":{},"input":{}}})",
            json::quoted(call_id(call)), json::quoted(call.name),
            is_whole && is_object ? call.arguments : "{}"));
    }
    return out;
}

void write_stop(Writer& writer, const Answer& answer) {
    std::string_view word = "end_turn";
    if (answer.finish == Finish::kLength) word = "max_tokens";
    if (answer.finish == Finish::kToolCalls) word = "tool_use";
    if (answer.finish == Finish::kStopSequence) word = "stop_sequence";
    writer.member("stop_reason", word);
    answer.finish == Finish::kStopSequence ? writer.member("stop_sequence", answer.stop_sequence)
                                           : writer.member_null("stop_sequence");
}

void write_usage(Writer& writer, const canon::Usage& usage, std::int64_t output) {
    const std::int64_t written = usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
    writer.begin_object().member("input_tokens", usage[Meter::kInput]);
    writer.member("cache_creation_input_tokens", written);
    writer.member("cache_read_input_tokens", usage[Meter::kCacheRead]);
    writer.key("cache_creation").begin_object();
    writer.member("ephemeral_5m_input_tokens", usage[Meter::kCacheWrite]);
    writer.member("ephemeral_1h_input_tokens", usage[Meter::kCacheWriteLong]);
    writer.end_object().member("output_tokens", output);
    if (usage[Meter::kReasoning] > 0)
        writer.key("output_tokens_details")
            .begin_object()
            .member("thinking_tokens", usage[Meter::kReasoning])
            .end_object();
    writer.member("service_tier", "standard").end_object();
}

std::string start_of(const Ask& ask, const Answer& answer, std::string_view id, bool has_usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("type", "message_start").key("message").begin_object();
    writer.member("model", ask.model).member("id", id);
    writer.member("type", "message").member("role", "assistant");
    writer.key("content").begin_array().end_array();
    writer.member_null("stop_reason").member_null("stop_sequence");
    canon::Usage first = answer.usage;
    first[Meter::kReasoning] = 0;
    if (has_usage) write_usage(writer.key("usage"), first, 1);
    writer.end_object().end_object();
    return out;
}

std::string end_of(const Answer& answer, bool has_usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("type", "message_delta").key("delta").begin_object();
    write_stop(writer, answer);
    writer.end_object();
    if (has_usage) {
        const canon::Usage& usage = answer.usage;
        writer.key("usage").begin_object().member("input_tokens", usage[Meter::kInput]);
        writer.member("cache_creation_input_tokens",
            usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong]);
        writer.member("cache_read_input_tokens", usage[Meter::kCacheRead]);
        writer.member("output_tokens", usage[Meter::kOutput]);
        if (usage[Meter::kReasoning] > 0)
            writer.key("output_tokens_details")
                .begin_object()
                .member("thinking_tokens", usage[Meter::kReasoning])
                .end_object();
        writer.end_object();
    }
    writer.end_object();
    return out;
}

}  // namespace

std::string complaint_of(const Value& schema) {
    const std::string_view type = schema["type"].string();
    if (type == "object" && schema["additionalProperties"].as_bool() != false)
        return "For 'object' type, 'additionalProperties' must be explicitly set to false";
    for (const std::string_view bound : {"minimum", "maximum", "minLength", "maxLength"})
        if (schema.find(bound) != nullptr)
            return fmt::format("For '{}' type, property '{}' is not supported", type, bound);
    for (const json::Member& member : schema["properties"].members())
        if (std::string wrong = complaint_of(member.value); !wrong.empty()) return wrong;
    for (const Value& one : schema["anyOf"].items())
        if (std::string wrong = complaint_of(one); !wrong.empty()) return wrong;
    return schema["items"].is_object() ? complaint_of(schema["items"]) : "";
}

Read read(const Value& root, Ask& ask) {
    if (Read read = read_tools(root, ask); !read) return read;
    if (Read read = read_messages(root, ask); !read) return read;
    return read_parameters(root, ask);
}

std::string whole(const Ask& ask, const Answer& answer, std::string_view id, bool has_usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object();
    writer.member("model", ask.model).member("id", id);
    writer.member("type", "message").member("role", "assistant");
    writer.key("content").begin_array();
    for (const std::string& block : blocks(answer, true)) writer.raw(block);
    writer.end_array();
    write_stop(writer, answer);
    if (has_usage) write_usage(writer.key("usage"), answer.usage, answer.usage[Meter::kOutput]);
    writer.end_object();
    return out;
}

std::vector<Event> stream(const Ask& ask, const Answer& answer, const Control& control,
    std::string_view id, bool has_usage) {
    std::vector<Event> out;
    out.push_back(Event("message_start", start_of(ask, answer, id, has_usage)));
    const std::vector<std::string> starts = blocks(answer, false);
    std::size_t index = 0;
    const auto open = [&] {
        out.push_back(Event("content_block_start",
            fmt::format(R"({{"type":"content_block_start","index":{},"content_block":{}}})", index,
                starts[index])));
        if (index == 0) out.push_back(Event("ping", R"({"type":"ping"})"));
    };
    const auto delta = [&](std::string_view type, std::string_view key, std::string_view text) {
        out.push_back(Event("content_block_delta",
            fmt::format(R"({{"type":"content_block_delta","index":{},"delta":{{"type":"{}",)"
                        R"("{}":{}}}}})",
                index, type, key, json::quoted(text))));
    };
    const auto close = [&] {
        out.push_back(Event("content_block_stop",
            fmt::format(R"({{"type":"content_block_stop","index":{}}})", index++)));
    };
    if (!answer.reasoning.empty()) {
        open();
        for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
            delta("thinking_delta", "thinking", piece);
        delta("signature_delta", "signature", signature_of(answer));
        close();
    }
    if (!answer.text.empty()) {
        open();
        for (const std::string_view piece : pieces_of(answer.text, control.chunks))
            delta("text_delta", "text", piece);
        close();
    }
    for (const SimCall& call : answer.calls) {
        open();
        delta("input_json_delta", "partial_json", "");
        if (call.arguments != "{}")  // a call without arguments streams nothing but the empty text
            for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
                delta("input_json_delta", "partial_json", piece);
        close();
    }
    out.push_back(Event("message_delta", end_of(answer, has_usage)));
    out.push_back(Event("message_stop", R"({"type":"message_stop"})"));
    return out;
}

}  // namespace entrepot::cloudsim::messages
