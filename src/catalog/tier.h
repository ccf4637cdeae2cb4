#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot::catalog {

/// The service tier a request was served at; each has prices of its own.
enum class Tier : std::uint8_t { kStandard, kBatch, kFlex, kPriority, kFast };
inline constexpr std::size_t kTierCount = 5;

/// The name in price books and reports: `standard`, `batch`, ...
[[nodiscard]] std::string_view tier_name(Tier tier);
/// The tier of our own name, or of a supplier's word for it in requests and answers (`default`,
/// `auto`, `standard_only`, `on_demand` are standard). Nothing for a word we do not know.
[[nodiscard]] std::optional<Tier> parse_tier(std::string_view word);

}  // namespace entrepot::catalog
