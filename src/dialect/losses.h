#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "canon/request.h"

namespace entrepot::dialect {

/// Of the fields that only their own dialect knows, these ask for another answer, or continue a
/// conversation that only its keeper has; the rest are hints.
[[nodiscard]] inline bool asks_for_another_answer(const canon::Extra& extra) {
    constexpr std::array<std::string_view, 21> kOfAnswer{"modalities", "audio",
        "web_search_options", "functions", "function_call", "tool_choice", "response_format",
        "stop", "guardrailConfig", "countPenalty", "frequencyPenalty", "presencePenalty", "tools",
        "tool_results", "documents", "previous_response_id", "conversation", "prompt", "background",
        "text", "cachedContent"};
    // Of these the beginning says too little.
    constexpr std::array<std::string_view, 5> kWhole{"generationConfig.responseModalities",
        "generationConfig.responseMimeType", "generationConfig.responseFormat",
        "generationConfig.speechConfig", "generationConfig.imageConfig"};
    const std::string_view path = extra.path;
    // What stands beside a function that is carried describes it.
    if (path.find(".functionDeclarations[") != std::string_view::npos) return false;
    if (std::ranges::find(kWhole, path) != kWhole.end()) return true;
    return std::ranges::find(kOfAnswer, path.substr(0, path.find_first_of(".["))) !=
        kOfAnswer.end();
}

}  // namespace entrepot::dialect
