#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "canon/reply.h"
#include "canon/request.h"
#include "json/value.h"

namespace entrepot::dialect {

/// Of the fields that only their own dialect knows, these ask for another answer, or continue a
/// conversation that only its keeper has; the rest are hints.
[[nodiscard]] inline bool asks_for_another_answer(const canon::Extra& extra) {
    constexpr std::array<std::string_view, 23> kOfAnswer{"modalities", "audio",
        "web_search_options", "functions", "function_call", "tool_choice", "response_format",
        "stop", "guardrailConfig", "countPenalty", "frequencyPenalty", "presencePenalty", "tools",
        "tool_results", "documents", "previous_response_id", "conversation", "prompt", "background",
        "text", "cachedContent", "mcp_servers", "container"};
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

/// Gives `drop` the name of each member that rides beside a part for its own dialect alone
/// (canon::PartStarted::opaque of a part that is neither kOpaque nor kMedia).
template <typename Drop>
void name_riders(const canon::PartStarted& start, Drop drop) {
    const bool is_whole =
        start.kind == canon::PartKind::kOpaque || start.kind == canon::PartKind::kMedia;
    if (is_whole || !start.opaque) return;
    if (const auto riders = json::Document::parse(start.opaque->json))
        for (const json::Member& member : riders->root().members()) drop(member.key);
}

}  // namespace entrepot::dialect
