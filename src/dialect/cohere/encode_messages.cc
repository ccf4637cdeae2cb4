#include "dialect/cohere/encode_messages.h"

#include "base/text.h"
#include "dialect/cohere/parts.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;

class MessageWriter {
public:
    MessageWriter(const canon::Request& request, Losses& losses)
        : request_(request), losses_(losses), is_own_(request.origin == kName) {}

    Status write(json::Writer& writer) {
        for (const Item& item : request_.items) ENTREPOT_TRY_DO(add(item));
        // Of a thought that stayed behind.
        if (!is_own_) std::erase_if(messages_, [](const Message& m) { return m.is_empty(); });
        if (messages_.empty())
            return losses_.refuse("messages", "they hold nothing that can be sent");
        writer.key("messages").begin_array();
        for (const Message& message : messages_) put(writer, message);
        writer.end_array();
        return {};
    }

private:
    struct Message {
        std::string_view role;
        std::uint32_t turn = 0;
        std::string call_id;             // of a tool's result
        std::vector<std::string> parts;  // JSON
        std::vector<std::string> calls;  // JSON
        std::string plan;

        [[nodiscard]] bool is_empty() const {
            return role == "assistant" && parts.empty() && calls.empty() && plan.empty();
        }
    };

    [[nodiscard]] static std::string path_of(const Item& item) {
        return fmt::format("messages[{}]", item.turn);
    }

    static std::string_view role_of(const Item& item) {
        switch (item.role) {
            case Role::kSystem:
            case Role::kDeveloper: return "system";
            case Role::kAssistant: return "assistant";
            case Role::kUser:
            case Role::kTool: return "user";
        }
        return "user";
    }

    /// The message of that role and turn; parts of one turn stand in one. What an assistant said
    /// and called in a row does too: elsewhere each call may be a turn of its own, and the results
    /// of all have to follow their message.
    Message& message_for(std::string_view role, std::uint32_t turn) {
        const bool is_same = !messages_.empty() && messages_.back().role == role &&
            (messages_.back().turn == turn || (!is_own_ && role == "assistant"));
        if (!is_same) messages_.push_back({role, turn, "", {}, {}, ""});
        return messages_.back();
    }

    Status add(const Item& item) {
        if (item.cache)
            ENTREPOT_TRY_DO(losses_.of_hint(path_of(item) + ".cache_control",
                "there are no caches of the client's choosing there"));
        if (!item.author.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(path_of(item) + ".name", "turns have no names there"));
        for (const canon::Extra& extra : item.extras)
            if (!is_own_)
                ENTREPOT_TRY_DO(losses_.of_hint(extra.path, "there is no such field there"));
        if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
            return add_result(item, *result);
        Message& message = message_for(role_of(item), item.turn);
        if (const auto* call = std::get_if<canon::ToolCall>(&item.body))
            return add_call(item, *call, message);
        if (const auto* thought = std::get_if<canon::Thought>(&item.body))
            return add_thought(item, *thought, message);
        return add_part(item, path_of(item) + ".content", message.parts);
    }

    Status add_part(const Item& item, const std::string& field, std::vector<std::string>& parts) {
        if (const auto* text = std::get_if<canon::Text>(&item.body)) {
            parts.push_back(text_part(text->text));
        } else if (const auto* refusal = std::get_if<canon::Refusal>(&item.body)) {
            parts.push_back(text_part(refusal->text));
        } else if (const auto* media = std::get_if<Media>(&item.body)) {
            return add_media(*media, field, parts);
        } else if (const auto* own = std::get_if<canon::Opaque>(&item.body);
            own != nullptr && own->origin == kName) {
            parts.push_back(own->json);
        } else {
            return losses_.of_answer(field,
                own != nullptr
                    ? fmt::format("'{}' is known to {} alone", excerpt(own->kind), own->origin)
                    : "there is no such part there");
        }
        return {};
    }

    static std::string text_part(std::string_view text) {
        return "{\"type\":\"text\",\"text\":" + json::quoted(text) + "}";
    }

    Status add_media(
        const Media& media, const std::string& field, std::vector<std::string>& parts) {
        if (media.kind == Media::Kind::kDocument && media.source == Media::Source::kText) {
            parts.push_back(text_part(media.data));
            if (!media.name.empty())
                return losses_.of_hint(field + ".title", "a text has no title there");
            return {};
        }
        const bool is_url = media.source == Media::Source::kUrl;
        if (media.kind != Media::Kind::kImage ||
            (!is_url && media.source != Media::Source::kBase64))
            return losses_.of_answer(field, "it takes texts and images, by URL or in base64");
        std::string part;
        json::Writer writer(part);
        writer.begin_object().member("type", "image_url").key("image_url").begin_object();
        writer.member("url",
            is_url ? media.data
                   : fmt::format("data:{};base64,{}",
                         media.media_type.empty() ? "image/png" : media.media_type, media.data));
        if (!media.detail.empty()) writer.member("detail", media.detail);
        writer.end_object().end_object();
        parts.push_back(std::move(part));
        return {};
    }

    Status add_call(const Item& item, const canon::ToolCall& call, Message& message) {
        if (call.is_custom)
            return losses_.of_answer(
                path_of(item) + ".tool_calls", "calls have no free-form input there");
        if (item.signature)
            ENTREPOT_TRY_DO(
                losses_.of_hint(path_of(item) + ".signature", "it is another supplier's proof"));
        std::string out;
        json::Writer writer(out);
        writer.begin_object().member("id", call.id).member("type", "function");
        writer.key("function").begin_object().member("name", call.name);
        writer.member("arguments", call.arguments.empty() ? "{}" : call.arguments);
        writer.end_object().end_object();
        message.calls.push_back(std::move(out));
        return {};
    }

    /// This maker takes thoughts back unsigned, its own and those that nobody has signed.
    Status add_thought(const Item& item, const canon::Thought& thought, Message& message) {
        const bool is_signed = item.signature && item.signature->origin != kName;
        if (thought.is_redacted || is_signed)
            return losses_.of_hint(
                path_of(item) + ".reasoning_content", "it is another supplier's reasoning");
        if (thought.text.empty()) return {};
        if (is_plan(item.marks)) {
            message.plan += thought.text;
            return {};
        }
        message.parts.push_back(
            "{\"type\":\"thinking\",\"thinking\":" + json::quoted(thought.text) + "}");
        return {};
    }

    Status add_result(const Item& item, const canon::ToolResult& result) {
        Message message{"tool", item.turn, result.call_id, {}, {}, ""};
        const std::string field = path_of(item) + ".content";
        if (result.is_error)
            ENTREPOT_TRY_DO(losses_.of_hint(
                path_of(item) + ".is_error", "results are not told apart from errors there"));
        for (const Item& part : result.content) {
            const auto* media = std::get_if<Media>(&part.body);
            if (media != nullptr && media->source != Media::Source::kText)
                ENTREPOT_TRY_DO(
                    losses_.of_answer(field, "a tool's result is text or a document there"));
            else
                ENTREPOT_TRY_DO(add_part(part, field, message.parts));
        }
        messages_.push_back(std::move(message));
        return {};
    }

    static void put(json::Writer& writer, const Message& message) {
        writer.begin_object().member("role", message.role);
        if (message.role == "tool") writer.member("tool_call_id", message.call_id);
        if (!message.parts.empty() || message.calls.empty()) {
            writer.key("content").begin_array();
            for (const std::string& part : message.parts) writer.raw(part);
            if (message.parts.empty()) writer.raw(text_part(""));
            writer.end_array();
        }
        if (!message.plan.empty()) writer.member(kToolPlan, message.plan);
        if (!message.calls.empty()) {
            writer.key("tool_calls").begin_array();
            for (const std::string& call : message.calls) writer.raw(call);
            writer.end_array();
        }
        writer.end_object();
    }

    const canon::Request& request_;
    Losses& losses_;
    bool is_own_;
    std::vector<Message> messages_;
};

}  // namespace

Status write_messages(json::Writer& writer, const canon::Request& request, Losses& losses) {
    return MessageWriter(request, losses).write(writer);
}

}  // namespace entrepot::dialect::cohere
