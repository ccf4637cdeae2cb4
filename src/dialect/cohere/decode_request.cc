#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/cohere/parts.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::Item;
using canon::Role;
using json::Value;

std::unexpected<Error> wrong(std::string field, const Value& seen, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::move(field),
        fmt::format("expected {}, got {} ({})", accepted, excerpt(seen.raw(), 60),
            json::kind_name(seen.kind())));
}

class Decoder {
public:
    Decoder(const Value& body, const RequestContext& context) : body_(body), context_(context) {}

    Result<canon::Request> run() {
        if (!body_.is_object()) return fail(ErrorCode::kBadRequest, "the body is no JSON object");
        request_.origin = kName;
        request_.model = context_.model.value_or("");
        if (request_.model.empty()) {
            if (!body_["model"].is_string())
                return wrong("model", body_["model"], "the name of a model");
            request_.model = body_["model"].string();
        }
        request_.is_stream = context_.is_stream.value_or(body_["stream"].as_bool().value_or(false));
        request_.wants_usage = true;
        ENTREPOT_TRY_DO(read_messages());
        ENTREPOT_TRY_DO(read_tools());
        ENTREPOT_TRY_DO(read_settings());
        keep_rest();
        ENTREPOT_TRY_DO(canon::refuse_odd_names(request_));
        return std::move(request_);
    }

private:
    Status read_messages() {
        const Value& messages = body_["messages"];
        if (!messages.is_array() || messages.items().empty())
            return wrong("messages", messages, "a list of at least one message");
        std::uint32_t turn = 0;
        for (const Value& message : messages.items()) {
            const std::string path = fmt::format("messages[{}]", turn++);
            const std::string_view role = message["role"].string();
            if (role == "tool") {
                ENTREPOT_TRY_DO(read_result(message, path, turn));
                continue;
            }
            Item item;
            item.turn = turn;
            if (role == "assistant") {
                item.role = Role::kAssistant;
            } else if (role == "system" || role == "developer") {
                item.role = Role::kSystem;
            } else if (role != "user") {
                return wrong(path + ".role", message["role"], "system, user, assistant or tool");
            }
            ENTREPOT_TRY_DO(read_content(message["content"], path, item, request_.items));
            ENTREPOT_TRY_DO(read_calls(message, path, item));
        }
        return {};
    }

    static Status read_content(
        const Value& content, const std::string& path, const Item& like, std::vector<Item>& items) {
        if (content.is_null()) return {};
        if (content.is_string()) {
            Item item = like;
            item.body = canon::Text{std::string(content.string())};
            items.push_back(std::move(item));
            return {};
        }
        if (!content.is_array())
            return wrong(path + ".content", content, "a string or a list of parts");
        for (const Value& part : content.items()) {
            Item item = like;
            const std::string_view type = part["type"].string();
            if (type == "text" && part["text"].is_string()) {
                item.body = canon::Text{std::string(part["text"].string())};
            } else if (type == "thinking" && part["thinking"].is_string()) {
                item.body = canon::Thought{std::string(part["thinking"].string())};
            } else if (part.is_object() && !type.empty()) {
                item.body =
                    canon::Opaque{std::string(kName), std::string(type), std::string(part.raw())};
            } else {
                return wrong(path + ".content[]", part, "a part with a type");
            }
            items.push_back(std::move(item));
        }
        return {};
    }

    Status read_calls(const Value& message, const std::string& path, const Item& like) {
        if (const std::string_view plan = message[kToolPlan].string(); !plan.empty()) {
            Item item = like;
            item.body = canon::Thought{std::string(plan)};
            item.marks.push_back({std::string(kToolPlan), "true", std::string(kName)});
            request_.items.push_back(std::move(item));
        }
        for (const Value& call : message["tool_calls"].items()) {
            const Value& function = call["function"];
            if (!call["id"].is_string() || !function["name"].is_string())
                return wrong(path + ".tool_calls[]", call, "a call with an id and a name");
            const std::string_view arguments = function["arguments"].string();
            Item item = like;
            item.body = canon::ToolCall{std::string(call["id"].string()),
                std::string(function["name"].string()),
                std::string(arguments.empty() ? "{}" : arguments), false};
            request_.items.push_back(std::move(item));
        }
        return {};
    }

    Status read_result(const Value& message, const std::string& path, std::uint32_t turn) {
        if (!message["tool_call_id"].is_string())
            return wrong(path + ".tool_call_id", message["tool_call_id"], "the id of a call");
        Item item;
        item.role = Role::kTool;
        item.turn = turn;
        canon::ToolResult result;
        result.call_id = message["tool_call_id"].string();
        Item part;
        part.role = Role::kTool;
        part.turn = turn;
        ENTREPOT_TRY_DO(read_content(message["content"], path, part, result.content));
        item.body = std::move(result);
        request_.items.push_back(std::move(item));
        return {};
    }

    Status read_tools() {
        const Value& tools = body_["tools"];
        if (!tools.is_null() && !tools.is_array()) return wrong("tools", tools, "a list of tools");
        for (std::size_t i = 0; i < tools.items().size(); ++i) {
            const Value& function = tools.items()[i]["function"];
            if (!function["name"].is_string())
                return wrong(fmt::format("tools[{}].function.name", i), function["name"], "a name");
            canon::Tool tool;
            tool.name = function["name"].string();
            tool.description = function["description"].string();
            if (function["parameters"].is_object()) tool.parameters = function["parameters"].raw();
            if (body_["strict_tools"].as_bool() == true) tool.is_strict = true;
            request_.tools.push_back(std::move(tool));
        }
        const std::string_view choice = body_["tool_choice"].string();
        if (choice == "REQUIRED") {
            request_.tool_choice.emplace().mode = canon::ToolChoice::Mode::kRequired;
        } else if (choice == "NONE") {
            request_.tool_choice.emplace().mode = canon::ToolChoice::Mode::kNone;
        } else if (!body_["tool_choice"].is_null()) {
            return wrong("tool_choice", body_["tool_choice"], "REQUIRED or NONE");
        }
        return {};
    }

    Status read_number(std::string_view key, std::optional<canon::NumberText>& to) {
        const Value& value = body_[key];
        if (value.is_null()) return {};
        if (!value.is_number()) return wrong(std::string(key), value, "a number");
        to = value.raw();
        return {};
    }

    Status read_whole_number(std::string_view key, std::optional<std::int64_t>& to) {
        const Value& value = body_[key];
        if (value.is_null()) return {};
        to = value.as_int();
        if (!to) return wrong(std::string(key), value, "a whole number");
        return {};
    }

    Status read_settings() {
        ENTREPOT_TRY_DO(read_whole_number("max_tokens", request_.output_tokens_max));
        ENTREPOT_TRY_DO(read_whole_number("k", request_.top_k));
        ENTREPOT_TRY_DO(read_whole_number("seed", request_.seed));
        ENTREPOT_TRY_DO(read_number("temperature", request_.temperature));
        ENTREPOT_TRY_DO(read_number("p", request_.top_p));
        ENTREPOT_TRY_DO(read_number("frequency_penalty", request_.frequency_penalty));
        ENTREPOT_TRY_DO(read_number("presence_penalty", request_.presence_penalty));
        request_.logprobs = body_["logprobs"].as_bool();
        for (const Value& stop : body_["stop_sequences"].items()) {
            if (!stop.is_string()) return wrong("stop_sequences", stop, "strings");
            request_.stop.emplace_back(stop.string());
        }
        if (const Value& format = body_["response_format"]; format.is_object()) {
            using Kind = canon::ResponseFormat::Kind;
            canon::ResponseFormat& out = request_.format.emplace();
            const bool is_json = format["type"].string() == "json_object";
            if (is_json) out.kind = Kind::kJsonObject;
            // Its old name is still taken.
            for (const std::string_view key : {"schema", "json_schema"})
                if (is_json && format[key].is_object()) {
                    out.kind = Kind::kJsonSchema;
                    out.schema = format[key].raw();
                }
        }
        if (const Value& thinking = body_["thinking"]; thinking.is_object()) {
            canon::Reasoning& reasoning = request_.reasoning.emplace();
            reasoning.is_enabled = thinking["type"].string() != "disabled";
            reasoning.budget_tokens = thinking["token_budget"].as_int();
        }
        return {};
    }

    void keep_rest() {
        constexpr std::array<std::string_view, 17> kKnown{"model", "stream", "messages", "tools",
            "strict_tools", "tool_choice", "max_tokens", "k", "seed", "temperature", "p",
            "frequency_penalty", "presence_penalty", "logprobs", "stop_sequences",
            "response_format", "thinking"};
        for (const json::Member& member : body_.members())
            if (!member.value.is_null() && std::ranges::find(kKnown, member.key) == kKnown.end())
                request_.extras.push_back(
                    {canon::path_step(member.key), std::string(member.value.raw())});
    }

    const Value& body_;
    const RequestContext& context_;
    canon::Request request_;
};

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    return Decoder(body.root(), context).run();
}

}  // namespace entrepot::dialect::cohere
