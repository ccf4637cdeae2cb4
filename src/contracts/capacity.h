#pragma once

#include <span>

#include "contracts/bought.h"

namespace entrepot::contracts {

/// What provisioned capacity costs in a time, by the second: units x hours x price. Nothing outside
/// its own dates and the contract's. Errors: kOverflow.
[[nodiscard]] Result<Money> fee_of(
    const Contract& contract, const Provisioned& capacity, Instant begin, Instant end);

/// How far capacity was used.
struct Utilisation {
    std::int64_t minutes = 0;  ///< that it was there
    Money paid;
    Int128 capacity = 0;  ///< input tokens, or pico-units of list cost, that it could have served
    Int128 served = 0;    ///< of them; more than `capacity` where a supplier lets it burst
    std::int64_t used_ppm = 0;
    Money list;  ///< what the same would have cost at the list
};

/// Over [begin, end), of whose days `bought` has all. Errors: kOverflow.
[[nodiscard]] Result<Utilisation> utilisation_of(const Contract& contract,
    const Provisioned& capacity, std::span<const Bought> bought, Instant begin, Instant end);

/// `fee` in parts by weight, which sum to it to the last pico-unit: what rounding leaves goes to
/// the largest remainders, and among equals to the first. All weights zero: no parts.
/// Errors: kOverflow.
[[nodiscard]] Result<std::vector<Money>> split(Money fee, std::span<const Int128> weights);

/// What use really cost when the hours that were paid are laid over it, day by day.
struct Effective {
    std::vector<Money> costs;  ///< one per row of `bought`: its own cost and its part of the hours
    Money unused;              ///< hours that served nobody
};

/// Of one contract, over [begin, end). The sum of `costs` and `unused` is the rows' cost and the
/// fees. Errors: kOverflow.
[[nodiscard]] Result<Effective> effective_of(
    const Contract& contract, std::span<const Bought> bought, Instant begin, Instant end);

}  // namespace entrepot::contracts
