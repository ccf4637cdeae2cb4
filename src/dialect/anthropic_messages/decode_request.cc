#include "dialect/anthropic_messages/decode_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/sealed_signature.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Item;
using canon::Role;
using json::Value;

std::unexpected<Error> wrong(std::string field, const Value& seen, std::string_view accepted) {
    if (seen.is_null())  // in Anthropic's own words
        return fail_field(ErrorCode::kInvalidField, std::move(field),
            fmt::format("Field required: {}", accepted));
    return fail_field(ErrorCode::kInvalidField, std::move(field),
        fmt::format("expected {}, got {} ({})", accepted, excerpt(seen.raw(), 60),
            json::kind_name(seen.kind())));
}

Result<std::string> text_of(const Value& object, std::string_view key, const std::string& path) {
    const Value& value = object[key];
    if (!value.is_string()) return wrong(fmt::format("{}.{}", path, key), value, "a string");
    return std::string(value.string());
}

Result<std::string> optional_text(
    const Value& object, std::string_view key, const std::string& path) {
    if (object[key].is_null()) return std::string();
    return text_of(object, key, path);
}

Status read_cache(
    const Value& value, const std::string& path, std::optional<canon::CacheMark>& to) {
    if (value.is_null()) return {};
    if (value["type"].string() != "ephemeral") {
        return wrong(path + ".cache_control", value, "{\"type\":\"ephemeral\"}");
    }
    ENTREPOT_TRY(std::string ttl, optional_text(value, "ttl", path + ".cache_control"));
    to = canon::CacheMark{std::move(ttl)};
    return {};
}

// The members that `known` does not name ride along under their own path.
void keep_rest(const Value& object, std::initializer_list<std::string_view> known,
    const std::string& path, std::vector<canon::Extra>& extras) {
    for (const json::Member& m : object.members()) {
        if (std::ranges::find(known, m.key) != known.end() || m.value.is_null()) continue;
        extras.push_back({path.empty() ? canon::path_step(m.key)
                                       : fmt::format("{}.{}", path, canon::path_step(m.key)),
            std::string(m.value.raw())});
    }
}

class Decoder {
public:
    Decoder(const Value& body, const RequestContext& context, Seller seller)
        : body_(body), context_(context), seller_(seller) {}

    Result<canon::Request> run() {
        if (!body_.is_object()) {
            return fail(ErrorCode::kBadRequest, "the body is no JSON object");
        }
        request_.origin = std::string(kName);
        ENTREPOT_TRY_DO(read_model_and_cap());
        ENTREPOT_TRY_DO(read_system());
        ENTREPOT_TRY_DO(read_messages());
        ENTREPOT_TRY_DO(read_tools());
        ENTREPOT_TRY_DO(read_tool_choice());
        ENTREPOT_TRY_DO(read_sampling());
        ENTREPOT_TRY_DO(read_thinking());
        ENTREPOT_TRY_DO(read_output());
        ENTREPOT_TRY_DO(read_rest());
        ENTREPOT_TRY_DO(canon::refuse_odd_names(request_));
        return std::move(request_);
    }

private:
    Status read_model_and_cap() {
        const Value& model = body_["model"];
        request_.model = context_.model.value_or("");
        if (request_.model.empty() && (!context_.model || !model.is_null())) {
            if (!model.is_string() || model.string().empty()) {
                return wrong("model", model, "the name of a model");
            }
            request_.model = std::string(model.string());
        }
        const Value& cap = body_["max_tokens"];
        const auto tokens = cap.as_int();
        if (!tokens || *tokens < 1) {
            return wrong("max_tokens", cap,
                "a whole number of at least 1 (a body to count tokens, which has none, is no "
                "request for an answer)");
        }
        request_.output_tokens_max = *tokens;
        return {};
    }

    Status read_system() {
        const Value& system = body_["system"];
        if (system.is_null()) return {};
        return read_content(system, "system", Role::kSystem, 0, request_.items);
    }

    Status read_messages() {
        const Value& messages = body_["messages"];
        if (!messages.is_array() || messages.items().empty()) {
            return wrong("messages", messages, "a list of at least one message");
        }
        std::uint32_t turn = 0;
        for (const Value& message : messages.items()) {
            const std::string path = fmt::format("messages[{}]", turn++);
            if (!message.is_object()) return wrong(path, message, "a message");
            const std::string_view word = message["role"].string();
            Role role = Role::kUser;
            if (word == "assistant") {
                role = Role::kAssistant;
            } else if (word == "system") {
                role = Role::kSystem;
            } else if (word != "user") {
                return wrong(path + ".role", message["role"], "user, assistant or system");
            }
            ENTREPOT_TRY_DO(
                read_content(message["content"], path + ".content", role, turn, request_.items));
            keep_rest(message, {"role", "content"}, path, request_.extras);
        }
        return {};
    }

    Status read_content(const Value& content, const std::string& path, Role role,
        std::uint32_t turn, std::vector<Item>& items) {
        if (content.is_string()) {
            items.push_back(
                {.role = role, .turn = turn, .body = canon::Text{std::string(content.string())}});
            return {};
        }
        if (!content.is_array()) return wrong(path, content, "a string or a list of blocks");
        std::size_t index = 0;
        for (const Value& block : content.items()) {
            ENTREPOT_TRY_DO(
                read_block(block, fmt::format("{}[{}]", path, index++), role, turn, items));
        }
        return {};
    }

    Status read_block(const Value& block, const std::string& path, Role role, std::uint32_t turn,
        std::vector<Item>& items) {
        if (!block.is_object() || !block["type"].is_string()) {
            return wrong(path, block, "a content block with a type");
        }
        Item item;
        item.role = role;
        item.turn = turn;
        const std::string_view type = block["type"].string();
        if (type == "text") {
            ENTREPOT_TRY(std::string text, text_of(block, "text", path));
            item.body = canon::Text{std::move(text)};
            keep_rest(block, {"type", "text", "cache_control"}, path, item.extras);
        } else if ((type == "image" || type == "document") && is_known_source(block["source"])) {
            ENTREPOT_TRY_DO(read_media(block, type, path, item));
        } else if (type == "tool_use") {
            ENTREPOT_TRY_DO(read_tool_use(block, path, item));
        } else if (type == "tool_result") {
            ENTREPOT_TRY_DO(read_tool_result(block, path, item));
        } else if (type == "thinking") {
            ENTREPOT_TRY(std::string text, text_of(block, "thinking", path));
            ENTREPOT_TRY(std::string data, optional_text(block, "signature", path));
            item.body = canon::Thought{.text = std::move(text)};
            if (!data.empty()) item.signature = proof_in(data, kName, request_.holds_sealed);
            keep_rest(block, {"type", "thinking", "signature", "cache_control"}, path, item.extras);
        } else if (type == "redacted_thinking") {
            ENTREPOT_TRY(std::string data, text_of(block, "data", path));
            if (auto sealed = unseal(data)) {
                put_back(*std::move(sealed), turn, items);
                request_.holds_sealed = true;
                return {};
            }
            item.body = canon::Thought{.is_redacted = true};
            item.signature = canon::Signature{std::string(kName), std::move(data)};
            keep_rest(block, {"type", "data", "cache_control"}, path, item.extras);
        } else {
            item.body =
                canon::Opaque{std::string(kName), std::string(type), std::string(block.raw())};
            items.push_back(std::move(item));
            return {};
        }
        ENTREPOT_TRY_DO(read_cache(block["cache_control"], path, item.cache));
        items.push_back(std::move(item));
        return {};
    }

    static bool is_known_source(const Value& source) {
        const std::string_view type = source["type"].string();
        return type == "base64" || type == "url" || type == "file" || type == "text";
    }

    static Status read_media(
        const Value& block, std::string_view type, const std::string& path, Item& item) {
        const Value& source = block["source"];
        const std::string at = path + ".source";
        canon::Media media;
        media.kind = type == "image" ? canon::Media::Kind::kImage : canon::Media::Kind::kDocument;
        ENTREPOT_TRY(media.media_type, optional_text(source, "media_type", at));
        const std::string_view kind = source["type"].string();
        std::string_view key = "data";
        if (kind == "url") {
            media.source = canon::Media::Source::kUrl;
            key = "url";
        } else if (kind == "file") {
            media.source = canon::Media::Source::kFileId;
            key = "file_id";
        } else if (kind == "text") {
            media.source = canon::Media::Source::kText;
        } else if (media.media_type.empty()) {
            return wrong(at + ".media_type", source["media_type"], "a media type");
        }
        ENTREPOT_TRY(media.data, text_of(source, key, at));
        ENTREPOT_TRY(media.name, optional_text(block, "title", path));
        item.body = std::move(media);
        keep_rest(block, {"type", "source", "title", "cache_control"}, path, item.extras);
        return {};
    }

    static Status read_tool_use(const Value& block, const std::string& path, Item& item) {
        canon::ToolCall call;
        ENTREPOT_TRY(call.id, text_of(block, "id", path));
        ENTREPOT_TRY(call.name, text_of(block, "name", path));
        const Value& input = block["input"];
        if (!input.is_object() && !input.is_null()) {
            return wrong(path + ".input", input, "an object");
        }
        call.arguments = input.is_null() ? "{}" : std::string(input.raw());
        item.body = std::move(call);
        keep_rest(block, {"type", "id", "name", "input", "cache_control"}, path, item.extras);
        return {};
    }

    Status read_tool_result(const Value& block, const std::string& path, Item& item) {
        canon::ToolResult result;
        ENTREPOT_TRY(result.call_id, text_of(block, "tool_use_id", path));
        const Value& failed = block["is_error"];
        if (!failed.is_null() && !failed.is_bool()) {
            return wrong(path + ".is_error", failed, "true or false");
        }
        result.is_error = failed.as_bool().value_or(false);
        if (!block["content"].is_null()) {
            ENTREPOT_TRY_DO(read_content(
                block["content"], path + ".content", Role::kTool, item.turn, result.content));
        }
        item.role = Role::kTool;
        item.body = std::move(result);
        keep_rest(block, {"type", "tool_use_id", "content", "is_error", "cache_control"}, path,
            item.extras);
        return {};
    }

    Status read_tools() {
        const Value& tools = body_["tools"];
        if (tools.is_null()) return {};
        if (!tools.is_array()) return wrong("tools", tools, "a list of tools");
        std::size_t index = 0;
        for (const Value& entry : tools.items()) {
            const std::string path = fmt::format("tools[{}]", index++);
            if (!entry.is_object()) return wrong(path, entry, "a tool");
            canon::Tool tool;
            const std::string_view type = entry["type"].string();
            ENTREPOT_TRY(tool.name, optional_text(entry, "name", path));
            if (!type.empty() && type != "custom") {
                tool.server =
                    canon::Opaque{std::string(kName), std::string(type), std::string(entry.raw())};
                request_.tools.push_back(std::move(tool));
                continue;
            }
            if (tool.name.empty()) return wrong(path + ".name", entry["name"], "a name");
            ENTREPOT_TRY(tool.description, optional_text(entry, "description", path));
            const Value& schema = entry["input_schema"];
            if (!schema.is_object()) return wrong(path + ".input_schema", schema, "a JSON schema");
            tool.parameters = std::string(schema.raw());
            tool.is_strict = entry["strict"].as_bool();
            ENTREPOT_TRY_DO(read_cache(entry["cache_control"], path, tool.cache));
            keep_rest(entry,
                {"type", "name", "description", "input_schema", "strict", "cache_control"}, path,
                tool.extras);
            request_.tools.push_back(std::move(tool));
        }
        return {};
    }

    Status read_tool_choice() {
        const Value& choice = body_["tool_choice"];
        if (choice.is_null()) return {};
        const std::string_view type = choice["type"].string();
        canon::ToolChoice out;
        if (type == "auto") {
            out.mode = canon::ToolChoice::Mode::kAuto;
        } else if (type == "none") {
            out.mode = canon::ToolChoice::Mode::kNone;
        } else if (type == "any") {
            out.mode = canon::ToolChoice::Mode::kRequired;
        } else if (type == "tool") {
            out.mode = canon::ToolChoice::Mode::kNamed;
            ENTREPOT_TRY(out.name, text_of(choice, "name", "tool_choice"));
        } else {
            return wrong("tool_choice", choice, "a type of auto, any, tool or none");
        }
        request_.tool_choice = std::move(out);
        if (const auto is_single = choice["disable_parallel_tool_use"].as_bool()) {
            request_.parallel_tool_calls = !*is_single;
        }
        return {};
    }

    Status read_number(std::string_view key, std::optional<canon::NumberText>& to) {
        const Value& value = body_[key];
        if (value.is_null()) return {};
        if (!value.is_number()) return wrong(std::string(key), value, "a number");
        to = std::string(value.raw());
        return {};
    }

    Status read_sampling() {
        ENTREPOT_TRY_DO(read_number("temperature", request_.temperature));
        ENTREPOT_TRY_DO(read_number("top_p", request_.top_p));
        if (const Value& top_k = body_["top_k"]; !top_k.is_null()) {
            if (!top_k.as_int()) return wrong("top_k", top_k, "a whole number");
            request_.top_k = top_k.as_int();
        }
        const Value& stops = body_["stop_sequences"];
        if (!stops.is_null() && !stops.is_array()) {
            return wrong("stop_sequences", stops, "a list of strings");
        }
        for (const Value& stop : stops.items()) {
            if (!stop.is_string()) return wrong("stop_sequences", stop, "strings");
            request_.stop.emplace_back(stop.string());
        }
        return {};
    }

    Status read_thinking() {
        const Value& thinking = body_["thinking"];
        if (thinking.is_null()) return {};
        const std::string_view type = thinking["type"].string();
        canon::Reasoning reasoning;
        if (type == "enabled") {
            const auto budget = thinking["budget_tokens"].as_int();
            if (!budget) {
                return wrong("thinking.budget_tokens", thinking["budget_tokens"],
                    "a whole number of tokens");
            }
            reasoning.is_enabled = true;
            reasoning.budget_tokens = budget;
        } else if (type == "adaptive" || type == "disabled") {
            reasoning.is_enabled = type == "adaptive";
        } else {
            return wrong("thinking", thinking, "a type of enabled, adaptive or disabled");
        }
        request_.reasoning = reasoning;
        keep_rest(thinking, {"type", "budget_tokens"}, "thinking", request_.extras);
        return {};
    }

    Status read_format(const Value& format, const std::string& path) {
        if (format.is_null()) return {};
        // The beta of this field is still in use under another name; a body it does not
        // recognise rides along for the supplier to judge.
        if (format["type"].string() != "json_schema" || !format["schema"].is_object()) {
            request_.extras.push_back({path, std::string(format.raw())});
            return {};
        }
        canon::ResponseFormat out;
        out.kind = canon::ResponseFormat::Kind::kJsonSchema;
        out.schema = std::string(format["schema"].raw());
        request_.format = std::move(out);
        keep_rest(format, {"type", "schema"}, path, request_.extras);
        return {};
    }

    Status read_output() {
        ENTREPOT_TRY_DO(read_format(body_["output_format"], "output_format"));
        const Value& output = body_["output_config"];
        if (output.is_null()) return {};
        if (!output.is_object()) return wrong("output_config", output, "an object");
        ENTREPOT_TRY_DO(read_format(output["format"], "output_config.format"));
        ENTREPOT_TRY(std::string effort, optional_text(output, "effort", "output_config"));
        if (!effort.empty()) {
            if (!request_.reasoning) request_.reasoning.emplace();
            request_.reasoning->effort = std::move(effort);
        }
        keep_rest(output, {"format", "effort"}, "output_config", request_.extras);
        return {};
    }

    Status read_rest() {
        const Value& stream = body_["stream"];
        if (!stream.is_null() && !stream.is_bool()) return wrong("stream", stream, "true or false");
        request_.is_stream = context_.is_stream.value_or(stream.as_bool().value_or(false));
        request_.wants_usage = true;
        const Value& metadata = body_["metadata"];
        if (!metadata.is_null() && !metadata.is_object()) {
            return wrong("metadata", metadata, "an object");
        }
        ENTREPOT_TRY(request_.user, optional_text(metadata, "user_id", "metadata"));
        keep_rest(metadata, {"user_id"}, "metadata", request_.extras);
        ENTREPOT_TRY(request_.service_tier, optional_text(body_, "service_tier", "body"));
        // Which version a supplier is asked in is the encoder's matter, as it is with the maker's
        // header of that name: newer clients state the maker's own here.
        const bool has_version = seller_ == Seller::kVertex && body_[kVersionField].is_string();
        keep_rest(body_,
            {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "temperature",
                "top_p", "top_k", "stop_sequences", "thinking", "output_config", "output_format",
                "stream", "metadata", "service_tier", has_version ? kVersionField : ""},
            "", request_.extras);
        keep_betas();
        return {};
    }

    /// Betas stand in a header here and in the body at the clouds that sell these models: they
    /// ride along as the latter.
    void keep_betas() {
        std::string betas;
        json::Writer writer(betas);
        writer.begin_array();
        for (const Header& header : context_.headers) {
            if (!equals_ignoring_case(header.name, kBetaHeader)) continue;
            for (const std::string_view beta : split(header.value, ','))
                if (!trim(beta).empty()) writer.string(trim(beta));
        }
        writer.end_array();
        if (betas != "[]") request_.extras.push_back({std::string(kBetaField), std::move(betas)});
    }

    const Value& body_;
    const RequestContext& context_;
    Seller seller_;
    canon::Request request_;
};

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    return Decoder(body.root(), context, Seller::kMaker).run();
}

Result<canon::Request> decode_vertex_request(
    const json::Document& body, const RequestContext& context) {
    return Decoder(body.root(), context, Seller::kVertex).run();
}

}  // namespace entrepot::dialect::anthropic_messages
