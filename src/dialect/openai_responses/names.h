#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "dialect/sealed_signature.h"

namespace entrepot::dialect::openai_responses {

/// The dialect's name, and the origin of what it leaves opaque and of its signatures.
inline constexpr std::string_view kName = "openai-responses";

/// The mark of an opaque part of a message, which stands beside others; without it an opaque item
/// of a request stands for itself.
inline constexpr std::string_view kPartMark = "content_part";

/// An id for an item of a reply that another dialect gave none: `msg_epot_<reply>_3`.
[[nodiscard]] inline std::string made_item_id(
    std::string_view prefix, std::string_view reply_id, std::size_t number) {
    const std::size_t underscore = reply_id.find('_');
    if (underscore != std::string_view::npos) reply_id.remove_prefix(underscore + 1);
    return fmt::format("{}{}{}_{}", prefix, kMadeIdMark, reply_id.substr(0, 40), number);
}

/// Whether the id is one of those: no supplier knows it.
[[nodiscard]] inline bool is_made_item_id(std::string_view id) {
    const std::size_t underscore = id.find('_');
    return underscore != std::string_view::npos && id.substr(underscore).starts_with(kMadeIdMark);
}

/// Whether a reply repeats this member of its request.
[[nodiscard]] inline bool is_echo(std::string_view key) {
    constexpr std::array<std::string_view, 24> kEchoes{"background", "conversation",
        "frequency_penalty", "instructions", "max_output_tokens", "max_tool_calls", "metadata",
        "parallel_tool_calls", "presence_penalty", "previous_response_id", "prompt",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
        "safety_identifier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs",
        "top_p", "truncation"};
    return key == "user" || std::ranges::find(kEchoes, key) != kEchoes.end();
}

}  // namespace entrepot::dialect::openai_responses
