#include "dialect/openai_responses/decode_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <ranges>

#include "base/text.h"
#include "dialect/openai_responses/names.h"
#include "dialect/openai_responses/reading.h"
#include "dialect/sealed_signature.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using json::Value;

void mark(Item& item, std::string_view key, const Value& value) {
    if (!value.is_null()) item.marks.push_back({std::string(key), std::string(value.raw())});
}

std::optional<Role> role_of(std::string_view word) {
    if (word == "user") return Role::kUser;
    if (word == "assistant") return Role::kAssistant;
    if (word == "system") return Role::kSystem;
    if (word == "developer") return Role::kDeveloper;
    return std::nullopt;
}

bool ends_with_output(std::string_view type) { return type.ends_with("_output"); }

class ItemsDecoder {
public:
    explicit ItemsDecoder(canon::Request& request) : request_(request) {}

    Status decode(const Value& input) {
        if (input.is_string()) {
            Item item{.turn = 1, .body = canon::Text{std::string(input.string())}};
            request_.items.push_back(std::move(item));
            return {};
        }
        std::size_t index = 0;
        for (const Value& value : input.items()) {
            path_ = fmt::format("input[{}]", index++);
            turn_ = static_cast<std::uint32_t>(index);
            ENTREPOT_TRY_DO(read_item(value));
        }
        return {};
    }

private:
    Status read_item(const Value& value) {
        if (!value.is_object()) return wrong(path_, value, "an item (an object)");
        if (is_made_item_id(value["id"].string())) request_.holds_sealed = true;
        const Value& stated = value["type"];
        if (!stated.is_null() && !stated.is_string())
            return wrong(path_ + ".type", stated, "a string");
        const std::string_view type = stated.string();
        // A message that has an id and says nothing may be one that its supplier looks up.
        const bool is_named = value["content"].is_null() && value["id"].is_string();
        if (!is_named && (type == "message" || (type.empty() && !value["role"].is_null())))
            return read_message(value);
        if (type == "function_call" || type == "custom_tool_call") return read_call(value, type);
        if (type == "function_call_output" || type == "custom_tool_call_output")
            return read_result(value, type);
        if (type == "reasoning") return read_reasoning(value);
        if (type.empty() && !value["id"].is_string())
            return wrong(path_ + ".type", stated, "the type of an item, such as \"message\"");
        Item item;
        const std::string_view kind = type.empty() ? "item_reference" : type;
        item.role = role_of(value["role"].string())
                        .value_or(ends_with_output(kind) ? Role::kTool : Role::kAssistant);
        item.body = canon::Opaque{std::string(kName), std::string(kind), std::string(value.raw())};
        add(std::move(item));
        return {};
    }

    void add(Item item) {
        item.turn = turn_;
        request_.items.push_back(std::move(item));
    }

    Status read_message(const Value& value) {
        const auto role = role_of(value["role"].string());
        if (!role)
            return wrong(
                path_ + ".role", value["role"], "one of user, assistant, system, developer");
        const std::size_t first = request_.items.size();
        ENTREPOT_TRY(
            std::vector<Item> parts, read_content(value["content"], path_ + ".content", *role));
        // A message that says nothing is still a turn.
        if (parts.empty()) parts.push_back(Item{.role = *role, .body = canon::Text{}});
        for (Item& part : parts) add(std::move(part));
        Item& head = request_.items[first];
        for (const std::string_view key : {"id", "status", "phase"}) mark(head, key, value[key]);
        keep_rest(value, {"type", "role", "content", "id", "status", "phase"}, path_, head.extras);
        return {};
    }

    Result<std::vector<Item>> read_content(
        const Value& content, const std::string& path, Role role) {
        std::vector<Item> items;
        if (content.is_null() && role == Role::kAssistant) return items;
        if (content.is_string()) {
            items.push_back(Item{.role = role, .body = canon::Text{std::string(content.string())}});
            return items;
        }
        if (!content.is_array()) return wrong(path, content, "a string or a list of parts");
        std::size_t index = 0;
        for (const Value& part : content.items()) {
            ENTREPOT_TRY(Item item, read_part(part, fmt::format("{}[{}]", path, index++)));
            item.role = role;
            item.turn = turn_;
            items.push_back(std::move(item));
        }
        return items;
    }

    Result<Item> read_part(const Value& part, const std::string& path) {
        Item item;
        if (!part.is_object() || !part["type"].is_string())
            return wrong(path, part, "a content part with a type");
        const std::string_view type = part["type"].string();
        if (type == "input_text" || type == "output_text" || type == "text") {
            ENTREPOT_TRY(std::string text, text_of(part, "text", path));
            item.body = canon::Text{std::move(text)};
            for (const std::string_view key : {"annotations", "logprobs"})
                if (!part[key].items().empty()) mark(item, key, part[key]);
            keep_rest(part, {"type", "text", "annotations", "logprobs", "prompt_cache_breakpoint"},
                path, item.extras);
        } else if (type == "refusal") {
            ENTREPOT_TRY(std::string text, text_of(part, "refusal", path));
            item.body = canon::Refusal{std::move(text)};
            keep_rest(part, {"type", "refusal"}, path, item.extras);
        } else if (type == "input_image") {
            ENTREPOT_TRY(item.body, read_image(part, path));
            keep_rest(part, {"type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"},
                path, item.extras);
        } else if (type == "input_file") {
            ENTREPOT_TRY(item.body, read_file(part, path));
            keep_rest(part,
                {"type", "file_data", "file_url", "file_id", "filename", "prompt_cache_breakpoint"},
                path, item.extras);
        } else if (type == "input_audio" && part["input_audio"].is_object()) {
            const Value& audio = part["input_audio"];
            Media media{.kind = Media::Kind::kAudio};
            ENTREPOT_TRY(media.data, text_of(audio, "data", path + ".input_audio"));
            ENTREPOT_TRY(const std::string format, text_of(audio, "format", path + ".input_audio"));
            media.media_type = "audio/" + format;
            item.body = std::move(media);
            keep_rest(part, {"type", "input_audio"}, path, item.extras);
        } else {
            item.body =
                canon::Opaque{std::string(kName), std::string(type), std::string(part.raw())};
            item.marks.push_back({std::string(kPartMark), "true"});
            return item;
        }
        if (const Value& breakpoint = part["prompt_cache_breakpoint"]; !breakpoint.is_null()) {
            item.cache = canon::CacheMark{};
            mark(item, "prompt_cache_breakpoint", breakpoint);
        }
        return item;
    }

    static Result<Media> read_image(const Value& part, const std::string& path) {
        Media media;
        ENTREPOT_TRY_DO(set_text(part, "detail", path, media.detail));
        if (!part["file_id"].is_null()) {
            media.source = Media::Source::kFileId;
            ENTREPOT_TRY(media.data, text_of(part, "file_id", path));
            return media;
        }
        // Some clients write the object of chat completions.
        const Value& url =
            part["image_url"].is_object() ? part["image_url"]["url"] : part["image_url"];
        if (!url.is_string() || url.string().empty())
            return wrong(path + ".image_url", url, "a URL, unless 'file_id' is given");
        set_source(media, url.string());
        return media;
    }

    static Result<Media> read_file(const Value& part, const std::string& path) {
        Media media{.kind = Media::Kind::kDocument};
        ENTREPOT_TRY_DO(set_text(part, "filename", path, media.name));
        if (!part["file_id"].is_null()) {
            media.source = Media::Source::kFileId;
            ENTREPOT_TRY(media.data, text_of(part, "file_id", path));
        } else if (!part["file_url"].is_null()) {
            ENTREPOT_TRY(const std::string url, text_of(part, "file_url", path));
            media.source = Media::Source::kUrl;
            media.data = url;
        } else {
            ENTREPOT_TRY(const std::string data, text_of(part, "file_data", path));
            if (data.starts_with("data:"))
                set_source(media, data);
            else
                media.data = data;
        }
        return media;
    }

    Status read_call(const Value& value, std::string_view type) {
        canon::ToolCall call;
        call.is_custom = type == "custom_tool_call";
        // Results answer by `call_id`; a server that knows one id alone writes it as `id`.
        const std::string_view id_key = value["call_id"].is_null() ? "id" : "call_id";
        if (!value[id_key].is_string())
            return wrong(path_ + ".call_id", value["call_id"], "a string");
        call.id = value[id_key].string();
        ENTREPOT_TRY(call.name, text_of(value, "name", path_));
        const std::string_view said = call.is_custom ? "input" : "arguments";
        ENTREPOT_TRY(call.arguments, text_of(value, said, path_));
        // A history that a careless gateway spoiled: every supplier wants an object here.
        if (!call.is_custom && trim(call.arguments).empty()) call.arguments = "{}";
        Item item{.role = Role::kAssistant, .body = std::move(call)};
        for (const std::string_view key : {"id", "status"}) mark(item, key, value[key]);
        keep_rest(value, {"type", "call_id", "name", "input", "arguments", "id", "status"}, path_,
            item.extras);
        add(std::move(item));
        return {};
    }

    Status read_result(const Value& value, std::string_view type) {
        canon::ToolResult result;
        ENTREPOT_TRY(result.call_id, text_of(value, "call_id", path_));
        if (value["output"].is_null())
            return wrong(path_ + ".output", value["output"], "a string or a list of parts");
        ENTREPOT_TRY(result.content, read_content(value["output"], path_ + ".output", Role::kTool));
        for (Item& part : result.content) part.turn = turn_;
        Item item{.role = Role::kTool, .body = std::move(result)};
        if (type == "custom_tool_call_output") mark(item, "type", value["type"]);
        for (const std::string_view key : {"id", "status"}) mark(item, key, value[key]);
        keep_rest(value, {"type", "call_id", "output", "id", "status"}, path_, item.extras);
        add(std::move(item));
        return {};
    }

    Status read_reasoning(const Value& value) {
        const Value& cipher = value["encrypted_content"];
        const auto sealed = unseal(cipher.string());
        if (sealed) request_.holds_sealed = true;
        if (sealed && sealed->of != Sealed::Of::kThought && sealed->of != Sealed::Of::kRedacted) {
            unseal_part(*sealed);
            return {};
        }
        const std::size_t first = request_.items.size();
        for (const auto& [list, is_summary] :
            {std::pair(&value["summary"], true), std::pair(&value["content"], false)}) {
            for (const Value& part : list->items()) {
                Item item{.role = Role::kAssistant};
                ENTREPOT_TRY(std::string text,
                    text_of(part, "text", path_ + (is_summary ? ".summary[]" : ".content[]")));
                // What was sealed was whole when its maker wrote it.
                item.body =
                    canon::Thought{.text = std::move(text), .is_summary = is_summary && !sealed};
                add(std::move(item));
            }
        }
        const bool has_cipher = cipher.is_string() && !cipher.string().empty();
        if (request_.items.size() == first)
            add(Item{.role = Role::kAssistant,
                .body = canon::Thought{
                    .is_redacted = sealed ? sealed->of == Sealed::Of::kRedacted : has_cipher}});
        if (sealed)
            request_.items.back().signature = sealed->signature;
        else if (has_cipher)
            request_.items.back().signature = {std::string(kName), std::string(cipher.string())};
        Item& head = request_.items[first];
        for (const json::Member& member : value.members())
            if (member.key != "type" && member.key != "summary" && member.key != "content" &&
                member.key != "encrypted_content")
                mark(head, member.key, member.value);
        return {};
    }

    /// A signature that could not stand at its part goes back there.
    void unseal_part(const Sealed& sealed) {
        if (sealed.of == Sealed::Of::kEmptyText) {
            Item item{.role = Role::kAssistant, .body = canon::Text{}};
            item.signature = sealed.signature;
            add(std::move(item));
            return;
        }
        const auto signs = [&](const Item& item) {
            const auto* call = std::get_if<canon::ToolCall>(&item.body);
            if (!sealed.call_id.empty()) return call != nullptr && call->id == sealed.call_id;
            return item.role == Role::kAssistant;
        };
        for (Item& item : request_.items | std::views::reverse | std::views::take(kProofNearMax)) {
            if (!signs(item)) continue;
            item.signature = sealed.signature;
            return;
        }
    }

    canon::Request& request_;
    std::string path_;
    std::uint32_t turn_ = 1;
};

}  // namespace

void set_source(Media& media, std::string_view url) {
    constexpr std::string_view kBase64 = ";base64";
    const std::size_t comma = url.starts_with("data:") ? url.find(',') : std::string_view::npos;
    if (comma == std::string_view::npos || !url.substr(0, comma).ends_with(kBase64)) {
        media.source = Media::Source::kUrl;
        media.data = url;
        return;
    }
    const std::string_view head = url.substr(5, comma - 5 - kBase64.size());
    media.source = Media::Source::kBase64;
    media.media_type = head.substr(0, head.find(';'));
    media.data = url.substr(comma + 1);
}

Status decode_input(const Value& input, canon::Request& request) {
    return ItemsDecoder(request).decode(input);
}

}  // namespace entrepot::dialect::openai_responses
