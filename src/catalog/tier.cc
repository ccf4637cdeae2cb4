#include "catalog/tier.h"

#include <array>

#include "base/text.h"

namespace entrepot::catalog {
namespace {

constexpr std::array<std::string_view, kTierCount> kNames{
    "standard", "batch", "flex", "priority", "fast"};

}  // namespace

std::string_view tier_name(Tier tier) { return kNames[static_cast<std::size_t>(tier)]; }

std::optional<Tier> parse_tier(std::string_view word) {
    for (std::size_t i = 0; i < kTierCount; ++i)
        if (equals_ignoring_case(word, kNames[i])) return static_cast<Tier>(i);
    // Vertex, by the traffic it counted a request to.
    if (equals_ignoring_case(word, "on_demand_flex")) return Tier::kFlex;
    if (equals_ignoring_case(word, "on_demand_priority")) return Tier::kPriority;
    // OpenAI: auto, default. Anthropic: auto, standard_only. Groq, Vertex: on_demand. Bedrock:
    // default.
    for (const std::string_view standard : {"default", "auto", "standard_only", "on_demand"})
        if (equals_ignoring_case(word, standard)) return Tier::kStandard;
    return std::nullopt;
}

}  // namespace entrepot::catalog
