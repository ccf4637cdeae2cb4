#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "ledger/state.h"

namespace entrepot::store {

/// Which lines of the books, and how they are summed up.
struct ChargeQuery {
    Instant since;  ///< half open; whole hours
    Instant until;
    std::vector<ledger::NameId> offers;     ///< empty: all
    std::vector<ledger::NameId> contracts;  ///< empty: all
};

/// What one meter cost on one UTC day: sums over its hours.
struct DayCharge {
    std::int32_t day = 0;  ///< since 1970-01-01
    ledger::Dimensions dimensions;
    std::uint8_t meter = 0;  ///< canon::Meter, ledger::kRestMeter or ledger::kAdjustMeter
    std::int64_t quantity = 0;
    Money cost;
    Money list_cost;
    bool is_moved = false;  ///< dispatched in a closed month before: a row of its own
};

/// Hands out the rows of a period, day by day, as of the last checkpoint; beside running books.
/// What `visit` refuses with ends it. Errors: kIo, kNotFound, kOverflow.
[[nodiscard]] Status read_charges(const std::filesystem::path& data, const ChargeQuery& query,
    const std::function<Status(const DayCharge&)>& visit);

}  // namespace entrepot::store
