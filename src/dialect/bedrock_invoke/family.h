#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "json/value.h"

// What InvokeModel is an envelope around: the formats of the makers whose models Bedrock sells.
namespace entrepot::dialect::bedrock_invoke {

enum class Family : std::uint8_t {
    kMessages,      ///< Anthropic's Messages
    kNova,          ///< Amazon Nova: Converse without its envelope
    kChat,          ///< chat completions: AI21's Jamba, gpt-oss, Qwen, DeepSeek V3, ...
    kMistralChat,   ///< chat completions with `stop_reason`: Mistral Large 2407, Pixtral
    kClaudeText,    ///< Anthropic's text completions
    kTitan,         ///< Amazon Titan text
    kLlama,         ///< Meta
    kMistralText,   ///< Mistral's instruct models
    kCohereText,    ///< Command, by `prompt`
    kCohereChat,    ///< Command R, by `message`
    kJurassic,      ///< AI21's J2
    kDeepseekText,  ///< DeepSeek R1
    kTitanEmbed,    ///< Amazon's Titan, one text to a vector
    kCohereEmbed,   ///< Cohere's embed
    kNone,          ///< no conversation: rerankings, images, speech
    kUnknown,       ///< nothing says which
};

/// `messages`, `nova`, ...: canon::Request::family.
[[nodiscard]] std::string_view family_name(Family family);
/// kUnknown for a word that is none.
[[nodiscard]] Family family_named(std::string_view name);

/// The family whose body a model takes, by its id: plain, of an inference profile (`us.`, `eu.`,
/// `global.`), or an ARN that holds one of them. kUnknown where the id says nothing: names of the
/// gateway's own, application profiles, imported models.
[[nodiscard]] Family family_of_model(std::string_view model_id);

/// The family of a client's body. The model's maker decides where one maker has several formats
/// that share a field; a body of a model that says nothing speaks for itself.
[[nodiscard]] Family family_of_request(std::string_view model_id, const json::Value& body);

/// The family of a whole reply, or of an event of a stream, by its shape; no two share one.
[[nodiscard]] Family family_of_reply(const json::Value& reply);

/// A family whose request is one text. Empty names: there is no such field.
struct PromptFormat {
    Family family;
    std::string_view prompt;
    std::string_view settings;  ///< the object that holds all of the following; empty: the body
    std::string_view cap;
    std::string_view temperature;
    std::string_view top_p;
    std::string_view top_k;
    std::string_view stop;
    std::string_view choices;
    std::int64_t temperature_max;
    bool needs_cap;  ///< the model refuses a request without
};
/// Null for a family that is no such.
[[nodiscard]] const PromptFormat* prompt_format(Family family);

}  // namespace entrepot::dialect::bedrock_invoke
