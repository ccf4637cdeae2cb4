#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_converse/parts.h"
#include "dialect/sealed_signature.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Extra;
using canon::Item;
using canon::Media;
using canon::Role;
using json::Kind;
using json::Value;

std::unexpected<Error> wrong(std::string_view path, const Value& seen, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::string(path),
        fmt::format("{} must be {}, not {}", path, accepted, json::kind_name(seen.kind())));
}

/// A member that must be there with that kind.
Result<const Value*> require(
    const Value& parent, std::string_view path, std::string_view key, Kind kind) {
    const Value* value = parent.find(key);
    const std::string where = path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
    if (value == nullptr)
        return fail_field(ErrorCode::kInvalidField, where, fmt::format("{} is required", where));
    if (value->kind() != kind) return wrong(where, *value, json::kind_name(kind));
    return value;
}

/// What the known keys leave over, as extras under `path`.
void keep_rest(const Value& object, std::string_view path,
    std::initializer_list<std::string_view> known, std::vector<Extra>& extras) {
    for (const json::Member& member : object.members())
        if (std::ranges::find(known, member.key) == known.end())
            extras.push_back(
                {path.empty() ? canon::path_step(member.key)
                              : fmt::format("{}.{}", path, canon::path_step(member.key)),
                    std::string(member.value.raw())});
}

canon::Opaque opaque(std::string_view kind, const Value& block) {
    return {std::string(kName), std::string(kind), std::string(block.raw())};
}

constexpr std::array<std::string_view, 11> kBlockKeys{"text", "image", "document", "video", "audio",
    "toolUse", "toolResult", "reasoningContent", "cachePoint", "guardContent", "citationsContent"};

/// The member that says what a block is; for a block of none that we know, its first member.
Result<const json::Member*> block_member(const Value& block, const std::string& path) {
    if (!block.is_object()) return wrong(path, block, "an object");
    const json::Member* first = nullptr;
    for (const json::Member& member : block.members()) {
        if (std::ranges::find(kBlockKeys, member.key) != kBlockKeys.end()) return &member;
        if (first == nullptr && member.key != "type") first = &member;
    }
    if (first == nullptr)
        return fail_field(ErrorCode::kInvalidField, path,
            fmt::format("{} must have one of {}", path, fmt::join(kBlockKeys, ", ")));
    return first;
}

/// False when the block is of a shape that canon has no place for.
Result<bool> decode_media(
    Media::Kind kind, const Value& value, const std::string& path, Item& item) {
    if (!value.is_object()) return wrong(path, value, "an object");
    ENTREPOT_TRY(const Value* source, require(value, path, "source", Kind::kObject));
    Media media;
    media.kind = kind;
    if (const Value& format = value["format"]; !format.is_null()) {
        if (!format.is_string()) return wrong(path + ".format", format, "a string");
        media.media_type = media_type_of(kind, format.string());
    }
    media.name = value["name"].string();
    if (const Value* bytes = source->find("bytes"); bytes != nullptr && bytes->is_string()) {
        media.source = Media::Source::kBase64;
        media.data = bytes->string();
    } else if (const Value& uri = (*source)["s3Location"]["uri"]; uri.is_string()) {
        media.source = Media::Source::kStorage;
        media.data = uri.string();
        keep_rest((*source)["s3Location"], path + ".source.s3Location", {"uri"}, item.extras);
    } else if (const Value* text = source->find("text"); text != nullptr && text->is_string()) {
        media.source = Media::Source::kText;
        media.data = text->string();
    } else {
        return false;
    }
    keep_rest(value, path, {"format", "name", "source"}, item.extras);
    item.body = std::move(media);
    return true;
}

Result<bool> decode_tool_result(
    const Value& value, const std::string& path, Item& item, bool& holds_sealed);

/// Of a client that was shown another maker's: blobs are base64.
std::optional<Sealed> sealed_in(std::string_view blob) {
    std::string bytes;
    return base64_decode(blob, bytes) ? unseal(bytes) : std::nullopt;
}

/// The block's content into `item`. False when only Converse itself has a place for it.
Result<bool> decode_block(std::string_view key, const Value& value, const std::string& path,
    Item& item, bool& holds_sealed) {
    const std::string where = fmt::format("{}.{}", path, key);
    if (key == "text") {
        if (!value.is_string()) return wrong(where, value, "a string");
        item.body = canon::Text{std::string(value.string())};
        return true;
    }
    if (key == "image") return decode_media(Media::Kind::kImage, value, where, item);
    if (key == "document") return decode_media(Media::Kind::kDocument, value, where, item);
    if (key == "video") return decode_media(Media::Kind::kVideo, value, where, item);
    if (key == "audio") return decode_media(Media::Kind::kAudio, value, where, item);
    if (key == "toolUse") {
        if (!value.is_object()) return wrong(where, value, "an object");
        // A call of a tool that the supplier ran itself is not the client's to answer.
        if (value["type"].string() == "server_tool_use") return false;
        ENTREPOT_TRY(const Value* id, require(value, where, "toolUseId", Kind::kString));
        ENTREPOT_TRY(const Value* name, require(value, where, "name", Kind::kString));
        ENTREPOT_TRY(const Value* input, require(value, where, "input", Kind::kObject));
        item.body = canon::ToolCall{std::string(id->string()), std::string(name->string()),
            std::string(input->raw()), false};
        keep_rest(value, where, {"toolUseId", "name", "input"}, item.extras);
        return true;
    }
    if (key == "toolResult") return decode_tool_result(value, where, item, holds_sealed);
    if (key == "reasoningContent") {
        if (const Value& redacted = value["redactedContent"]; redacted.is_string()) {
            item.body = canon::Thought{"", true, false};
            item.signature = canon::Signature{std::string(kName), std::string(redacted.string())};
            return true;
        }
        const Value& text = value["reasoningText"];
        if (!text.is_object()) return wrong(where + ".reasoningText", text, "an object");
        item.body = canon::Thought{std::string(text["text"].string()), false, false};
        if (text["signature"].is_string())
            item.signature = proof_in(text["signature"].string(), kName, holds_sealed);
        return true;
    }
    if (key == "citationsContent") {
        // The words are text to everybody; what they cite rides along.
        std::string text;
        for (const Value& part : value["content"].items()) text += part["text"].string();
        item.body = canon::Text{std::move(text)};
        item.extras.push_back({where, std::string(value.raw())});
        return true;
    }
    return false;
}

Result<bool> decode_tool_result(
    const Value& value, const std::string& path, Item& item, bool& holds_sealed) {
    if (!value.is_object()) return wrong(path, value, "an object");
    if (value.find("type") != nullptr) return false;  // of a tool that the supplier ran itself
    ENTREPOT_TRY(const Value* id, require(value, path, "toolUseId", Kind::kString));
    ENTREPOT_TRY(const Value* content, require(value, path, "content", Kind::kArray));
    canon::ToolResult result;
    result.call_id = id->string();
    result.is_error = value["status"].string() == "error";
    for (std::size_t i = 0; i < content->items().size(); ++i) {
        const Value& block = content->items()[i];
        const std::string where = fmt::format("{}.content[{}]", path, i);
        ENTREPOT_TRY(const json::Member* member, block_member(block, where));
        Item part;
        part.role = Role::kTool;
        part.turn = item.turn;
        bool is_known = false;
        if (member->key == "json") {
            part.body = canon::Text{.text = std::string(member->value.raw()), .is_json = true};
            is_known = true;
        } else {
            ENTREPOT_TRY(
                is_known, decode_block(member->key, member->value, where, part, holds_sealed));
        }
        if (!is_known) part.body = opaque(member->key, block);
        result.content.push_back(std::move(part));
    }
    keep_rest(value, path, {"toolUseId", "content", "status"}, item.extras);
    item.body = std::move(result);
    return true;
}

Status decode_blocks(const Value& blocks, const std::string& path, Role role, std::uint32_t turn,
    canon::Request& request) {
    const std::size_t first = request.items.size();
    for (std::size_t i = 0; i < blocks.items().size(); ++i) {
        const Value& block = blocks.items()[i];
        const std::string where = fmt::format("{}[{}]", path, i);
        ENTREPOT_TRY(const json::Member* member, block_member(block, where));
        if (member->key == "cachePoint" && request.items.size() > first) {
            request.items.back().cache =
                canon::CacheMark{std::string(member->value["ttl"].string())};
            continue;
        }
        if (auto sealed = sealed_in(member->value["redactedContent"].string())) {
            put_back(*std::move(sealed), turn, request.items);
            request.holds_sealed = true;
            continue;
        }
        Item item;
        item.role = role;
        item.turn = turn;
        ENTREPOT_TRY(const bool is_known,
            decode_block(member->key, member->value, where, item, request.holds_sealed));
        if (!is_known) {
            item.extras.clear();
            item.body = opaque(member->key, block);
        } else if (std::holds_alternative<canon::ToolResult>(item.body)) {
            item.role = Role::kTool;
        }
        request.items.push_back(std::move(item));
    }
    return {};
}

Status decode_messages(const Value& root, canon::Request& request) {
    std::uint32_t turn = 0;
    if (const Value* system = root.find("system"); system != nullptr && !system->is_null()) {
        if (!system->is_array()) return wrong("system", *system, "an array");
        ENTREPOT_TRY_DO(decode_blocks(*system, "system", Role::kSystem, turn, request));
        if (!request.items.empty()) ++turn;
    }
    ENTREPOT_TRY(const Value* messages, require(root, "", "messages", Kind::kArray));
    if (messages->items().empty())
        return fail_field(ErrorCode::kInvalidField, "messages", "messages must not be empty");
    for (std::size_t i = 0; i < messages->items().size(); ++i) {
        const Value& message = messages->items()[i];
        const std::string path = fmt::format("messages[{}]", i);
        if (!message.is_object()) return wrong(path, message, "an object");
        ENTREPOT_TRY(const Value* role, require(message, path, "role", Kind::kString));
        if (role->string() != "user" && role->string() != "assistant")
            return fail_field(ErrorCode::kInvalidField, path + ".role",
                fmt::format(
                    "{}.role must be 'user' or 'assistant', not '{}'", path, role->string()));
        ENTREPOT_TRY(const Value* content, require(message, path, "content", Kind::kArray));
        ENTREPOT_TRY_DO(decode_blocks(*content, path + ".content",
            role->string() == "user" ? Role::kUser : Role::kAssistant, turn++, request));
    }
    return {};
}

Status decode_tools(const Value& config, canon::Request& request) {
    if (!config.is_object()) return wrong("toolConfig", config, "an object");
    ENTREPOT_TRY(const Value* tools, require(config, "toolConfig", "tools", Kind::kArray));
    for (std::size_t i = 0; i < tools->items().size(); ++i) {
        const Value& tool = tools->items()[i];
        const std::string path = fmt::format("toolConfig.tools[{}]", i);
        if (!tool.is_object()) return wrong(path, tool, "an object");
        canon::Tool out;
        if (const Value* spec = tool.find("toolSpec"); spec != nullptr) {
            const std::string where = path + ".toolSpec";
            if (!spec->is_object()) return wrong(where, *spec, "an object");
            ENTREPOT_TRY(const Value* name, require(*spec, where, "name", Kind::kString));
            out.name = name->string();
            out.description = (*spec)["description"].string();
            if (const Value& schema = (*spec)["inputSchema"]["json"]; !schema.is_null()) {
                if (!schema.is_object())
                    return wrong(where + ".inputSchema.json", schema, "an object");
                out.parameters = schema.raw();
            }
            out.is_strict = (*spec)["strict"].as_bool();
            keep_rest(*spec, where, {"name", "description", "inputSchema", "strict"}, out.extras);
        } else if (const Value* mark = tool.find("cachePoint");
            mark != nullptr && !request.tools.empty()) {
            request.tools.back().cache = canon::CacheMark{std::string((*mark)["ttl"].string())};
            continue;
        } else if (!tool.members().empty()) {
            const json::Member& member = tool.members().front();
            out.name = member.value["name"].string();
            out.server = opaque(member.key, tool);
        } else {
            return wrong(path + ".toolSpec", Value(), "an object");
        }
        request.tools.push_back(std::move(out));
    }
    if (const Value& choice = config["toolChoice"]; choice.is_object()) {
        canon::ToolChoice out;
        if (choice.find("auto") != nullptr) {
            out.mode = canon::ToolChoice::Mode::kAuto;
        } else if (choice.find("any") != nullptr) {
            out.mode = canon::ToolChoice::Mode::kRequired;
        } else if (const Value* tool = choice.find("tool"); tool != nullptr) {
            ENTREPOT_TRY(const Value* name,
                require(*tool, "toolConfig.toolChoice.tool", "name", Kind::kString));
            out.mode = canon::ToolChoice::Mode::kNamed;
            out.name = name->string();
        } else {
            return fail_field(ErrorCode::kInvalidField, "toolConfig.toolChoice",
                "toolConfig.toolChoice must have one of auto, any, tool");
        }
        request.tool_choice = std::move(out);
    }
    keep_rest(config, "toolConfig", {"tools", "toolChoice"}, request.extras);
    return {};
}

Status decode_inference(const Value& config, canon::Request& request) {
    const std::string path = "inferenceConfig";
    if (!config.is_object()) return wrong(path, config, "an object");
    if (const Value& value = config["maxTokens"]; !value.is_null()) {
        request.output_tokens_max = value.as_int();
        if (!request.output_tokens_max || *request.output_tokens_max < 1)
            return fail_field(ErrorCode::kInvalidField, path + ".maxTokens",
                fmt::format(
                    "inferenceConfig.maxTokens must be a whole number of at least 1, not {}",
                    value.raw().substr(0, 40)));
    }
    const auto number = [&](std::string_view key, std::optional<canon::NumberText>& out) -> Status {
        const Value& value = config[key];
        if (value.is_null()) return {};
        if (!value.is_number()) return wrong(fmt::format("{}.{}", path, key), value, "a number");
        out = value.raw();
        return {};
    };
    ENTREPOT_TRY_DO(number("temperature", request.temperature));
    ENTREPOT_TRY_DO(number("topP", request.top_p));
    if (const Value& stops = config["stopSequences"]; !stops.is_null()) {
        if (!stops.is_array()) return wrong(path + ".stopSequences", stops, "an array");
        for (const Value& stop : stops.items()) {
            if (!stop.is_string()) return wrong(path + ".stopSequences[]", stop, "a string");
            request.stop.emplace_back(stop.string());
        }
    }
    keep_rest(config, path, {"maxTokens", "temperature", "topP", "stopSequences"}, request.extras);
    return {};
}

/// Thinking as Claude takes it; false when it says more than canon can.
bool decode_thinking(const Value& thinking, canon::Request& request) {
    const std::string_view type = thinking["type"].string();
    canon::Reasoning reasoning;
    std::size_t members = 1;
    if (type == "enabled" && thinking["budget_tokens"].as_int()) {
        reasoning.budget_tokens = thinking["budget_tokens"].as_int();
        ++members;
    } else if (type == "adaptive" || type == "disabled") {
        reasoning.is_enabled = type == "adaptive";
    } else {
        return false;
    }
    if (thinking.members().size() != members) return false;
    request.reasoning = std::move(reasoning);
    return true;
}

Status decode_additional(const Value& fields, canon::Request& request) {
    const std::string path = "additionalModelRequestFields";
    if (!fields.is_object()) return wrong(path, fields, "an object");
    for (const json::Member& member : fields.members()) {
        if (member.key == "top_k" && member.value.as_int()) {
            request.top_k = member.value.as_int();
        } else if (member.key == "thinking" && !request.reasoning &&
            decode_thinking(member.value, request)) {
            continue;
        } else if (member.key == "reasoning_effort" && !request.reasoning &&
            member.value.is_string()) {
            request.reasoning.emplace().effort = member.value.string();
        } else {
            request.extras.push_back({fmt::format("{}.{}", path, canon::path_step(member.key)),
                std::string(member.value.raw())});
        }
    }
    return {};
}

void decode_output(const Value& config, canon::Request& request) {
    const Value& schema = config["textFormat"]["structure"]["jsonSchema"];
    if (schema["schema"].is_string()) {
        canon::ResponseFormat format;
        format.kind = canon::ResponseFormat::Kind::kJsonSchema;
        format.name = schema["name"].string();
        format.description = schema["description"].string();
        format.schema = schema["schema"].string();
        request.format = std::move(format);
        keep_rest(config, "outputConfig", {"textFormat"}, request.extras);
    } else {
        keep_rest(config, "outputConfig", {}, request.extras);
    }
}

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    const Value& root = body.root();
    if (!root.is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format("the body must be a JSON object, not {}", json::kind_name(root.kind())));
    canon::Request request;
    request.origin = kName;
    request.model = context.model.value_or("");
    request.is_stream = context.is_stream.value_or(false);
    ENTREPOT_TRY_DO(decode_messages(root, request));
    const auto given = [&](std::string_view key) {
        const Value* value = root.find(key);
        return value != nullptr && !value->is_null() ? value : nullptr;
    };
    if (const Value* config = given("toolConfig")) ENTREPOT_TRY_DO(decode_tools(*config, request));
    if (const Value* config = given("inferenceConfig"))
        ENTREPOT_TRY_DO(decode_inference(*config, request));
    if (const Value* fields = given("additionalModelRequestFields"))
        ENTREPOT_TRY_DO(decode_additional(*fields, request));
    if (const Value* config = given("outputConfig")) {
        if (!config->is_object()) return wrong("outputConfig", *config, "an object");
        decode_output(*config, request);
    }
    if (const Value* tier = given("serviceTier")) {
        if (!(*tier)["type"].is_string())
            return wrong("serviceTier.type", (*tier)["type"], "a string");
        request.service_tier = (*tier)["type"].string();
    }
    if (const Value* metadata = given("requestMetadata")) {
        if (!metadata->is_object()) return wrong("requestMetadata", *metadata, "an object");
        request.metadata = metadata->raw();
    }
    keep_rest(root, "",
        {"messages", "system", "toolConfig", "inferenceConfig", "additionalModelRequestFields",
            "outputConfig", "serviceTier", "requestMetadata"},
        request.extras);
    ENTREPOT_TRY_DO(canon::refuse_odd_names(request));
    return request;
}

}  // namespace entrepot::dialect::bedrock_converse
