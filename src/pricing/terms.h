#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "canon/usage.h"
#include "catalog/catalog.h"

namespace entrepot::pricing {

/// Bit sets by catalog::Tier and canon::Meter.
using TierSet = std::uint8_t;
using MeterSet = std::uint32_t;
inline constexpr TierSet kAllTiers = (1U << catalog::kTierCount) - 1;
inline constexpr MeterSet kAllMeters = (1U << canon::kMeterCount) - 1;
[[nodiscard]] constexpr TierSet bit_of(catalog::Tier tier) {
    return static_cast<TierSet>(1U << static_cast<unsigned>(tier));
}
[[nodiscard]] constexpr MeterSet bit_of(canon::Meter meter) {
    return MeterSet{1} << static_cast<unsigned>(meter);
}

/// A price that stands in place of the list's, uplifts included. Of two for one meter that with the
/// greater `ctx_over` below the prompt holds.
struct TermPrice {
    TierSet tiers = bit_of(catalog::Tier::kStandard);
    std::int64_t ctx_over = 0;  ///< for prompts of more tokens than this
    canon::Meter meter = canon::Meter::kInput;
    UnitPrice price;
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
};

/// A fraction that a seller takes off. Those off the list add up and leave stated prices alone;
/// those off the net come after, one after the other, on every price.
struct TermDiscount {
    TierSet tiers = kAllTiers;
    MeterSet meters = kAllMeters;
    Ratio off{0, 1};  ///< 0 to 1
    bool is_of_net = false;
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
};

/// A discount off the list that grows with what was bought in a period, or prices that fall with
/// it. It leaves stated prices alone.
struct TermVolume {
    enum class Measure : std::uint8_t {
        kSpend,  ///< list cost, in pico-units of money
        kUnits,  ///< what the meters count
    };
    enum class Reprices : std::uint8_t {
        kMarginal,  ///< each step's discount is of what lies above its threshold
        kWhole,     ///< the step that is reached holds for all that follows in the period
    };
    struct Step {
        Int128 over = 0;  ///< ascending
        Ratio off{0, 1};
        /// In place of `off` and of the list's price and uplifts; discounts off the net follow.
        std::optional<UnitPrice> price = {};
    };
    TierSet tiers = kAllTiers;
    MeterSet meters = kAllMeters;
    Measure measure = Measure::kSpend;
    Reprices reprices = Reprices::kMarginal;
    std::vector<Step> steps;
    std::uint16_t counter = 0;  ///< index into PriceOptions::running
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
};

/// What one contract makes of the list prices of one offer, while it runs.
struct Terms {
    std::string contract;
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
    RoundingRule rounding;
    std::vector<TermPrice> prices;
    std::vector<TermDiscount> discounts;
    std::vector<TermVolume> volumes;
};

}  // namespace entrepot::pricing
