#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/bedrock_invoke/cohere_chat.h"
#include "dialect/bedrock_invoke/envelope.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/bedrock_invoke/formats.h"
#include "dialect/bedrock_invoke/prompts.h"
#include "dialect/bedrock_invoke/titan_embed.h"
#include "dialect/losses.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using json::Value;

Result<canon::Request> decode_messages(
    const Delegates& delegates, const json::Document& body, const RequestContext& context) {
    ENTREPOT_TRY(canon::Request request, delegates.messages->decode_request(body, context));
    // Which says nothing: every request to Bedrock has it, and it is the same in each.
    std::erase_if(request.extras,
        [](const canon::Extra& extra) { return extra.path == "anthropic_version"; });
    return request;
}

/// `topK`, which Converse keeps among the model's own fields, is everybody's `top_k`.
void lift_top_k(canon::Request& request) {
    const auto found = std::ranges::find(
        request.extras, "additionalModelRequestFields.inferenceConfig", &canon::Extra::path);
    if (found == request.extras.end() || request.top_k) return;
    const auto fields = json::Document::parse(found->json);
    if (!fields || fields->root().members().size() != 1) return;
    const auto top_k = fields->root()["topK"].as_int();
    if (!top_k) return;
    request.top_k = top_k;
    request.extras.erase(found);
}

Result<canon::Request> decode_nova(
    const Delegates& delegates, const json::Document& body, const RequestContext& context) {
    ENTREPOT_TRY(const json::Document converse,
        json::Document::parse(converse_request_of_nova(body.root())));
    ENTREPOT_TRY(canon::Request request, delegates.converse->decode_request(converse, context));
    lift_top_k(request);
    return request;
}

/// The form of the reply is for the newer models by type, even where nobody asked for types.
Result<canon::Request> decode_cohere_embed(
    const Delegates& delegates, const json::Document& body, const RequestContext& context) {
    return delegates.embed->decode_request(body, context);
}

/// The families that are in this folder alone.
Result<canon::Request> decode_own(Family family, const Value& root, const RequestContext& context) {
    const PromptFormat* format = prompt_format(family);
    ENTREPOT_TRY(canon::Request request,
        format != nullptr ? decode_prompt(*format, root) : decode_cohere_chat(root));
    request.model = context.model.value_or("");
    request.is_stream = context.is_stream.value_or(false);
    return request;
}

bool is_chat(std::string_view origin) {
    return origin == "openai-chat" || origin == "azure-openai";
}

/// Claude 2 has two formats: a prompt goes to it as one.
Family family_for(std::string_view family, std::string_view model_id) {
    const Family of_model = family_of_model(model_id);
    const bool has_both = model_id.find("claude-v2") != std::string_view::npos ||
        model_id.find("claude-instant") != std::string_view::npos;
    const bool is_prompt = family == family_name(Family::kClaudeText);
    return of_model == Family::kMessages && has_both && is_prompt ? Family::kClaudeText : of_model;
}

class Encoder {
public:
    Encoder(const Delegates& delegates, const canon::Request& request, const EncodeTarget& target)
        : delegates_(delegates),
          family_(family_for(request.family, target.model_id)),
          target_(target),
          losses_(target.on_lossy, "Bedrock's InvokeModel"),
          is_home_(family_named(request.family) == family_) {}

    Result<EncodedRequest> run(const canon::Request& given) {
        Opened opened;
        ENTREPOT_TRY_DO(open_envelope(given, losses_, opened));
        ENTREPOT_TRY(EncodedRequest encoded, encode(*opened.request));
        encoded.headers = std::move(opened.headers);
        for (std::string& name : losses_.take())
            if (std::ranges::find(encoded.dropped, name) == encoded.dropped.end())
                encoded.dropped.push_back(std::move(name));
        return encoded;
    }

private:
    Result<EncodedRequest> encode(const canon::Request& request) {
        EncodedRequest encoded;
        const bool makes_vectors =
            family_ == Family::kCohereEmbed || family_ == Family::kTitanEmbed;
        if (makes_vectors != (request.task == canon::Task::kEmbed))
            return losses_.refuse("model",
                fmt::format(
                    "'{}' cannot {}", excerpt(target_.model_id), canon::task_words(request.task)));
        switch (family_) {
            case Family::kMessages: {
                if (!is_home_) ENTREPOT_TRY_DO(check_media(request.items));
                ENTREPOT_TRY(encoded, delegates_.messages->encode_request(request, target_));
                ENTREPOT_TRY(encoded.body, bedrock_messages(encoded, !is_home_, losses_));
                return encoded;
            }
            case Family::kNova: {
                ENTREPOT_TRY(encoded, delegates_.converse->encode_request(request, target_));
                ENTREPOT_TRY(encoded.body, nova_request_of_converse(encoded.body, losses_));
                return encoded;
            }
            case Family::kChat:
            case Family::kMistralChat: return encode_chat(request);
            case Family::kCohereEmbed: return encode_cohere_embed(request);
            case Family::kTitanEmbed: return encode_titan_embed(request, target_);
            case Family::kCohereChat: {
                ENTREPOT_TRY(encoded.body, encode_cohere_chat(request, target_, losses_));
                return encoded;
            }
            case Family::kNone:
                return losses_.refuse("model",
                    fmt::format("'{}' is no model for conversations", excerpt(target_.model_id)));
            case Family::kUnknown:
                return losses_.refuse("model",
                    fmt::format("'{}' does not say whose model it is, so the format of its body is "
                                "not known; reach it by Converse",
                        excerpt(target_.model_id)));
            default: break;
        }
        ENTREPOT_TRY(
            encoded.body, encode_prompt(*prompt_format(family_), request, target_, losses_));
        return encoded;
    }

    /// Cohere's own body, but that the path names the model.
    Result<EncodedRequest> encode_cohere_embed(const canon::Request& request) {
        EncodeTarget target = target_;
        target.model_id = {};
        return delegates_.embed->encode_request(request, target);
    }

    /// Bedrock's Claude fetches nothing and has no files of its clients'.
    Status check_media(const std::vector<canon::Item>& items) const {
        for (const canon::Item& item : items) {
            if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
                ENTREPOT_TRY_DO(check_media(result->content));
            const auto* media = std::get_if<canon::Media>(&item.body);
            if (media != nullptr &&
                (media->source == canon::Media::Source::kUrl ||
                    media->source == canon::Media::Source::kFileId))
                return losses_.refuse(fmt::format("messages[{}].content", item.turn),
                    "Bedrock fetches no media for Claude; send them in base64");
        }
        return {};
    }

    Result<EncodedRequest> encode_chat(const canon::Request& request) {
        EncodeTarget target = target_;
        target.can_ask_stream_usage = false;
        // OpenAI's own models alone know the newer name.
        target.takes_max_completion_tokens =
            target.model_id.find("openai.") != std::string_view::npos;
        ENTREPOT_TRY(EncodedRequest encoded, delegates_.chat->encode_request(request, target));
        const bool is_at_home = is_home_ && is_chat(request.origin);
        ENTREPOT_TRY(encoded.body, bedrock_chat(encoded.body, family_, !is_at_home, losses_));
        return encoded;
    }

    const Delegates& delegates_;
    Family family_;
    const EncodeTarget& target_;
    Losses losses_;
    bool is_home_;  // the client's own body was of this family, in this envelope
};

}  // namespace

Result<canon::Request> decode_request(
    const Delegates& delegates, const json::Document& body, const RequestContext& context) {
    const Value& root = body.root();
    if (!root.is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format("the body must be a JSON object, not {}", json::kind_name(root.kind())));
    const Family family = family_of_request(context.model.value_or(""), root);
    // The path has what other dialects have in the body.
    RequestContext inner = context;
    if (!inner.model) inner.model = "";
    if (!inner.is_stream) inner.is_stream = false;
    Result<canon::Request> request = fail(ErrorCode::kUnsupported, "");
    switch (family) {
        case Family::kNone:
            return fail_field(ErrorCode::kUnsupported, "model",
                "rerankings, images and speech are no conversations: this route has none of them");
        case Family::kUnknown:
            return fail_field(ErrorCode::kUnsupported, "model",
                "neither the model's id nor the body says whose format the body has; name the "
                "model with its maker (anthropic., meta., mistral., ...)");
        case Family::kMessages: request = decode_messages(delegates, body, inner); break;
        case Family::kCohereEmbed: request = decode_cohere_embed(delegates, body, inner); break;
        case Family::kTitanEmbed: request = decode_titan_embed(root, inner); break;
        case Family::kNova: request = decode_nova(delegates, body, inner); break;
        case Family::kChat: request = delegates.chat->decode_request(body, inner); break;
        case Family::kMistralChat: {
            ENTREPOT_TRY(const json::Document chat,
                json::Document::parse(chat_request_of_mistral(body.root())));
            request = delegates.chat->decode_request(chat, inner);
            break;
        }
        default: request = decode_own(family, root, inner); break;
    }
    if (!request) return request;
    request->family = family_name(family);
    read_envelope(context.headers, *request);
    return request;
}

std::string echo_of(const Delegates& delegates, const canon::Request& request) {
    if (family_named(request.family) != Family::kCohereEmbed) return {};
    return delegates.embed->echo_of(request);
}

bool takes_family(std::string_view model_id, std::string_view family) {
    const Family of_model = family_for(family, model_id);
    return of_model == Family::kUnknown || family_name(of_model) == family;
}

Result<EncodedRequest> encode_request(
    const Delegates& delegates, const canon::Request& request, const EncodeTarget& target) {
    return Encoder(delegates, request, target).run(request);
}

}  // namespace entrepot::dialect::bedrock_invoke
