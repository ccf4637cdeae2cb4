#include "dialect/openai_chat/known_fields.h"

namespace entrepot::dialect::openai_chat {

Known known_field(std::string_view key) {
    switch (key.size()) {
        case 1: return key == "n" ? Known::kChoices : Known::kOther;
        case 4:
            if (key == "stop") return Known::kStop;
            return key == "user" ? Known::kUser : Known::kOther;
        case 5:
            if (key == "model") return Known::kModel;
            if (key == "tools") return Known::kTools;
            if (key == "top_p") return Known::kTopP;
            return key == "store" ? Known::kStore : Known::kOther;
        case 6: return key == "stream" ? Known::kStream : Known::kOther;
        case 8:
            if (key == "messages") return Known::kMessages;
            return key == "logprobs" ? Known::kLogprobs : Known::kOther;
        case 9: return key == "functions" ? Known::kFunctions : Known::kOther;
        case 10:
            if (key == "max_tokens") return Known::kMaxTokens;
            if (key == "prediction") return Known::kPrediction;
            return key == "modalities" ? Known::kModalities : Known::kOther;
        case 11: return key == "temperature" ? Known::kTemperature : Known::kOther;
        case 12: return key == "service_tier" ? Known::kServiceTier : Known::kOther;
        case 14: return key == "stream_options" ? Known::kStreamOptions : Known::kOther;
        case 15: return key == "response_format" ? Known::kResponseFormat : Known::kOther;
        case 16:
            if (key == "presence_penalty") return Known::kPresencePenalty;
            if (key == "prompt_cache_key") return Known::kPromptCacheKey;
            return key == "reasoning_effort" ? Known::kReasoningEffort : Known::kOther;
        case 17:
            if (key == "frequency_penalty") return Known::kFrequencyPenalty;
            return key == "safety_identifier" ? Known::kSafetyIdentifier : Known::kOther;
        case 18: return key == "web_search_options" ? Known::kWebSearchOptions : Known::kOther;
        case 21:
            return key == "max_completion_tokens" ? Known::kMaxCompletionTokens : Known::kOther;
        default: return Known::kOther;
    }
}

std::string folded(std::string_view key) {
    std::string out;
    bool is_changed = false;
    for (std::size_t i = 0; i < key.size(); ++i) {
        const char c = key[i];
        if (c >= 'A' && c <= 'Z') {
            out += static_cast<char>(c - 'A' + 'a');
            is_changed = true;
        } else if (key.substr(i).starts_with("\xC5\xBF")) {  // long s
            out += 's';
            ++i;
            is_changed = true;
        } else if (key.substr(i).starts_with("\xE2\x84\xAA")) {  // Kelvin sign
            out += 'k';
            i += 2;
            is_changed = true;
        } else {
            out += c;
        }
    }
    return is_changed ? out : std::string();
}

}  // namespace entrepot::dialect::openai_chat
