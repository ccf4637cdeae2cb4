// COHEREV2: near the second version of Cohere's Chat.
#include <algorithm>

#include "base/text.h"
#include "dialect/oci/parts.h"

namespace entrepot::dialect::oci {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request), target_(target), losses_(target.on_lossy, "Oracle's native chat") {}

    Result<EncodedRequest> run() {
        return in_envelope(request_, target_, "COHEREV2", losses_,
            [&](json::Writer& writer) { return write(writer); });
    }

private:
    struct Message {
        std::string_view role;
        std::uint32_t turn = 0;
        std::string call_id;             // of a tool's result
        std::vector<std::string> parts;  // JSON
        std::vector<std::string> calls;  // JSON
    };

    Status write(json::Writer& writer) {
        for (const Item& item : request_.items) ENTREPOT_TRY_DO(add(item));
        if (messages_.empty())
            return losses_.refuse("messages", "they hold nothing that can be sent");
        writer.key("messages").begin_array();
        for (const Message& message : messages_) put(writer, message);
        writer.end_array();
        ENTREPOT_TRY_DO(write_tools(writer));
        if (const auto cap = cap_of(request_, target_)) writer.member("maxTokens", *cap);
        ENTREPOT_TRY_DO(check_cohere_sampling());
        write_sampling(writer, request_);
        if (request_.logprobs) writer.member_bool("isLogProbsEnabled", *request_.logprobs);
        if (!request_.stop.empty()) {
            writer.key("stopSequences").begin_array();
            for (const std::string& stop : request_.stop) writer.string(stop);
            writer.end_array();
        }
        ENTREPOT_TRY_DO(write_format(writer));
        return write_thinking(writer);
    }

    static std::string_view role_of(const Item& item) {
        switch (item.role) {
            case Role::kSystem:
            case Role::kDeveloper: return "SYSTEM";
            case Role::kAssistant: return "ASSISTANT";
            case Role::kUser:
            case Role::kTool: break;
        }
        return "USER";
    }

    /// What an assistant said and called in a row stands in one message, whatever its turns.
    Message& message_for(std::string_view role, std::uint32_t turn) {
        const bool is_same = !messages_.empty() && messages_.back().role == role &&
            (messages_.back().turn == turn || role == "ASSISTANT");
        if (!is_same) messages_.push_back({role, turn, "", {}, {}});
        return messages_.back();
    }

    Status add(const Item& item) {
        ENTREPOT_TRY_DO(lose_riders(item, losses_));
        if (!item.author.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(path_of(item) + ".name", "turns have no names there"));
        if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
            return add_result(item, *result);
        if (const auto* thought = std::get_if<canon::Thought>(&item.body))
            return add_thought(item, *thought);
        Message& message = message_for(role_of(item), item.turn);
        if (const auto* call = std::get_if<canon::ToolCall>(&item.body))
            return add_call(item, *call, message);
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
        if (media.kind == Media::Kind::kDocument && media.source == Media::Source::kText) {
            parts.push_back(text_part(media.data));
            if (media.name.empty()) return {};
            return losses_.of_hint(field + ".title", "a text has no title there");
        }
        if (media.kind != Media::Kind::kImage ||
            (media.source != Media::Source::kUrl && media.source != Media::Source::kBase64))
            return losses_.of_answer(field, "it takes texts and images, by URL or in base64");
        std::string part;
        json::Writer writer(part);
        writer.begin_object().member("type", "IMAGE_URL").key("imageUrl").begin_object();
        writer.member("url", url_of(media, "image/png"));
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
        return {};
    }

    /// Cohere takes thoughts back that nobody has signed.
    Status add_thought(const Item& item, const canon::Thought& thought) {
        if (thought.is_redacted || item.signature)
            return losses_.of_hint(
                path_of(item) + ".reasoning_content", "it is another supplier's reasoning");
        if (thought.text.empty()) return {};
        message_for("ASSISTANT", item.turn)
            .parts.push_back(
                "{\"type\":\"THINKING\",\"thinking\":" + json::quoted(thought.text) + "}");
        return {};
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
        writer.key("function").begin_object().member("name", call.name);
        writer.member("arguments", call.arguments.empty() ? "{}" : call.arguments);
        writer.end_object().end_object();
        message.calls.push_back(std::move(out));
        return {};
    }

    Status add_result(const Item& item, const canon::ToolResult& result) {
        Message message{"TOOL", item.turn, result.call_id, {}, {}};
        const std::string field = path_of(item) + ".content";
        if (result.is_error)
            ENTREPOT_TRY_DO(losses_.of_hint(
                path_of(item) + ".is_error", "results are not told apart from errors there"));
        for (const Item& part : result.content) {
            const auto* media = std::get_if<Media>(&part.body);
            if (media != nullptr && media->source != Media::Source::kText)
                ENTREPOT_TRY_DO(losses_.of_answer(field, "a tool's result is text there"));
            else
                ENTREPOT_TRY_DO(add_part(part, field, message.parts));
        }
        messages_.push_back(std::move(message));
        return {};
    }

    static void put(json::Writer& writer, const Message& message) {
        writer.begin_object().member("role", message.role);
        if (message.role == "TOOL") writer.member("toolCallId", message.call_id);
        if (!message.parts.empty() || message.calls.empty()) {
            writer.key("content").begin_array();
            for (const std::string& part : message.parts) writer.raw(part);
            if (message.parts.empty()) writer.raw(text_part(""));
            writer.end_array();
        }
        if (!message.calls.empty()) {
            writer.key("toolCalls").begin_array();
            for (const std::string& call : message.calls) writer.raw(call);
            writer.end_array();
        }
        writer.end_object();
    }

    Status write_tools(json::Writer& writer) {
        if (request_.parallel_tool_calls == false)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "parallel_tool_calls", "the model cannot be kept to one call at a time"));
        ENTREPOT_TRY(const auto tools, offered_tools(request_, false, losses_));
        if (tools.empty()) return {};
        const auto is_strict = [](const canon::Tool* tool) {
            return tool->is_strict.value_or(false);
        };
        writer.key("tools").begin_array();
        for (const canon::Tool* tool : tools) {
            writer.begin_object().member("type", "FUNCTION").key("function").begin_object();
            writer.member("name", tool->name);
            if (!tool->description.empty()) writer.member("description", tool->description);
            writer.member_raw("parameters",
                tool->parameters.empty() ? std::string_view(R"({"type":"object","properties":{}})")
                                         : std::string_view(tool->parameters));
            writer.end_object().end_object();
        }
        writer.end_array();
        if (std::ranges::any_of(tools, is_strict)) {
            writer.member_bool("isStrictToolsEnabled", true);
            if (!std::ranges::all_of(tools, is_strict))
                ENTREPOT_TRY_DO(losses_.of_hint("tools.strict", "all tools are strict, or none"));
        }
        if (!request_.tool_choice) return {};
        using Mode = canon::ToolChoice::Mode;
        const Mode mode = request_.tool_choice->mode;
        if (mode == Mode::kNone) writer.member("toolsChoice", "NONE");
        if (mode == Mode::kRequired || mode == Mode::kNamed)
            writer.member("toolsChoice", "REQUIRED");
        return {};
    }

    Status check_cohere_sampling() {
        ENTREPOT_TRY_DO(check_penalties(request_, losses_));
        if (request_.top_logprobs.value_or(0) > 0)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "top_logprobs", "it tells the probabilities of what was written alone"));
        if (request_.choices.value_or(1) > 1)
            ENTREPOT_TRY_DO(losses_.of_answer("n", "there is one answer to a request there"));
        if (!request_.logit_bias.empty() && request_.logit_bias != "{}")
            ENTREPOT_TRY_DO(losses_.of_answer("logit_bias", "there is no such field there"));
        const auto lose = [&](bool is_set, std::string_view field) -> Status {
            return is_set ? losses_.of_hint(field, "there is no such field there") : Status();
        };
        const std::string& tier = request_.service_tier;
        ENTREPOT_TRY_DO(lose(!tier.empty() && tier != "auto" && tier != "default", "service_tier"));
        ENTREPOT_TRY_DO(lose(!request_.metadata.empty() && request_.metadata != "{}", "metadata"));
        return lose(!request_.verbosity.empty() && request_.verbosity != "medium", "verbosity");
    }

    Status write_format(json::Writer& writer) {
        using Kind = canon::ResponseFormat::Kind;
        if (!request_.format || request_.format->kind == Kind::kText) return {};
        const canon::ResponseFormat& format = *request_.format;
        if (!format.description.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(
                "response_format.json_schema.description", "a format has no description there"));
        writer.key("responseFormat").begin_object().member("type", "JSON_OBJECT");
        if (format.kind == Kind::kJsonSchema && !format.schema.empty())
            writer.member_raw("schema", format.schema);
        writer.end_object();
        return {};
    }

    Status write_thinking(json::Writer& writer) {
        if (!request_.reasoning) return {};
        const canon::Reasoning& asked = *request_.reasoning;
        const bool is_off =
            asked.effort == "none" || asked.is_enabled == false || asked.budget_tokens == 0;
        const bool is_on = !is_off &&
            (!asked.effort.empty() || asked.budget_tokens || asked.is_enabled.value_or(false));
        if (!asked.summary.empty())
            ENTREPOT_TRY_DO(
                losses_.of_hint("reasoning.summary", "thoughts are shown in one way there"));
        if (!is_on && !is_off) return {};
        const bool thinks = target_.model_id.find("reasoning") != std::string_view::npos ||
            target_.model_id.starts_with("ocid1.");
        if (!thinks) {
            if (is_off) return {};
            return losses_.of_hint("reasoning_effort",
                fmt::format("'{}' does not think before it answers", excerpt(target_.model_id)));
        }
        if (is_on && !asked.effort.empty() && !asked.budget_tokens)
            ENTREPOT_TRY_DO(losses_.of_hint(
                "reasoning_effort", "thinking is on or off there, or has a budget of tokens"));
        writer.key("thinking").begin_object();
        writer.member("type", is_off ? "DISABLED" : "ENABLED");
        if (is_on && asked.budget_tokens) writer.member("tokenBudget", *asked.budget_tokens);
        writer.end_object();
        return {};
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses losses_;
    std::vector<Message> messages_;
};

}  // namespace

Result<EncodedRequest> encode_cohere_v2(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).run();
}

}  // namespace entrepot::dialect::oci
