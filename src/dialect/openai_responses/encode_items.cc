#include "dialect/openai_responses/encode_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "dialect/openai_responses/names.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using json::Writer;

/// An extra's path without its item: `content[0].foo` of `input[2].content[0].foo`.
std::string_view in_item(std::string_view path) {
    const std::size_t end = path.find("].");
    return end == std::string_view::npos ? path : path.substr(end + 2);
}

bool is_part_extra(const canon::Extra& extra) {
    const std::string_view inner = in_item(extra.path);
    return inner.starts_with("content[") || inner.starts_with("output[");
}

/// The member's name: `foo`.
std::string_view leaf(const canon::Extra& extra) {
    return is_part_extra(extra) ? in_item(in_item(extra.path)) : in_item(extra.path);
}

bool is_part_mark(std::string_view key) {
    return key == kPartMark || key == "annotations" || key == "logprobs" ||
        key == "prompt_cache_breakpoint";
}

const canon::Extra* find_mark(const Item& item, std::string_view key) {
    const auto found = std::ranges::find(item.marks, key, &canon::Extra::path);
    return found == item.marks.end() ? nullptr : &*found;
}

/// A JSON string's text, for ids, which are written without escapes.
std::string_view unquoted(std::string_view json) {
    return json.size() < 2 || json.front() != '"' ? json : json.substr(1, json.size() - 2);
}

class ItemsEncoder {
public:
    ItemsEncoder(Writer& writer, const canon::Request& request, Losses& losses)
        : writer_(writer), request_(request), losses_(losses), is_own_(request.origin == kName) {}

    Status run() {
        const std::span<const Item> items = request_.items;
        std::size_t begin = 0;
        ENTREPOT_TRY_DO(write_instructions(items, begin));
        std::string input;
        Writer list(input);
        list.begin_array();
        while (begin < items.size()) {
            std::size_t end = begin + 1;
            while (end < items.size() && is_one_message(items[begin], items[end])) ++end;
            ENTREPOT_TRY_DO(write_group(list, items.subspan(begin, end - begin)));
            begin = end;
        }
        list.end_array();
        // With stored state there may be nothing to add.
        if (input != "[]" || !is_own_) writer_.member_raw("input", input);
        return {};
    }

private:
    static bool is_message_part(const Item& item) {
        return std::holds_alternative<canon::Text>(item.body) ||
            std::holds_alternative<canon::Refusal>(item.body) ||
            std::holds_alternative<Media>(item.body);
    }

    bool is_item(const Item& item) const {
        return is_own_ && std::holds_alternative<canon::Opaque>(item.body) &&
            find_mark(item, kPartMark) == nullptr;
    }

    bool is_one_message(const Item& first, const Item& next) const {
        if (first.turn != next.turn || first.role != next.role) return false;
        if (std::holds_alternative<canon::Thought>(first.body))
            return is_own_ && std::holds_alternative<canon::Thought>(next.body);
        const auto may_join = [&](const Item& item) {
            return is_message_part(item) ||
                (std::holds_alternative<canon::Opaque>(item.body) && !is_item(item));
        };
        return may_join(first) && may_join(next);
    }

    /// What stands before the conversation, when it is words alone; else it is an item.
    Status write_instructions(std::span<const Item> items, std::size_t& begin) {
        std::size_t end = 0;
        while (end < items.size() && items[end].turn == 0 && items[end].role == Role::kSystem &&
            std::holds_alternative<canon::Text>(items[end].body))
            ++end;
        // A supplier wants something to answer beside its instructions.
        const bool is_all = end == items.size() && !is_own_;
        if (end == 0 || is_all || (end < items.size() && items[end].turn == 0)) return {};
        std::string text;
        for (const Item& item : items.first(end)) {
            if (!text.empty()) text += "\n\n";
            text += std::get<canon::Text>(item.body).text;
            ENTREPOT_TRY_DO(lose_beside(item));
        }
        writer_.member("instructions", text);
        begin = end;
        return {};
    }

    /// Cache marks, signatures and fields of another dialect, which have no place here.
    Status lose_beside(const Item& item) {
        if (item.signature && !std::holds_alternative<canon::Thought>(item.body))
            ENTREPOT_TRY_DO(losses_.of_hint("signature", "it is another maker's"));
        if (is_own_) return {};
        if (item.cache)
            ENTREPOT_TRY_DO(losses_.of_hint("cache_control", "prefixes are cached unasked there"));
        for (const canon::Extra& extra : item.extras)
            ENTREPOT_TRY_DO(losses_.of_hint(extra.path, "there is no such field there"));
        return {};
    }

    std::string path(const Item& item) const {
        return fmt::format("{}[{}]", is_own_ ? "input" : "messages",
            item.turn == 0 ? 0 : item.turn - (is_own_ ? 1 : 0));
    }

    Status write_group(Writer& list, std::span<const Item> group) {
        const Item& first = group.front();
        if (const auto* call = std::get_if<canon::ToolCall>(&first.body))
            return write_call(list, first, *call);
        if (const auto* result = std::get_if<canon::ToolResult>(&first.body))
            return write_result(list, first, *result);
        if (std::holds_alternative<canon::Thought>(first.body)) return write_reasoning(list, group);
        if (const auto* opaque = std::get_if<canon::Opaque>(&first.body)) {
            if (!is_own_ || opaque->origin != kName) {
                return losses_.of_answer(
                    fmt::format("{}.{}", path(first), opaque->kind), "only its origin knows it");
            }
            if (is_item(first)) {
                list.raw(opaque->json);
                return {};
            }
        }
        return write_message(list, group);
    }

    /// The item's own members and those that rode along.
    void write_rest(Writer& writer, const Item& item) {
        if (!is_own_) return;
        for (const canon::Extra& mark : item.marks) {
            if (is_part_mark(mark.path) || mark.path == "type") continue;
            if (mark.path == "id" && is_made_item_id(unquoted(mark.json))) continue;
            writer.member_raw(mark.path, mark.json);
        }
        for (const canon::Extra& extra : item.extras)
            if (!is_part_extra(extra)) writer.member_raw(leaf(extra), extra.json);
    }

    Status write_message(Writer& list, std::span<const Item> group) {
        const Item& first = group.front();
        Role role = first.role;
        if (role == Role::kTool) role = Role::kUser;
        std::string parts;
        Writer writer(parts);
        writer.begin_array();
        for (const Item& item : group) ENTREPOT_TRY_DO(write_part(writer, item, role));
        writer.end_array();
        if (parts == "[]") return {};
        if (!first.author.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(path(first) + ".name", "a message has no name there"));
        list.begin_object().member("type", "message").member("role", canon::role_name(role));
        const canon::Extra* id = find_mark(first, "id");
        const bool is_servers = id != nullptr && !is_made_item_id(unquoted(id->json));
        if (const auto* text = std::get_if<canon::Text>(&first.body);
            group.size() == 1 && text != nullptr && is_plain(first) && !is_servers)
            list.member("content", text->text);
        else
            list.member_raw("content", parts);
        write_rest(list, first);
        list.end_object();
        return {};
    }

    bool is_plain(const Item& item) const {
        if (!is_own_) return true;
        return !item.cache && std::ranges::none_of(item.extras, is_part_extra) &&
            std::ranges::none_of(
                item.marks, [](const canon::Extra& mark) { return is_part_mark(mark.path); });
    }

    Status write_part(Writer& writer, const Item& item, Role role) {
        const bool is_answer = role == Role::kAssistant;
        if (const auto* opaque = std::get_if<canon::Opaque>(&item.body)) {
            if (is_own_ && opaque->origin == kName) {
                writer.raw(opaque->json);
                return {};
            }
            return losses_.of_answer(
                fmt::format("{}.{}", path(item), opaque->kind), "only its origin knows it");
        }
        if (const auto* media = std::get_if<Media>(&item.body); media != nullptr) {
            if (is_answer)
                return losses_.of_answer(path(item) + ".content",
                    "the assistant's turns are words there, not images or documents");
            return write_media(writer, item, *media);
        }
        writer.begin_object();
        if (const auto* refusal = std::get_if<canon::Refusal>(&item.body)) {
            if (is_answer)
                writer.member("type", "refusal").member("refusal", refusal->text);
            else
                writer.member("type", "input_text").member("text", refusal->text);
        } else {
            const auto& text = std::get<canon::Text>(item.body).text;
            writer.member("type", is_answer ? "output_text" : "input_text").member("text", text);
            if (is_answer && (!is_own_ || find_mark(item, "annotations") == nullptr))
                writer.member_raw("annotations", "[]");
        }
        return end_part(writer, item);
    }

    Status end_part(Writer& writer, const Item& item) {
        if (is_own_) {
            for (const canon::Extra& mark : item.marks)
                if (is_part_mark(mark.path)) writer.member_raw(mark.path, mark.json);
            for (const canon::Extra& extra : item.extras)
                if (is_part_extra(extra)) writer.member_raw(leaf(extra), extra.json);
        }
        writer.end_object();
        return lose_beside(item);
    }

    Status write_media(Writer& writer, const Item& item, const Media& media) {
        using Source = Media::Source;
        const bool is_base64 = media.source == Source::kBase64;
        const bool has_place = media.source == Source::kUrl || is_base64 ||
            (media.source == Source::kFileId && is_own_);
        const auto url = [&](std::string_view type) {
            if (!is_base64) return media.data;
            const std::string_view stated = media.media_type.empty() ? type : media.media_type;
            return fmt::format("data:{};base64,{}", stated, media.data);
        };
        if (media.source == Source::kText) {
            writer.begin_object().member("type", "input_text").member("text", media.data);
            return end_part(writer, item);
        }
        if (!has_place || media.kind == Media::Kind::kVideo ||
            (media.kind == Media::Kind::kAudio && !is_base64)) {
            return losses_.of_answer(fmt::format("{}.content", path(item)),
                media.source == Source::kFileId || media.source == Source::kStorage
                    ? "the file is in another supplier's store"
                    : "there is no such kind of content there");
        }
        writer.begin_object();
        if (media.kind == Media::Kind::kImage) {
            writer.member("type", "input_image");
            if (media.source == Source::kFileId)
                writer.member("file_id", media.data);
            else
                writer.member("image_url", url("image/png"));
            if (!media.detail.empty())
                writer.member("detail", media.detail);
            else if (!is_own_)
                writer.member("detail", "auto");  // their types demand it
        } else if (media.kind == Media::Kind::kAudio) {
            std::string_view format = media.media_type;
            format.remove_prefix(std::min(format.size(), format.find('/') + 1));
            if (format == "mpeg") format = "mp3";
            if (format.empty() || format == "x-wav" || format == "wave") format = "wav";
            writer.member("type", "input_audio").key("input_audio").begin_object();
            writer.member("data", media.data).member("format", format).end_object();
        } else {
            writer.member("type", "input_file");
            if (media.source == Source::kFileId)
                writer.member("file_id", media.data);
            else if (media.source == Source::kUrl)
                writer.member("file_url", media.data);
            else
                writer.member("file_data",
                    is_own_ && media.media_type.empty() ? media.data : url("application/pdf"));
            if (!media.name.empty() && (is_base64 || is_own_))
                writer.member("filename", media.name);
            else if (is_base64 && !is_own_)  // data goes with a name there
                writer.member("filename", "document.pdf");
        }
        return end_part(writer, item);
    }

    Status write_call(Writer& list, const Item& item, const canon::ToolCall& call) {
        list.begin_object();
        list.member("type", call.is_custom ? "custom_tool_call" : "function_call");
        list.member("call_id", call.id).member("name", call.name);
        if (call.is_custom)
            list.member("input", call.arguments);
        else
            list.member("arguments", call.arguments.empty() ? "{}" : call.arguments);
        write_rest(list, item);
        list.end_object();
        return lose_beside(item);
    }

    bool answers_custom_call(const Item& item, const std::string& call_id) const {
        if (find_mark(item, "type") != nullptr) return true;
        return std::ranges::any_of(request_.items, [&](const Item& other) {
            const auto* call = std::get_if<canon::ToolCall>(&other.body);
            return call != nullptr && call->is_custom && call->id == call_id;
        });
    }

    Status write_result(Writer& list, const Item& item, const canon::ToolResult& result) {
        const bool is_custom = answers_custom_call(item, result.call_id);
        list.begin_object();
        list.member("type", is_custom ? "custom_tool_call_output" : "function_call_output");
        list.member("call_id", result.call_id);
        const canon::Text* only = result.content.size() == 1
            ? std::get_if<canon::Text>(&result.content.front().body)
            : nullptr;
        if (result.content.empty()) {
            list.member("output", "");
        } else if (only != nullptr && is_plain(result.content.front())) {
            list.member("output", only->text);
            ENTREPOT_TRY_DO(lose_beside(result.content.front()));
        } else {
            list.key("output").begin_array();
            for (const Item& part : result.content)
                ENTREPOT_TRY_DO(write_part(list, part, Role::kTool));
            list.end_array();
        }
        if (result.is_error)
            ENTREPOT_TRY_DO(losses_.of_hint("is_error", "a result does not say so there"));
        write_rest(list, item);
        list.end_object();
        return lose_beside(item);
    }

    /// A thought goes back to who has its key: with its ciphertext, or by the id under which the
    /// supplier keeps it. A reader of open models takes it in plain.
    Status write_reasoning(Writer& list, std::span<const Item> group) {
        const Item& first = group.front();
        const Item& last = group.back();
        const bool is_signed = last.signature && last.signature->origin == kName;
        const canon::Extra* id = find_mark(first, "id");
        const bool is_foreign = last.signature ? !is_signed
            : id != nullptr                    ? is_made_item_id(unquoted(id->json))
                                               : !is_own_;
        if (is_foreign || (!is_signed && !is_own_)) {
            const bool says_nothing =
                !last.signature && std::ranges::all_of(group, [](const Item& item) {
                    return std::get<canon::Thought>(item.body).text.empty();
                });
            if (says_nothing) return {};
            return losses_.of_hint("thinking", "it proves nothing to another maker's model");
        }
        std::string summary;
        std::string content;
        Writer summaries(summary);
        Writer contents(content);
        summaries.begin_array();
        contents.begin_array();
        for (const Item& item : group) {
            const auto& thought = std::get<canon::Thought>(item.body);
            if (thought.text.empty() && group.size() == 1) continue;
            Writer& part = thought.is_summary ? summaries : contents;
            part.begin_object();
            part.member("type", thought.is_summary ? "summary_text" : "reasoning_text");
            part.member("text", thought.text).end_object();
        }
        summaries.end_array();
        contents.end_array();
        list.begin_object().member("type", "reasoning").member_raw("summary", summary);
        if (content != "[]") list.member_raw("content", content);
        if (is_signed) list.member("encrypted_content", last.signature->data);
        write_rest(list, first);
        list.end_object();
        return {};
    }

    Writer& writer_;
    const canon::Request& request_;
    Losses& losses_;
    bool is_own_;
};

}  // namespace

Status write_conversation(Writer& writer, const canon::Request& request, Losses& losses) {
    return ItemsEncoder(writer, request, losses).run();
}

}  // namespace entrepot::dialect::openai_responses
