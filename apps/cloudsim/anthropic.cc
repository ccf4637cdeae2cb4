#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cloudsim/cloud.h"
#include "json/value.h"
#include "json/writer.h"

// Anthropic's Messages.
namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

std::string event(std::string_view type, std::string_view data) {
    return fmt::format("event: {}\ndata: {}\n\n", type, data);
}

class Anthropic final : public Cloud {
public:
    Anthropic() {
        address_.name = address_.kind = "anthropic";
        address_.api_key = "sk-ant-sim-0001";
        address_.models = {"claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"};
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (!has_key(in, "x-api-key", address_.api_key))
            return std::unexpected(error(401, "authentication_error", "invalid x-api-key"));
        if (!in.headers.find("anthropic-version"))
            return std::unexpected(
                error(400, "invalid_request_error", "anthropic-version: header is required"));
        if (in.path != "/v1/messages")
            return std::unexpected(error(404, "not_found_error", "Not found"));
        if (in.method != "POST")
            return std::unexpected(error(405, "invalid_request_error", "Method Not Allowed"));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return std::unexpected(bad("The request body is not valid JSON"));
        const Value& root = parsed->root();
        Ask ask;
        ask.model = root["model"].string();
        if (ask.model.empty()) return std::unexpected(bad("model: Field required"));
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if (!has_model(address_, ask.model))
            return fail(error(404, "not_found_error", "model: " + ask.model));
        if (auto read = read_tools(root, ask); !read) return fail(std::move(read.error()));
        if (auto read = read_messages(root, ask); !read) return fail(std::move(read.error()));
        if (auto read = read_parameters(root, ask); !read) return fail(std::move(read.error()));
        return ask;
    }

    std::string content_type(bool is_stream) const override {
        return is_stream ? "text/event-stream; charset=utf-8" : "application/json";
    }

    void add_headers(
        net::HeaderLines& lines, const Answer& answer, const Quota& quota) const override {
        lines.add("request-id", id_of("req_", answer.serial));
        if (quota.limit == 0) return;
        lines.add("anthropic-ratelimit-requests-limit", static_cast<std::uint64_t>(quota.limit));
        lines.add(
            "anthropic-ratelimit-requests-remaining", static_cast<std::uint64_t>(quota.remaining));
        lines.add(
            "anthropic-ratelimit-requests-reset", to_rfc3339(wall_now() + seconds(quota.reset_s)));
    }

    std::string reply_id(const Answer& answer) const override {
        return id_of("msg_", answer.serial);
    }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant) const override {
        std::string out;
        Writer writer(out);
        writer.begin_object();
        writer.member("model", ask.model).member("id", reply_id(answer));
        writer.member("type", "message").member("role", "assistant");
        writer.key("content").begin_array();
        for (const std::string& block : blocks(answer, true)) writer.raw(block);
        writer.end_array();
        write_stop(writer, answer);
        if (has_usage) write_usage(writer.key("usage"), answer.usage, answer.usage[Meter::kOutput]);
        writer.end_object();
        return out;
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant) const override {
        std::vector<std::string> out;
        out.push_back(event("message_start", start_of(ask, answer, has_usage)));
        const std::vector<std::string> starts = blocks(answer, false);
        std::size_t index = 0;
        const auto open = [&] {
            out.push_back(event("content_block_start",
                fmt::format(R"({{"type":"content_block_start","index":{},"content_block":{}}})",
                    index, starts[index])));
            if (index == 0) out.push_back(event("ping", R"({"type":"ping"})"));
        };
        const auto delta = [&](std::string_view type, std::string_view key, std::string_view text) {
            out.push_back(event("content_block_delta",
                fmt::format(R"({{"type":"content_block_delta","index":{},"delta":{{"type":"{}",)"
                            R"("{}":{}}}}})",
                    index, type, key, json::quoted(text))));
        };
        const auto close = [&] {
            out.push_back(event("content_block_stop",
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
            if (call.arguments !=
                "{}")  // a call without arguments streams nothing but the empty text
                for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
                    delta("input_json_delta", "partial_json", piece);
            close();
        }
        out.push_back(event("message_delta", end_of(answer, has_usage)));
        out.push_back(event("message_stop", R"({"type":"message_stop"})"));
        return out;
    }

    std::string stream_error() const override {
        return event("error",
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})");
    }

    std::string damaged(std::string) const override {
        return "event: content_block_delta\ndata: {\"type\":\"content_blo\n\n";
    }

    Refusal refuse(int status, std::string_view message) const override {
        std::string_view type = status >= 500 ? "api_error" : "invalid_request_error";
        switch (status) {
            case 401: type = "authentication_error"; break;
            case 402: type = "billing_error"; break;
            case 403: type = "permission_error"; break;
            case 404: type = "not_found_error"; break;
            case 413: type = "request_too_large"; break;
            case 429: type = "rate_limit_error"; break;
            case 504: type = "timeout_error"; break;
            case 529: type = "overloaded_error"; break;
            default: break;
        }
        return error(status, type, message);
    }

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken) return error(500, "api_error", "Internal server error");
        if (what == Trouble::kOverloaded) return error(529, "overloaded_error", "Overloaded");
        Refusal out = error(429, "rate_limit_error",
            "This request would exceed your organization's rate limit of requests per minute.");
        out.headers.add("retry-after",
            static_cast<std::uint64_t>(quota.reset_s > 0 ? quota.reset_s : control.retry_after_s));
        return out;
    }

private:
    static Refusal error(int status, std::string_view type, std::string_view message) {
        Refusal out;
        out.status = status;
        Writer writer(out.body);
        writer.begin_object().member("type", "error").key("error").begin_object();
        writer.member("type", type).member("message", message).end_object();
        writer.member("request_id", "req_cloudsim").end_object();
        return out;
    }
    static Refusal bad(std::string_view message) {
        return error(400, "invalid_request_error", message);
    }

    Answered<void> read_tools(const Value& root, Ask& ask) const {
        for (std::size_t i = 0; i < root["tools"].items().size(); ++i) {
            const Value& tool = root["tools"].items()[i];
            if (tool.find("type") != nullptr && tool["type"].string() != "custom") continue;
            if (tool["name"].string().empty())
                return std::unexpected(bad(fmt::format("tools.{}.custom.name: Field required", i)));
            const Value& schema = tool["input_schema"];
            if (schema["type"].string() != "object")
                return std::unexpected(
                    bad(fmt::format("tools.{}.custom.input_schema.type: Field required", i)));
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
                return std::unexpected(bad(fmt::format(
                    "tool_choice: Tool '{}' not found in provided tools", ask.tool_named)));
        }
        ask.is_parallel_allowed = !choice["disable_parallel_tool_use"].as_bool().value_or(false);
        return {};
    }

    static void mark(const Value& block, Ask& ask) {
        if (!block["cache_control"].is_object()) return;
        ask.marked_bytes = ask.prompt.size();
        ask.is_mark_long = block["cache_control"]["ttl"].string() == "1h";
    }

    Answered<void> read_messages(const Value& root, Ask& ask) const {
        const Value& system = root["system"];
        if (system.is_string()) ask.prompt += system.string();
        for (const Value& block : system.items()) {
            if (block["text"].string().empty())
                return std::unexpected(bad("system: text content blocks must be non-empty"));
            ask.prompt += block["text"].string();
            mark(block, ask);
        }
        const Value& messages = root["messages"];
        if (!messages.is_array()) return std::unexpected(bad("messages: Field required"));
        if (messages.items().empty())
            return std::unexpected(bad("messages: at least one message is required"));
        std::set<std::string, std::less<>> waiting;
        for (std::size_t i = 0; i < messages.items().size(); ++i) {
            const Value& message = messages.items()[i];
            const std::string_view role = message["role"].string();
            if (role == "system" && i > 0) {  // newer models take instructions in the middle
                ask.prompt += message["content"].raw();
                continue;
            }
            if (role != "user" && role != "assistant")
                return std::unexpected(
                    bad(fmt::format("messages.{}.role: Input should be 'user' or 'assistant'", i)));
            if (i == 0 && role != "user")
                return std::unexpected(bad("messages: first message must use the \"user\" role"));
            ask.prompt += role;
            if (message["content"].is_string()) {
                if (message["content"].string().empty() && i + 1 < messages.items().size())
                    return std::unexpected(bad(
                        fmt::format("messages.{}: all messages must have non-empty content", i)));
                ask.prompt += message["content"].string();
                if (role == "user") ask.last_user_text = message["content"].string();
            } else if (!message["content"].is_array()) {
                return std::unexpected(bad(fmt::format("messages.{}.content: Field required", i)));
            }
            auto read = read_blocks(message["content"], i, role == "user", waiting, ask);
            if (!read) return read;
        }
        return {};
    }

    Answered<void> read_blocks(const Value& content, std::size_t i, bool is_user,
        std::set<std::string, std::less<>>& waiting, Ask& ask) const {
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
                    return std::unexpected(bad("messages: text content blocks must be non-empty"));
                text += block["text"].string();
                ask.prompt += block["text"].string();
            } else if (type == "tool_result") {
                if (has_other)
                    return std::unexpected(bad(path + ": tool_result blocks must come first"));
                const std::string id(block["tool_use_id"].string());
                if (!waiting.contains(id))
                    return std::unexpected(bad(fmt::format(
                        "{}: unexpected `tool_use_id` found in `tool_result` blocks: {}. Each "
                        "`tool_result` block must have a corresponding `tool_use` block in the "
                        "previous message.",
                        path, id)));
                answered.insert(id);
                ask.prompt += block["content"].raw();
            } else if (type == "tool_use") {
                if (!block["input"].is_object())
                    return std::unexpected(
                        bad(path + ".tool_use.input: Input should be a valid dictionary"));
                calls.emplace(block["id"].string());
                ask.prompt += block.raw();
            } else if (type == "image") {
                const Value& source = block["source"];
                if (source["type"].string() == "base64" && source["data"].string().empty())
                    return std::unexpected(bad(path + ".image.source.base64.data: required"));
                ++ask.images;
            } else if (type != "thinking" && type != "redacted_thinking" && type != "document" &&
                type != "search_result") {
                return std::unexpected(
                    bad(fmt::format("{}: Input tag '{}' found using 'type' does not match any of "
                                    "the expected tags",
                        path, type)));
            }
            has_other = has_other || type != "tool_result";
            mark(block, ask);
        }
        for (const std::string& id : waiting)
            if (!answered.contains(id))
                return std::unexpected(bad(fmt::format(
                    "messages.{}: `tool_use` ids were found without `tool_result` blocks "
                    "immediately after: {}",
                    i - 1, id)));
        waiting = std::move(calls);
        if (is_user && content.is_array()) ask.last_user_text = text;
        return {};
    }

    Answered<void> read_parameters(const Value& root, Ask& ask) const {
        const auto cap = root["max_tokens"].as_int();
        if (!cap) return std::unexpected(bad("max_tokens: Field required"));
        if (*cap < 1)
            return std::unexpected(bad("max_tokens: Input should be greater than or equal to 1"));
        ask.output_tokens_max = cap;
        ask.is_stream = root["stream"].as_bool().value_or(false);
        const Value& temperature = root["temperature"];
        if (temperature.is_number() && temperature.as_int().value_or(0) > 1)
            return std::unexpected(bad("temperature: range: 0..1"));
        for (const Value& stop : root["stop_sequences"].items())
            ask.stop.emplace_back(stop.string());
        const Value& thinking = root["thinking"];
        ask.wants_reasoning =
            thinking["type"].string() == "enabled" || thinking["type"].string() == "adaptive";
        if (const auto budget = thinking["budget_tokens"].as_int(); budget) {
            if (*budget < 1024)
                return std::unexpected(
                    bad("thinking.enabled.budget_tokens: Input should be "
                        "greater than or equal to 1024"));
            if (*budget >= *cap)
                return std::unexpected(
                    bad("`max_tokens` must be greater than "
                        "`thinking.budget_tokens`."));
        }
        if (ask.wants_reasoning &&
            (ask.tool_mode == Ask::ToolMode::kNamed || ask.tool_mode == Ask::ToolMode::kRequired))
            return std::unexpected(
                bad("Thinking may not be enabled when tool_choice forces tool use."));
        const Value& format = root["output_config"]["format"];
        if (format["type"].string() == "json_schema") {
            ask.schema = format["schema"].raw();
            ask.prompt += ask.schema;
        }
        return {};
    }

    static std::string call_id(const SimCall& call) { return "toolu_" + call.id; }
    static std::string signature_of(const Answer& answer) {
        return id_of("U2ltdWxhdGVk", answer.serial);
    }

    /// The content blocks; for a stream as its start events hold them.
    static std::vector<std::string> blocks(const Answer& answer, bool is_whole) {
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

    static void write_stop(Writer& writer, const Answer& answer) {
        std::string_view word = "end_turn";
        if (answer.finish == Finish::kLength) word = "max_tokens";
        if (answer.finish == Finish::kToolCalls) word = "tool_use";
        if (answer.finish == Finish::kStopSequence) word = "stop_sequence";
        writer.member("stop_reason", word);
        answer.finish == Finish::kStopSequence
            ? writer.member("stop_sequence", answer.stop_sequence)
            : writer.member_null("stop_sequence");
    }

    static void write_usage(Writer& writer, const canon::Usage& usage, std::int64_t output) {
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

    std::string start_of(const Ask& ask, const Answer& answer, bool has_usage) const {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("type", "message_start").key("message").begin_object();
        writer.member("model", ask.model).member("id", reply_id(answer));
        writer.member("type", "message").member("role", "assistant");
        writer.key("content").begin_array().end_array();
        writer.member_null("stop_reason").member_null("stop_sequence");
        canon::Usage first = answer.usage;
        first[Meter::kReasoning] = 0;
        if (has_usage) write_usage(writer.key("usage"), first, 1);
        writer.end_object().end_object();
        return out;
    }

    static std::string end_of(const Answer& answer, bool has_usage) {
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

    CloudAddress address_;
};

}  // namespace

std::unique_ptr<Cloud> make_anthropic() { return std::make_unique<Anthropic>(); }

}  // namespace entrepot::cloudsim
