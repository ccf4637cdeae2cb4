// GENERIC: what Oracle asks every maker but Cohere in.
#include <algorithm>

#include "base/text.h"
#include "dialect/oci/parts.h"

namespace entrepot::dialect::oci {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request), target_(target), losses_(target.on_lossy, "Oracle's native chat") {}

    Result<EncodedRequest> run() {
        return in_envelope(request_, target_, "GENERIC", losses_,
            [&](json::Writer& writer) { return write(writer); });
    }

private:
    struct Message {
        std::string_view role;
        std::uint32_t turn = 0;
        std::string call_id;  // of a tool's result
        std::string author;
        std::string refusal;
        std::vector<std::string> parts;  // JSON
        std::vector<std::string> calls;  // JSON
    };

    Status write(json::Writer& writer) {
        for (const Item& item : request_.items) ENTREPOT_TRY_DO(add(item));
        show_held();
        if (messages_.empty())
            return losses_.refuse("messages", "they hold nothing that can be sent");
        writer.key("messages").begin_array();
        for (const Message& message : messages_) put(writer, message);
        writer.end_array();
        ENTREPOT_TRY_DO(write_tools(writer));
        if (const auto cap = cap_of(request_, target_))
            // OpenAI's own models that think refuse the other name.
            writer.member(
                target_.model_id.starts_with("openai.") ? "maxCompletionTokens" : "maxTokens",
                *cap);
        write_sampling(writer, request_);
        ENTREPOT_TRY_DO(write_answers(writer));
        ENTREPOT_TRY_DO(write_format(writer));
        ENTREPOT_TRY_DO(write_reasoning(writer));
        return write_words(writer);
    }

    static std::string_view role_of(const Item& item) {
        switch (item.role) {
            case Role::kSystem: return "SYSTEM";
            case Role::kDeveloper: return "DEVELOPER";
            case Role::kAssistant: return "ASSISTANT";
            case Role::kUser:
            case Role::kTool: break;
        }
        return "USER";
    }

    /// The message of that role and turn; parts of one turn stand in one. So does all that an
    /// assistant said and called in a row: elsewhere each call may be a turn of its own, and the
    /// results of all have to follow their message.
    Message& message_for(std::string_view role, std::uint32_t turn) {
        const bool is_same = !messages_.empty() && messages_.back().role == role &&
            (messages_.back().turn == turn || role == "ASSISTANT");
        if (!is_same) messages_.push_back({role, turn, "", "", "", {}, {}});
        return messages_.back();
    }

    /// Tool messages take texts alone; what was seen is shown right behind the last of them.
    void show_held() {
        if (held_.empty()) return;
        messages_.push_back({"USER", 0, "", "", "", std::move(held_), {}});
        held_.clear();
    }

    Status add(const Item& item) {
        ENTREPOT_TRY_DO(lose_riders(item, losses_));
        if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
            return add_result(item, *result);
        show_held();
        if (const auto* thought = std::get_if<canon::Thought>(&item.body)) {
            if (thought->text.empty() && !item.signature) return {};
            return losses_.of_hint(
                path_of(item) + ".reasoning_content", "makers do not take thoughts back there");
        }
        Message& message = message_for(role_of(item), item.turn);
        if (!item.author.empty()) message.author = item.author;
        if (const auto* call = std::get_if<canon::ToolCall>(&item.body))
            return add_call(item, *call, message);
        if (const auto* refusal = std::get_if<canon::Refusal>(&item.body);
            refusal != nullptr && item.role == Role::kAssistant) {
            message.refusal += refusal->text;
            return {};
        }
        return add_part(item, path_of(item) + ".content", message.parts);
    }

    Status add_part(const Item& item, const std::string& field, std::vector<std::string>& parts) {
        if (const auto* text = std::get_if<canon::Text>(&item.body)) {
            parts.push_back(text_part(text->text));
        } else if (const auto* refusal = std::get_if<canon::Refusal>(&item.body)) {
            parts.push_back(text_part(refusal->text));
        } else if (const auto* media = std::get_if<Media>(&item.body)) {
            return add_media(*media, field, parts);
        } else {
            const auto* own = std::get_if<canon::Opaque>(&item.body);
            return losses_.of_answer(field,
                own != nullptr
                    ? fmt::format("'{}' is known to {} alone", excerpt(own->kind), own->origin)
                    : "there is no such part there");
        }
        return {};
    }

    Status add_media(
        const Media& media, const std::string& field, std::vector<std::string>& parts) {
        if (media.source == Media::Source::kText) {
            parts.push_back(text_part(media.data));
            if (media.name.empty()) return {};
            return losses_.of_hint(field + ".title", "a text has no title there");
        }
        if (media.source != Media::Source::kUrl && media.source != Media::Source::kBase64)
            return losses_.of_answer(field, "what another supplier keeps cannot be read there");
        std::string_view type, key, fallback;
        switch (media.kind) {
            case Media::Kind::kImage:
                type = "IMAGE", key = "imageUrl", fallback = "image/png";
                break;
            case Media::Kind::kAudio:
                type = "AUDIO", key = "audioUrl", fallback = "audio/wav";
                break;
            case Media::Kind::kVideo:
                type = "VIDEO", key = "videoUrl", fallback = "video/mp4";
                break;
            case Media::Kind::kDocument:
                type = "DOCUMENT", key = "documentUrl", fallback = "application/pdf";
                break;
        }
        std::string part;
        json::Writer writer(part);
        writer.begin_object().member("type", type).key(key).begin_object();
        writer.member("url", url_of(media, fallback));
        if (!media.detail.empty()) {
            const std::string_view detail = detail_of(media);
            if (detail.empty())
                ENTREPOT_TRY_DO(
                    losses_.of_hint(field + ".detail", "it is auto, low or high there"));
            else
                writer.member("detail", detail);
        }
        writer.end_object().end_object();
        parts.push_back(std::move(part));
        if (media.name.empty()) return {};
        return losses_.of_hint(field + ".filename", "files have no name there");
    }

    Status add_call(const Item& item, const canon::ToolCall& call, Message& message) {
        if (call.is_custom)
            return losses_.of_answer(
                path_of(item) + ".tool_calls", "calls have no free-form input there");
        if (item.signature)
            ENTREPOT_TRY_DO(losses_.of_hint(
                path_of(item) + ".signature", "there is no place for a call's signature"));
        std::string out;
        json::Writer writer(out);
        writer.begin_object().member("id", call.id).member("type", "FUNCTION");
        writer.member("name", call.name);
        writer.member("arguments", call.arguments.empty() ? "{}" : call.arguments).end_object();
        message.calls.push_back(std::move(out));
        return {};
    }

    Status add_result(const Item& item, const canon::ToolResult& result) {
        Message message{"TOOL", item.turn, result.call_id, "", "", {}, {}};
        if (result.is_error)
            ENTREPOT_TRY_DO(losses_.of_hint(
                path_of(item) + ".is_error", "results are not told apart from errors there"));
        for (const Item& part : result.content) {
            const auto* media = std::get_if<Media>(&part.body);
            const bool is_shown = media != nullptr && media->source != Media::Source::kText;
            ENTREPOT_TRY_DO(
                add_part(part, path_of(item) + ".content", is_shown ? held_ : message.parts));
        }
        if (message.parts.empty()) message.parts.push_back(text_part(""));
        messages_.push_back(std::move(message));
        return {};
    }

    static void put(json::Writer& writer, const Message& message) {
        writer.begin_object().member("role", message.role);
        if (!message.parts.empty()) {
            writer.key("content").begin_array();
            for (const std::string& part : message.parts) writer.raw(part);
            writer.end_array();
        }
        if (!message.author.empty()) writer.member("name", message.author);
        if (!message.refusal.empty()) writer.member("refusal", message.refusal);
        if (message.role == "TOOL") writer.member("toolCallId", message.call_id);
        if (!message.calls.empty()) {
            writer.key("toolCalls").begin_array();
            for (const std::string& call : message.calls) writer.raw(call);
            writer.end_array();
        }
        writer.end_object();
    }

    Status write_tools(json::Writer& writer) {
        ENTREPOT_TRY(const auto tools, offered_tools(request_, true, losses_));
        if (tools.empty()) return {};
        writer.key("tools").begin_array();
        for (const canon::Tool* tool : tools) {
            if (tool->is_strict.value_or(false))
                ENTREPOT_TRY_DO(losses_.of_hint("tools.strict", "tools are not strict there"));
            writer.begin_object().member("type", "FUNCTION").member("name", tool->name);
            if (!tool->description.empty()) writer.member("description", tool->description);
            writer.member_raw("parameters",
                tool->parameters.empty() ? std::string_view(R"({"type":"object","properties":{}})")
                                         : std::string_view(tool->parameters));
            writer.end_object();
        }
        writer.end_array();
        if (request_.tool_choice) {
            using Mode = canon::ToolChoice::Mode;
            writer.key("toolChoice").begin_object();
            switch (request_.tool_choice->mode) {
                case Mode::kAuto: writer.member("type", "AUTO"); break;
                case Mode::kNone: writer.member("type", "NONE"); break;
                case Mode::kRequired: writer.member("type", "REQUIRED"); break;
                case Mode::kNamed:
                    writer.member("type", "FUNCTION").member("name", request_.tool_choice->name);
                    break;
            }
            writer.end_object();
        }
        if (request_.parallel_tool_calls)
            writer.member_bool("isParallelToolCalls", *request_.parallel_tool_calls);
        return {};
    }

    Status write_answers(json::Writer& writer) {
        if (request_.choices.value_or(1) > 1) writer.member("numGenerations", *request_.choices);
        if (!request_.stop.empty()) {
            writer.key("stop").begin_array();
            for (const std::string& stop : request_.stop) writer.string(stop);
            writer.end_array();
        }
        if (!request_.logit_bias.empty() && request_.logit_bias != "{}")
            writer.member_raw("logitBias", request_.logit_bias);
        if (request_.logprobs.value_or(false))
            writer.member("logProbs", request_.top_logprobs.value_or(0));
        return {};
    }

    Status write_format(json::Writer& writer) {
        using Kind = canon::ResponseFormat::Kind;
        if (!request_.format || request_.format->kind == Kind::kText) return {};
        const canon::ResponseFormat& format = *request_.format;
        writer.key("responseFormat").begin_object();
        if (format.kind == Kind::kJsonObject) {
            writer.member("type", "JSON_OBJECT").end_object();
            return {};
        }
        writer.member("type", "JSON_SCHEMA").key("jsonSchema").begin_object();
        writer.member("name", format.name.empty() ? "answer" : format.name);
        if (!format.description.empty()) writer.member("description", format.description);
        writer.member_raw("schema", format.schema.empty() ? "{}" : format.schema);
        if (format.is_strict) writer.member_bool("isStrict", *format.is_strict);
        writer.end_object().end_object();
        return {};
    }

    Status write_reasoning(json::Writer& writer) {
        if (!request_.reasoning) return {};
        const canon::Reasoning& asked = *request_.reasoning;
        if (!asked.summary.empty())
            ENTREPOT_TRY_DO(
                losses_.of_hint("reasoning.summary", "thoughts are shown in one way there"));
        if (asked.budget_tokens.value_or(0) > 0)
            ENTREPOT_TRY_DO(losses_.of_hint(
                "thinking.budget_tokens", "thinking has an effort there, and no budget"));
        std::string effort = asked.effort;
        if (effort == "xhigh" || effort == "max") {
            ENTREPOT_TRY_DO(losses_.of_hint("reasoning_effort", "it goes up to high there"));
            effort = "high";
        }
        if (effort.empty()) {
            // Switched on or off without a word: the nearest there is.
            if (asked.is_enabled == false || asked.budget_tokens == 0) effort = "none";
            if (effort.empty() && (asked.is_enabled.value_or(false) || asked.budget_tokens))
                effort = "medium";
        }
        if (!effort.empty()) writer.member("reasoningEffort", upper(effort));
        return {};
    }

    Status write_words(json::Writer& writer) {
        if (!request_.verbosity.empty()) writer.member("verbosity", upper(request_.verbosity));
        const std::string& tier = request_.service_tier;
        if (tier == "auto" || tier == "default" || tier == "priority")
            writer.member("serviceTier", upper(tier));
        else if (!tier.empty())
            ENTREPOT_TRY_DO(
                losses_.of_hint("service_tier", "it is auto, default or priority there"));
        if (!request_.metadata.empty() && request_.metadata != "{}")
            writer.member_raw("metadata", request_.metadata);
        return {};
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses losses_;
    std::vector<Message> messages_;
    std::vector<std::string> held_;  // media of tool results, JSON
};

}  // namespace

Result<EncodedRequest> encode_generic(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).run();
}

}  // namespace entrepot::dialect::oci
