#pragma once

#include "pricing/rate_card.h"

namespace entrepot::pricing {

/// A line whose discount grows with what was bought.
struct Climb {
    const RateCard::Ladder& ladder;
    std::int64_t quantity = 0;
    UnitPrice price;
    Money list;          ///< of the line
    Ratio list_factor;   ///< in `list` and in the ladder's rates
    Ratio more;          ///< in `list`, and due on the cost
    Int128 running = 0;  ///< what was bought before the line
};

/// What the line costs, rounded once. Errors: kOverflow.
[[nodiscard]] Result<Money> climb_of(const Climb& climb, const RoundingRule& rule);

}  // namespace entrepot::pricing
