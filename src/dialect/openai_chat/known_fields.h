#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The members of a request that `inspect` reads.
namespace entrepot::dialect::openai_chat {

/// In `inspect` the bit of each tells that it was there.
enum class Known : std::uint8_t {
    kModel,
    kMessages,
    kStream,
    kStreamOptions,
    kMaxTokens,
    kMaxCompletionTokens,
    kChoices,
    kTools,
    kFunctions,
    kResponseFormat,
    kTemperature,
    kTopP,
    kFrequencyPenalty,
    kPresencePenalty,
    kStop,
    kServiceTier,
    kUser,
    kSafetyIdentifier,
    kPromptCacheKey,
    kPrediction,
    kModalities,
    kLogprobs,
    kReasoningEffort,
    kWebSearchOptions,
    kStore,
    kOther,
};

[[nodiscard]] Known known_field(std::string_view key);

/// `key` as readers take it that match keys ignoring case (Go's encoding/json and those in front
/// of it): lower case, also of the two letters outside ASCII that fold into it. Empty when nothing
/// changes.
[[nodiscard]] std::string folded(std::string_view key);

}  // namespace entrepot::dialect::openai_chat
