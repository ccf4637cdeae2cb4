#pragma once

#include <span>
#include <vector>

#include "contracts/contract.h"
#include "pricing/price.h"

namespace entrepot::contracts {

/// A line of the books: what one meter came to on one UTC day.
struct BookedLine {
    pricing::LineAt line;
    Money list;
    Instant day;  ///< its midnight
};

/// Adds the line to the counter of the volume steps that it lies on under `card`, by
/// TermVolume::counter, when its day is in that counter's period. Errors: kOverflow.
[[nodiscard]] Status count_line(const BookedLine& booked, const pricing::RateCard& card,
    std::span<const Period> periods, std::span<Int128> counts);

/// Where volume steps stand in the calendar period (UTC) that is running.
struct Standing {
    Period period;
    Int128 counted = 0;       ///< pico-units of list cost, or units
    std::size_t reached = 0;  ///< steps that what comes next is above
};

/// One per entry of `contract.volumes`, in its order; `counted` likewise.
[[nodiscard]] std::vector<Standing> standings_of(
    const Contract& contract, std::span<const Int128> counted, Instant now);

}  // namespace entrepot::contracts
