#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "reconcile/amounts.h"
#include "reconcile/compare.h"

namespace entrepot::reconcile {

inline constexpr std::uint8_t kAny = 255;  ///< of an attribute that is not compared

/// What is compared: one SKU as far as both sides tell it.
struct Series {
    std::string seller, model;
    std::uint8_t meter = kAny, tier = kAny, is_long = kAny;
    std::string region;
    std::string sku;  ///< of a charge that counts nothing we meter
    friend auto operator<=>(const Series&, const Series&) = default;
};

/// How long the periods of a bill's lines are.
enum class Span : std::uint8_t { kHour, kDay, kLonger };

struct BilledSums {
    Int128 quantity_pico = 0;  ///< of lines with a cost, else of those without
    Int128 plain_pico = 0;     ///< of lines without a cost
    Money cost;
    Int128 twice_pico = 0;  ///< of lines that say the same as one before
    Money twice_cost;
    std::uint32_t twice_lines = 0;
    std::uint64_t twice_line = 0;
    std::uint32_t lines = 0;
    std::uint64_t line = 0;  ///< the first
    bool has_cost = false, has_quantity = false, has_plain = false;
    void operator+=(const BilledSums& other);
};

struct BookedSums {
    Int128 quantity_pico = 0;
    Money cost;
    std::uint64_t charges = 0;
    std::uint32_t lines = 0;
    bool is_unverified = false, is_estimated = false;
    std::string cloud, offer;  ///< of the line whose offer sorts first
    void operator+=(const BookedSums& other);
};

/// One series in one hour, day or period, both sides; and what is not explained yet.
struct Cell {
    std::uint32_t series = 0;
    Period at;
    BilledSums billed;
    BookedSums booked;
    Int128 dq = 0;  ///< quantity, billed less booked
    Money dm;       ///< money, billed less booked
    bool has_quantity = true;
    bool was_moved = false;  ///< a part of `dq` was explained
    bool is_gap = false;     ///< the bill has nothing of the seller at that time
};

/// Everything that is compared: series in their order, cells by series and then time.
struct Grid {
    std::vector<Series> series;
    std::vector<Cell> cells;
    Money cost_unit;  ///< the bill prints costs to so much
    std::int64_t late_ns = 0;
    Instant still_due{INT64_MAX};  ///< usage from then on may not have been billed yet

    /// Visits the cells of each series, which stand side by side.
    void for_series(const std::function<void(std::span<Cell>)>& visit);
};

/// Collects differences: those of one cause become one.
class Differences {
public:
    /// `key` joins differences of one cause; empty: it stands alone.
    void add(std::string key, Difference difference, std::uint64_t bill_lines);
    /// Moves everything into the report, and leaves the totals there. What was `posted` before is
    /// taken off what is proposed.
    void give(Report& report, const CompareOptions& options, std::span<const Adjustment> posted);

private:
    struct Entry {
        Difference difference;
        std::uint64_t bill_lines = 0;
    };
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::size_t> joined_;
};

/// Explains the quantities, then the money of every cell. Afterwards nothing is left in any.
void explain(Grid& grid, Differences& differences);
/// The first half of it: duplicates, cache, tier, late, missing.
void explain_quantities(Grid& grid, Differences& differences);
/// The second: rates and rounding.
void explain_money(Grid& grid, Differences& differences);

/// A difference of a cell, without amounts.
[[nodiscard]] Difference difference_of(const Grid& grid, const Cell& cell, Type type);
/// `1,234 input tokens`.
[[nodiscard]] std::string quantity_text(Int128 quantity_pico, const Series& series);
/// A period as people write it: `2026-11-01 05:00`, `2026-11-01`, `2026-11-01 to 2026-11-30`.
[[nodiscard]] std::string period_text(const Period& at);
/// `claude-sonnet-4.5 cache_read, batch`.
[[nodiscard]] std::string series_text(const Series& series);

}  // namespace entrepot::reconcile
