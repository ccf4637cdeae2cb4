#include "dialect/openai_responses/decode_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "canon/field_names.h"
#include "dialect/openai_responses/decode_items.h"
#include "dialect/openai_responses/names.h"
#include "dialect/openai_responses/reading.h"

namespace entrepot::dialect::openai_responses {
namespace {

using json::Value;

constexpr std::int64_t kCapMin = 1;

class Decoder {
public:
    Decoder(const Value& body, const RequestContext& context) : body_(body), context_(context) {}

    Result<canon::Request> run() {
        if (!body_.is_object()) return fail(ErrorCode::kBadRequest, "the body is no JSON object");
        request_.origin = std::string(kName);
        ENTREPOT_TRY_DO(read_model());
        ENTREPOT_TRY_DO(read_conversation());
        ENTREPOT_TRY_DO(read_tools());
        ENTREPOT_TRY_DO(read_tool_choice());
        ENTREPOT_TRY_DO(read_sampling());
        ENTREPOT_TRY_DO(read_text());
        ENTREPOT_TRY_DO(read_reasoning());
        ENTREPOT_TRY_DO(read_include());
        ENTREPOT_TRY_DO(read_names());
        ENTREPOT_TRY_DO(read_stream());
        ENTREPOT_TRY_DO(keep_others());
        return std::move(request_);
    }

private:
    Status read_model() {
        request_.model = context_.model.value_or("");
        if (!request_.model.empty()) return {};
        const Value& model = body_["model"];
        // A stored prompt may name the model.
        const bool may_be_absent = context_.model || body_["prompt"].is_object();
        if (may_be_absent && model.is_null()) return {};
        if (!model.is_string() || model.string().empty())
            return wrong("model", model, "the name of a model");
        request_.model = std::string(model.string());
        return {};
    }

    Status read_conversation() {
        const Value& instructions = body_["instructions"];
        if (instructions.is_string()) {
            canon::Item item{.role = canon::Role::kSystem,
                .turn = 0,
                .body = canon::Text{std::string(instructions.string())}};
            request_.items.push_back(std::move(item));
        } else if (!instructions.is_null()) {
            return wrong("instructions", instructions, "a string or null");
        }
        const Value& input = body_["input"];
        if (!input.is_string() && !input.is_array()) {
            const bool has_state = body_["prompt"].is_object() ||
                body_["previous_response_id"].is_string() || !body_["conversation"].is_null();
            if (!input.is_null() || !has_state)
                return wrong("input", input, "a string or a list of items");
        }
        return decode_input(input, request_);
    }

    Status read_tools() {
        const Value& tools = body_["tools"];
        if (tools.is_null()) return {};
        if (!tools.is_array()) return wrong("tools", tools, "a list of tools");
        std::size_t index = 0;
        for (const Value& value : tools.items())
            ENTREPOT_TRY_DO(read_tool(value, fmt::format("tools[{}]", index++)));
        return {};
    }

    Status read_tool(const Value& value, const std::string& path) {
        if (!value.is_object() || !value["type"].is_string())
            return wrong(path, value, "a tool with a type");
        const std::string_view type = value["type"].string();
        canon::Tool tool;
        if (type != "function" && type != "custom") {
            tool.name = type;
            tool.server =
                canon::Opaque{std::string(kName), std::string(type), std::string(value.raw())};
            request_.tools.push_back(std::move(tool));
            return {};
        }
        tool.is_custom = type == "custom";
        ENTREPOT_TRY(tool.name, text_of(value, "name", path));
        ENTREPOT_TRY_DO(set_text(value, "description", path, tool.description));
        if (const Value& schema = value["parameters"]; !schema.is_null()) {
            if (!schema.is_object()) return wrong(path + ".parameters", schema, "a JSON schema");
            tool.parameters = std::string(schema.raw());
        }
        ENTREPOT_TRY_DO(set_flag(value, "strict", path, tool.is_strict));
        keep_rest(
            value, {"type", "name", "description", "parameters", "strict"}, path, tool.extras);
        request_.tools.push_back(std::move(tool));
        return {};
    }

    Status read_tool_choice() {
        using Mode = canon::ToolChoice::Mode;
        const Value& choice = body_["tool_choice"];
        if (choice.is_null()) return {};
        canon::ToolChoice made;
        if (choice.is_string()) {
            const std::string_view word = choice.string();
            if (word != "auto" && word != "none" && word != "required")
                return wrong("tool_choice", choice, "none, auto, required or an object");
            made.mode = word == "auto" ? Mode::kAuto
                : word == "none"       ? Mode::kNone
                                       : Mode::kRequired;
        } else if (choice["type"].string() == "function" || choice["type"].string() == "custom") {
            made.mode = Mode::kNamed;
            ENTREPOT_TRY(made.name, text_of(choice, "name", "tool_choice"));
        } else if (choice["type"].string() == "allowed_tools") {
            if (!read_allowed(choice, made)) return keep_choice(choice);
        } else if (choice["type"].is_string()) {
            return keep_choice(choice);  // a tool of the supplier's
        } else {
            return wrong("tool_choice", choice, "none, auto, required or an object with a type");
        }
        request_.tool_choice = std::move(made);
        return {};
    }

    Status keep_choice(const Value& choice) {
        request_.extras.push_back({"tool_choice", std::string(choice.raw())});
        return {};
    }

    /// False when one of them is a tool that the supplier runs.
    static bool read_allowed(const Value& choice, canon::ToolChoice& made) {
        const std::string_view mode = choice["mode"].string();
        if (mode != "auto" && mode != "required") return false;
        if (mode == "required") made.mode = canon::ToolChoice::Mode::kRequired;
        for (const Value& tool : choice["tools"].items()) {
            const std::string_view type = tool["type"].string();
            if ((type != "function" && type != "custom") || !tool["name"].is_string()) return false;
            made.names.emplace_back(tool["name"].string());
        }
        return !made.names.empty();
    }

    Status set_number(std::string_view key, std::optional<canon::NumberText>& to) {
        const Value& value = body_[key];
        if (value.is_null()) return {};
        if (!value.is_number()) return wrong(std::string(key), value, "a number or null");
        to = std::string(value.raw());
        return {};
    }

    Status read_sampling() {
        ENTREPOT_TRY_DO(set_number("temperature", request_.temperature));
        ENTREPOT_TRY_DO(set_number("top_p", request_.top_p));
        ENTREPOT_TRY_DO(set_number("frequency_penalty", request_.frequency_penalty));
        ENTREPOT_TRY_DO(set_number("presence_penalty", request_.presence_penalty));
        ENTREPOT_TRY_DO(
            set_whole(body_, "max_output_tokens", "", kCapMin, request_.output_tokens_max));
        ENTREPOT_TRY_DO(set_whole(body_, "top_logprobs", "", 0, request_.top_logprobs));
        return set_flag(body_, "parallel_tool_calls", "", request_.parallel_tool_calls);
    }

    Status read_text() {
        using Kind = canon::ResponseFormat::Kind;
        const Value& text = body_["text"];
        if (text.is_null()) return {};
        if (!text.is_object()) return wrong("text", text, "an object or null");
        ENTREPOT_TRY_DO(set_text(text, "verbosity", "text", request_.verbosity));
        keep_rest(text, {"format", "verbosity"}, "text", request_.extras);
        const Value& format = text["format"];
        if (format.is_null()) return {};
        const std::string_view type = format["type"].string();
        canon::ResponseFormat made;
        if (type == "json_object") {
            made.kind = Kind::kJsonObject;
        } else if (type == "json_schema") {
            made.kind = Kind::kJsonSchema;
            ENTREPOT_TRY_DO(set_text(format, "name", "text.format", made.name));
            ENTREPOT_TRY_DO(set_text(format, "description", "text.format", made.description));
            ENTREPOT_TRY_DO(set_flag(format, "strict", "text.format", made.is_strict));
            if (!format["schema"].is_object())
                return wrong("text.format.schema", format["schema"], "a JSON schema");
            made.schema = std::string(format["schema"].raw());
        } else if (type != "text") {
            if (type.empty()) return wrong("text.format.type", format["type"], "a kind of format");
            request_.extras.push_back({"text.format", std::string(format.raw())});
            return {};
        }
        keep_rest(format, {"type", "name", "description", "strict", "schema"}, "text.format",
            request_.extras);
        request_.format = std::move(made);
        return {};
    }

    Status read_reasoning() {
        const Value& value = body_["reasoning"];
        if (value.is_null()) return {};
        if (!value.is_object()) return wrong("reasoning", value, "an object or null");
        canon::Reasoning reasoning;
        ENTREPOT_TRY_DO(set_text(value, "effort", "reasoning", reasoning.effort));
        ENTREPOT_TRY_DO(set_text(value, "summary", "reasoning", reasoning.summary));
        if (reasoning.summary.empty())  // its old name
            ENTREPOT_TRY_DO(set_text(value, "generate_summary", "reasoning", reasoning.summary));
        keep_rest(value, {"effort", "summary", "generate_summary"}, "reasoning", request_.extras);
        if (!reasoning.effort.empty() || !reasoning.summary.empty())
            request_.reasoning = std::move(reasoning);
        return {};
    }

    Status read_include() {
        const Value& include = body_["include"];
        if (include.is_null()) return {};
        if (!include.is_array()) return wrong("include", include, "a list of strings or null");
        for (const Value& entry : include.items()) {
            if (!entry.is_string()) return wrong("include", entry, "a list of strings");
            if (entry.string() == "reasoning.encrypted_content")
                request_.wants_signatures = true;
            else if (entry.string() == "message.output_text.logprobs")
                request_.logprobs = true;
            else
                request_.extras.push_back(
                    {fmt::format("include.{}", entry.string()), std::string(entry.raw())});
        }
        return {};
    }

    Status read_names() {
        ENTREPOT_TRY_DO(set_text(body_, "user", "", request_.user));
        std::string identifier;
        ENTREPOT_TRY_DO(set_text(body_, "safety_identifier", "", identifier));
        if (!identifier.empty()) {
            if (!request_.user.empty())
                request_.extras.push_back({"user", std::string(body_["user"].raw())});
            request_.user = std::move(identifier);
        }
        ENTREPOT_TRY_DO(set_text(body_, "service_tier", "", request_.service_tier));
        ENTREPOT_TRY_DO(set_text(body_, "prompt_cache_key", "", request_.prompt_cache_key));
        if (const Value& metadata = body_["metadata"]; !metadata.is_null()) {
            if (!metadata.is_object()) return wrong("metadata", metadata, "an object or null");
            request_.metadata = std::string(metadata.raw());
        }
        return set_flag(body_, "store", "", request_.store);
    }

    Status read_stream() {
        std::optional<bool> flag;
        ENTREPOT_TRY_DO(set_flag(body_, "stream", "", flag));
        request_.is_stream = context_.is_stream.value_or(flag.value_or(false));
        request_.wants_usage = true;
        keep_rest(body_["stream_options"], {}, "stream_options", request_.extras);
        return {};
    }

    /// Whether the member says what would be so without it.
    static bool is_default(const json::Member& member) {
        return member.value.is_null() ||
            (member.key == "background" && member.value.as_bool() == false) ||
            (member.key == "truncation" && member.value.string() == "disabled");
    }

    /// Where a field of an object is kept its path has a dot; at the top a name with one would be
    /// taken for such a field.
    Status keep_others() {
        constexpr std::array<std::string_view, 23> kRead{"model", "instructions", "input", "tools",
            "tool_choice", "temperature", "top_p", "frequency_penalty", "presence_penalty",
            "max_output_tokens", "top_logprobs", "parallel_tool_calls", "text", "reasoning",
            "include", "user", "safety_identifier", "service_tier", "prompt_cache_key", "metadata",
            "store", "stream", "stream_options"};
        for (const json::Member& member : body_.members()) {
            if (std::ranges::find(kRead, member.key) != kRead.end() || is_default(member)) continue;
            request_.extras.push_back(
                {canon::path_step(member.key), std::string(member.value.raw())});
        }
        return canon::refuse_odd_names(request_);
    }

    const Value& body_;
    const RequestContext& context_;
    canon::Request request_;
};

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    return Decoder(body.root(), context).run();
}

}  // namespace entrepot::dialect::openai_responses
