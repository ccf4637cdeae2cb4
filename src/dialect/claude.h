#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <variant>

#include "canon/request.h"

// What is true of Anthropic's models behind every dialect that reaches them.
namespace entrepot::dialect::claude {

inline constexpr std::int64_t kThinkingBudgetMin = 1024;  // the maker's own

/// Up to their 4.5 generation the models are told a budget of thoughts; later ones choose it
/// themselves under an effort, and refuse a budget.
[[nodiscard]] inline bool thinks_by_budget(std::string_view model_id) {
    constexpr std::array<std::string_view, 12> kGenerations{"claude-3", "claude-v", "opus-4-1",
        "opus-4-5", "sonnet-4-5", "haiku-4-5", "opus-4@", "sonnet-4@", "opus-4-0", "sonnet-4-0",
        "opus-4-2025", "sonnet-4-2025"};
    return std::ranges::any_of(kGenerations,
        [&](std::string_view name) { return model_id.find(name) != std::string_view::npos; });
}

/// The share of the output cap that an effort in OpenAI's words may spend on thoughts, in percent.
[[nodiscard]] inline std::int64_t budget_percent(std::string_view effort) {
    if (effort == "minimal") return 10;
    if (effort == "low") return 20;
    if (effort == "high") return 80;
    if (effort == "xhigh" || effort == "max") return 95;
    return 50;
}

/// The nearest effort that every model of the later generations knows.
[[nodiscard]] inline std::string_view effort_of(std::string_view effort) {
    if (effort == "minimal") return "low";
    return effort == "xhigh" ? "high" : effort;
}

/// Whether a thought of the conversation has to stay behind: it is not signed by `origin`.
[[nodiscard]] inline bool has_lost_thoughts(
    const canon::Request& request, std::string_view origin) {
    return std::ranges::any_of(request.items, [&](const canon::Item& item) {
        return std::holds_alternative<canon::Thought>(item.body) &&
            (!item.signature || item.signature->origin != origin);
    });
}

/// Whether the last answer called tools, has their results, and does not begin with a thought that
/// `origin` signed. With thinking by a budget the models refuse that: such a loop goes on without.
[[nodiscard]] inline bool is_in_thoughtless_tool_loop(
    const canon::Request& request, std::string_view origin) {
    bool has_results = false;
    for (std::size_t i = request.items.size(); i-- > 0;) {
        const canon::Item& item = request.items[i];
        if (std::holds_alternative<canon::ToolResult>(item.body)) {
            has_results = true;
        } else if (item.role == canon::Role::kAssistant) {
            if (!has_results) return false;
            // Back to the first item of this turn.
            while (i > 0 && request.items[i - 1].role == canon::Role::kAssistant) --i;
            const canon::Item& first = request.items[i];
            return !std::holds_alternative<canon::Thought>(first.body) || !first.signature ||
                first.signature->origin != origin;
        }
    }
    return false;
}

}  // namespace entrepot::dialect::claude
