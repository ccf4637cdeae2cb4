#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "catalog/tier.h"

namespace entrepot::store {

/// What one meter of one offer cost in one hour of dispatch, whoever spent it: as suppliers bill.
struct ChargeHour {
    Instant hour;
    std::string model, offer, cloud, contract, rate_version;
    catalog::Tier tier = catalog::Tier::kStandard;
    std::int64_t ctx_over = 0;
    std::uint8_t meter = 0;  ///< canon::Meter, ledger::kRestMeter or ledger::kAdjustMeter
    std::int64_t quantity = 0;
    Money cost;
    Money list_cost;
    bool is_moved = false;  ///< dispatched in a closed month before: a row of its own
};

struct ChargeHoursQuery {
    std::optional<Instant> since;     ///< the hour of it is in
    std::optional<Instant> until;     ///< the hour of it is out unless it is past the hour
    std::vector<std::string> clouds;  ///< empty: all
    std::uint32_t rows_max = 5000;    ///< hours are whole: the last one may go over it
};

struct ChargeHoursPage {
    std::vector<ChargeHour> rows;  ///< by hour, then as the books number them
    std::optional<Instant> next;   ///< where to go on; absent at the end
};

/// One correction as it was posted.
struct PostedAdjustment {
    ExchangeId id;
    Instant at;
    std::string model, offer, cloud, contract, reason;
    Money cost;
    Money list_cost;
    ExchangeId exchange;        ///< what it corrects; all zero when no single exchange
    std::uint16_t attempt = 0;  ///< of that exchange; 0: none
};

struct PostedAdjustmentsPage {
    std::vector<PostedAdjustment> rows;  ///< by id
    std::optional<ExchangeId> next;      ///< the last of these, to go on after; absent at the end
};

/// Both ask the store's file read-only, as of its last checkpoint; any thread. Memory: one page,
/// and what one hour adds up to. Errors: kIo, kNotFound.
[[nodiscard]] Result<ChargeHoursPage> charge_hours(
    const std::filesystem::path& data, const ChargeHoursQuery& query);
[[nodiscard]] Result<PostedAdjustmentsPage> posted_adjustments(const std::filesystem::path& data,
    const std::optional<ExchangeId>& after, std::uint32_t rows_max);

}  // namespace entrepot::store
