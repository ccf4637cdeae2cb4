#include "dialect/bedrock_invoke/family.h"

#include <algorithm>
#include <array>

namespace entrepot::dialect::bedrock_invoke {
namespace {

using json::Value;

struct Name {
    Family family;
    std::string_view name;
};
constexpr std::array kNames{
    Name{Family::kMessages, "messages"},
    Name{Family::kNova, "nova"},
    Name{Family::kChat, "chat"},
    Name{Family::kMistralChat, "mistral-chat"},
    Name{Family::kClaudeText, "claude-text"},
    Name{Family::kTitan, "titan"},
    Name{Family::kLlama, "llama"},
    Name{Family::kMistralText, "mistral-text"},
    Name{Family::kCohereText, "cohere-text"},
    Name{Family::kCohereChat, "cohere-chat"},
    Name{Family::kJurassic, "jurassic"},
    Name{Family::kDeepseekText, "deepseek-text"},
    Name{Family::kTitanEmbed, "titan-embed"},
    Name{Family::kCohereEmbed, "cohere-embed"},
    Name{Family::kNone, "none"},
};

struct Model {
    std::string_view id;  // how it begins, behind a profile's prefix
    Family family;
};
// The first that fits. A maker's last row is its later models'.
constexpr std::array kModels{
    Model{"anthropic.", Family::kMessages},
    Model{"amazon.nova-canvas", Family::kNone},
    Model{"amazon.nova-reel", Family::kNone},
    Model{"amazon.nova-sonic", Family::kNone},
    Model{"amazon.nova-2-sonic", Family::kNone},
    Model{"amazon.nova-2-multimodal-embeddings", Family::kNone},
    Model{"amazon.nova", Family::kNova},
    Model{"amazon.titan-text", Family::kTitan},
    Model{"amazon.titan-tg1", Family::kTitan},
    Model{"amazon.titan-embed-image", Family::kNone},
    Model{"amazon.titan-embed", Family::kTitanEmbed},
    Model{"amazon.", Family::kNone},
    Model{"meta.", Family::kLlama},
    Model{"mistral.mistral-7b", Family::kMistralText},
    Model{"mistral.mixtral-8x7b", Family::kMistralText},
    Model{"mistral.mistral-large-2402", Family::kMistralText},
    Model{"mistral.mistral-small-2402", Family::kMistralText},
    Model{"mistral.mistral-large-2407", Family::kMistralChat},
    Model{"mistral.pixtral-large-2502", Family::kMistralChat},
    Model{"mistral.", Family::kChat},
    Model{"cohere.embed", Family::kCohereEmbed},
    Model{"cohere.rerank", Family::kNone},
    Model{"cohere.command-text", Family::kCohereText},
    Model{"cohere.command-light", Family::kCohereText},
    Model{"cohere.", Family::kCohereChat},
    Model{"ai21.j2", Family::kJurassic},
    Model{"ai21.", Family::kChat},
    Model{"deepseek.r1", Family::kDeepseekText},
    Model{"deepseek.", Family::kChat},
    Model{"openai.", Family::kChat},
    Model{"qwen.", Family::kChat},
    Model{"writer.", Family::kChat},
    Model{"minimax.", Family::kChat},
    Model{"moonshot.", Family::kChat},
    Model{"moonshotai.", Family::kChat},
    Model{"zai.", Family::kChat},
    Model{"google.", Family::kChat},
    Model{"nvidia.", Family::kChat},
    Model{"stability.", Family::kNone},
    Model{"luma.", Family::kNone},
    Model{"twelvelabs.", Family::kNone},
};

const Model* find_model(std::string_view id) {
    const auto* found =
        std::ranges::find_if(kModels, [&](const Model& model) { return id.starts_with(model.id); });
    return found == kModels.end() ? nullptr : found;
}

/// The row of a model id in any of its spellings.
const Model* model_of(std::string_view id) {
    // arn:aws:bedrock:{region}:{account}:inference-profile/{id}
    if (const std::size_t slash = id.rfind('/'); slash != std::string_view::npos)
        id.remove_prefix(slash + 1);
    if (const Model* model = find_model(id)) return model;
    // us. eu. apac. global. us-gov. and the next ones: one label before the maker's.
    const std::size_t dot = id.find('.');
    return dot == std::string_view::npos ? nullptr : find_model(id.substr(dot + 1));
}

bool has(const Value& body, std::string_view key) { return !body[key].is_null(); }

bool has_any(const Value& body, std::initializer_list<std::string_view> keys) {
    return std::ranges::any_of(keys, [&](std::string_view key) { return has(body, key); });
}

/// Blocks without a type are Converse's, which Nova shares.
bool has_untyped_blocks(const Value& body) {
    for (const Value& message : body["messages"].items())
        for (const Value& block : message["content"].items())
            return block.is_object() && !has(block, "type");
    return false;
}

Family family_of_messages(const Model* model, const Value& body) {
    if (has(body, "anthropic_version")) return Family::kMessages;
    if (model != nullptr &&
        (model->family == Family::kMessages || model->family == Family::kNova ||
            model->family == Family::kChat || model->family == Family::kMistralChat))
        return model->family;
    if (has_any(body, {"schemaVersion", "inferenceConfig", "toolConfig"}) ||
        has_untyped_blocks(body))
        return Family::kNova;
    return Family::kChat;
}

Family family_of_prompt(const Model* model, const Value& body) {
    const std::string_view maker =
        model == nullptr ? std::string_view() : model->id.substr(0, model->id.find('.'));
    if (maker == "anthropic") return Family::kClaudeText;
    if (maker == "meta") return Family::kLlama;
    if (maker == "mistral") return Family::kMistralText;
    if (maker == "cohere") return Family::kCohereText;
    if (maker == "ai21") return Family::kJurassic;
    if (maker == "deepseek") return Family::kDeepseekText;
    if (has(body, "max_tokens_to_sample")) return Family::kClaudeText;
    if (has(body, "max_gen_len")) return Family::kLlama;
    if (has_any(body, {"maxTokens", "numResults", "countPenalty"})) return Family::kJurassic;
    if (has_any(body, {"p", "k", "num_generations", "return_likelihoods"}))
        return Family::kCohereText;
    return Family::kUnknown;
}

constexpr std::array kPromptFormats{
    PromptFormat{Family::kClaudeText, "prompt", "", "max_tokens_to_sample", "temperature", "top_p",
        "top_k", "stop_sequences", "", 1, true},
    PromptFormat{Family::kTitan, "inputText", "textGenerationConfig", "maxTokenCount",
        "temperature", "topP", "", "stopSequences", "", 1, false},
    PromptFormat{
        Family::kLlama, "prompt", "", "max_gen_len", "temperature", "top_p", "", "", "", 1, false},
    PromptFormat{Family::kMistralText, "prompt", "", "max_tokens", "temperature", "top_p", "top_k",
        "stop", "", 1, false},
    PromptFormat{Family::kCohereText, "prompt", "", "max_tokens", "temperature", "p", "k",
        "stop_sequences", "num_generations", 5, false},
    PromptFormat{Family::kJurassic, "prompt", "", "maxTokens", "temperature", "topP", "",
        "stopSequences", "numResults", 1, false},
    PromptFormat{Family::kDeepseekText, "prompt", "", "max_tokens", "temperature", "top_p", "",
        "stop", "", 1, false},
};

}  // namespace

std::string_view family_name(Family family) {
    const auto* found = std::ranges::find(kNames, family, &Name::family);
    return found == kNames.end() ? std::string_view() : found->name;
}

Family family_named(std::string_view name) {
    const auto* found = std::ranges::find(kNames, name, &Name::name);
    return found == kNames.end() ? Family::kUnknown : found->family;
}

Family family_of_model(std::string_view model_id) {
    const Model* model = model_of(model_id);
    return model == nullptr ? Family::kUnknown : model->family;
}

Family family_of_request(std::string_view model_id, const Value& body) {
    const Model* model = model_of(model_id);
    if (model != nullptr &&
        (model->family == Family::kNone || model->family == Family::kTitanEmbed ||
            model->family == Family::kCohereEmbed))
        return model->family;
    if (has(body, "messages")) return family_of_messages(model, body);
    if (has_any(body, {"texts", "input_type"})) return Family::kCohereEmbed;
    if (has_any(body, {"taskType", "text_prompts", "query"})) return Family::kNone;
    if (has(body, "inputText") && has_any(body, {"dimensions", "normalize", "embeddingTypes"}))
        return Family::kTitanEmbed;
    if (has(body, "inputText")) return Family::kTitan;
    if (has(body, "message")) return Family::kCohereChat;
    if (has(body, "prompt")) return family_of_prompt(model, body);
    // What is missing is for the model's own format to say.
    return model == nullptr ? Family::kUnknown : model->family;
}

Family family_of_reply(const Value& reply) {
    if (const Value& type = reply["type"]; type.is_string() && type.string() != "completion")
        return Family::kMessages;
    if (reply["content"].is_array()) return Family::kMessages;
    if (reply["completion"].is_string()) return Family::kClaudeText;
    if (has_any(reply,
            {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop",
                "messageStop", "metadata"}) ||
        reply["output"]["message"].is_object())
        return Family::kNova;
    if (has(reply, "outputText")) return Family::kTitan;
    if (const Value& results = reply["results"]; results.is_array()) {
        const bool is_text = results.items().empty() ? has(reply, "inputTextTokenCount")
                                                     : has(results.items()[0], "outputText");
        return is_text ? Family::kTitan : Family::kNone;  // a reranking has results as well
    }
    if (reply["generation"].is_string()) return Family::kLlama;
    if (reply["outputs"].is_array()) return Family::kMistralText;
    if (reply["generations"].is_array()) return Family::kCohereText;
    if (has_any(reply, {"event_type", "response_id", "generation_id", "chat_history"}))
        return Family::kCohereChat;
    if (has(reply, "is_finished")) return Family::kCohereText;
    if (reply["completions"].is_array()) return Family::kJurassic;
    if (const Value& choices = reply["choices"]; choices.is_array()) {
        const bool is_text = !choices.items().empty() && choices.items()[0]["text"].is_string();
        return is_text ? Family::kDeepseekText : Family::kChat;
    }
    if (reply["text"].is_string() && has(reply, "finish_reason")) return Family::kCohereChat;
    if (has_any(reply, {"embedding", "embeddingsByType"})) return Family::kTitanEmbed;
    if (const Value& embeddings = reply["embeddings"]; !embeddings.is_null()) {
        // Nova's are a list of objects.
        const bool is_nova = !embeddings.items().empty() && embeddings.items()[0].is_object();
        return is_nova ? Family::kNone : Family::kCohereEmbed;
    }
    if (has_any(reply, {"images", "artifacts"})) return Family::kNone;
    return Family::kUnknown;
}

const PromptFormat* prompt_format(Family family) {
    const auto* found = std::ranges::find(kPromptFormats, family, &PromptFormat::family);
    return found == kPromptFormats.end() ? nullptr : found;
}

}  // namespace entrepot::dialect::bedrock_invoke
