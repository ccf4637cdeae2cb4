#pragma once

#include <span>

#include "contracts/bought.h"

namespace entrepot::contracts {

/// Where volume steps stand in the calendar period (UTC) that is running.
struct Standing {
    Period period;
    /// False where days of offers cannot tell: steps of some meters by spend, of some tiers, or
    /// beside stated prices need the lines of the charges.
    bool is_known = false;
    Int128 counted = 0;       ///< pico-units of list cost, or units
    std::size_t reached = 0;  ///< steps that what comes next is above
};

/// One per entry of `contract.volumes`, in its order: what PriceOptions::running takes by counter,
/// from `first_counter` on. Nothing is counted outside the contract's term.
/// Errors: kOverflow.
[[nodiscard]] Result<std::vector<Standing>> standings_of(
    const Contract& contract, std::span<const Bought> bought, Instant now);

}  // namespace entrepot::contracts
