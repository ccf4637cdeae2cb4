#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include "base/check.h"
#include "reconcile/bill_time.h"
#include "reconcile/cells.h"

// Quantities first. What was counted elsewhere (another meter, tier, region or hour) is found by a
// surplus and a deficit that are equal; then by those that are not; the rest is on one side alone.

namespace entrepot::reconcile {
namespace {

/// Cells of one kind, by number.
using Numbers = std::vector<std::uint32_t>;

bool is_prompt_meter(std::uint8_t meter) {
    switch (static_cast<Meter>(meter)) {
        case Meter::kInput:
        case Meter::kCacheRead:
        case Meter::kCacheWrite:
        case Meter::kCacheWriteLong: return true;
        default: return false;
    }
}

class Quantities {
public:
    Quantities(Grid& grid, Differences& differences) : grid_(grid), differences_(differences) {}

    void run() {
        for (Cell& cell : grid_.cells) take_repeated_lines(cell);
        take_unknown_usage();
        for_rivals([&](const Numbers& cells) { take_cache(cells, true); }, kSameButMeter);
        for_rivals([&](const Numbers& cells) { take_pairs(cells, Type::kTier); }, kSameButTier);
        for_rivals([&](const Numbers& cells) { take_pairs(cells, Type::kUplift); }, kSameButRegion);
        grid_.for_series([&](std::span<Cell> cells) { take_late(cells, true); });
        for (Cell& cell : grid_.cells) take_doubled(cell);
        for_rivals([&](const Numbers& cells) { take_cache(cells, false); }, kSameButMeter);
        grid_.for_series([&](std::span<Cell> cells) { take_late(cells, false); });
        for (Cell& cell : grid_.cells) take_missing(cell);
    }

private:
    enum Sameness : std::uint8_t { kSameButMeter, kSameButTier, kSameButRegion };

    [[nodiscard]] const Series& series_of(const Cell& cell) const {
        return grid_.series[cell.series];
    }
    [[nodiscard]] Money worth(const Cell& cell, Int128 quantity_pico) const;
    Money take(Cell& cell, Int128 quantity_pico);
    void take_repeated_lines(Cell& cell);
    void take_unknown_usage();
    void take_doubled(Cell& cell);
    void take_missing(Cell& cell);
    void take_cache(const Numbers& numbers, bool only_exact);
    void take_pairs(const Numbers& numbers, Type type);
    void take_late(std::span<Cell> cells, bool only_exact);
    void move_late(Cell& from, Cell& to, Int128 quantity_pico);
    void for_rivals(const std::function<void(const Numbers&)>& visit, Sameness sameness);

    Grid& grid_;
    Differences& differences_;
};

/// What that part of a cell's difference in quantity makes in money, at the books' price; at the
/// bill's where the books have none.
Money Quantities::worth(const Cell& cell, Int128 quantity_pico) const {
    const bool is_booked = cell.booked.quantity_pico != 0;
    const Money cost = is_booked ? cell.booked.cost : cell.billed.cost;
    const Int128 quantity = is_booked ? cell.booked.quantity_pico : cell.billed.quantity_pico;
    if (quantity_pico == quantity) return cost;
    if (quantity_pico == -quantity) return -cost;
    const auto rate = rate_of(cost, quantity);
    const auto money = rate ? money_of(quantity_pico, *rate) : std::nullopt;
    return money.value_or(Money{});
}

Money Quantities::take(Cell& cell, Int128 quantity_pico) {
    // The last part takes what is left where one side has nothing else.
    const bool is_all =
        quantity_pico == cell.dq && (cell.billed.lines == 0 || cell.booked.lines == 0);
    const Money money = is_all ? cell.dm : worth(cell, quantity_pico);
    cell.dq -= quantity_pico;
    cell.dm -= money;
    cell.was_moved = true;
    return money;
}

/// Lines that say the same as one before, where the books have the quantity once.
void Quantities::take_repeated_lines(Cell& cell) {
    const BilledSums& billed = cell.billed;
    if (billed.twice_lines == 0) return;
    const bool fits = cell.has_quantity
        ? billed.twice_pico > 0 && cell.dq >= billed.twice_pico
        : billed.twice_cost > Money{} && cell.dm >= billed.twice_cost;
    if (!fits) return;
    Difference found = difference_of(grid_, cell, Type::kDuplicate);
    found.is_disputable = true;
    found.line = billed.twice_line;
    found.quantity_pico = cell.has_quantity ? billed.twice_pico : 0;
    found.amount = billed.twice_cost.is_zero() ? worth(cell, billed.twice_pico) : billed.twice_cost;
    found.why = fmt::format("{} of {} on {}: line {} says the same as one before it ({} more)",
        cell.has_quantity ? quantity_text(billed.twice_pico, series_of(cell)) : "the cost",
        series_text(series_of(cell)), period_text(cell.at), billed.twice_line, billed.twice_lines);
    cell.dq -= found.quantity_pico;
    cell.dm -= found.amount;
    differences_.add({}, std::move(found), billed.twice_lines);
}

/// What the books have without its usage (a hold that a crash left open, or what it was settled at
/// since) against what the bill has more of that model at that time, whatever the meter.
void Quantities::take_unknown_usage() {
    using Place = std::tuple<std::string_view, std::string_view, std::int64_t>;
    std::map<Place, Numbers> places;
    const auto is_unknown = [&](const Cell& cell) {
        return !series_of(cell).sku.empty() && cell.billed.lines == 0;
    };
    const auto place_of = [&](const Cell& cell) {
        return Place{series_of(cell).seller, series_of(cell).model, cell.at.begin.ns};
    };
    for (std::uint32_t i = 0; i < grid_.cells.size(); ++i)
        if (is_unknown(grid_.cells[i])) places[place_of(grid_.cells[i])].push_back(i);
    if (places.empty()) return;
    std::map<Place, Money> billed;
    std::map<Place, std::uint64_t> lines;
    for (Cell& cell : grid_.cells) {
        const Place place = place_of(cell);
        if (!series_of(cell).sku.empty() || !places.contains(place)) continue;
        if (cell.has_quantity ? cell.dq <= 0 : cell.dm <= Money{}) continue;
        lines[place] += cell.billed.lines;
        if (cell.has_quantity) {
            billed[place] += take(cell, cell.dq);
        } else {
            billed[place] += cell.dm;
            cell.dm = Money{};
        }
    }
    for (const auto& [place, numbers] : places) {
        Money booked;
        for (const std::uint32_t number : numbers) {
            booked -= grid_.cells[number].dm;
            grid_.cells[number].dm = Money{};
        }
        const Cell& cell = grid_.cells[numbers.front()];
        Difference found = difference_of(grid_, cell, Type::kMissing);
        found.amount = billed[place] - booked;
        if (found.amount.is_zero()) continue;
        found.is_pending = true;
        found.why = fmt::format(
            "{} of {} on {} is booked without its usage, and the bill has {} "
            "more than the books know of; `ledger resolve` what a crash left",
            booked.to_decimal(), series_of(cell).model, period_text(cell.at),
            billed[place].to_decimal());
        differences_.add({}, std::move(found), lines[place]);
    }
}

void Quantities::take_doubled(Cell& cell) {
    if (!cell.has_quantity || cell.booked.quantity_pico == 0 || cell.billed.lines < 2) return;
    if (cell.dq <= 0 || cell.dq % cell.booked.quantity_pico != 0) return;
    Difference found = difference_of(grid_, cell, Type::kDuplicate);
    found.is_disputable = true;
    found.quantity_pico = cell.dq;
    const Int128 times = cell.billed.quantity_pico / cell.booked.quantity_pico;
    found.why = fmt::format("{} on {} is billed {} times over: {} booked, {} billed",
        series_text(series_of(cell)), period_text(cell.at), to_string(times),
        quantity_text(cell.booked.quantity_pico, series_of(cell)),
        quantity_text(cell.billed.quantity_pico, series_of(cell)));
    found.amount = take(cell, cell.dq);
    differences_.add({}, std::move(found), cell.billed.lines);
}

void Quantities::take_missing(Cell& cell) {
    if (cell.dq == 0) return;
    const Int128 quantity = cell.dq;
    const bool is_due = quantity < 0 && cell.at.end > grid_.still_due;
    Difference found = difference_of(grid_, cell, is_due ? Type::kLate : Type::kMissing);
    found.quantity_pico = quantity;
    found.amount = take(cell, quantity);
    found.is_pending = quantity < 0 && (is_due || cell.is_gap);
    const std::string what =
        fmt::format("{} of {} on {}", quantity_text(magnitude(quantity), series_of(cell)),
            series_text(series_of(cell)), period_text(cell.at));
    if (quantity > 0) {
        found.is_disputable = cell.booked.lines == 0;
        found.why =
            fmt::format("{}: billed, not in the books; was it used past the gateway?", what);
    } else if (cell.booked.is_unverified) {
        found.why = fmt::format(
            "{}: booked at a hold that a crash left open, and not billed; `ledger resolve` it",
            what);
    } else if (is_due) {
        found.why = fmt::format("{}: booked, and not billed yet when the bill was exported", what);
    } else {
        found.why = fmt::format("{}: booked, not on the bill", what);
    }
    differences_.add({}, std::move(found), cell.billed.lines);
}

/// Prompt tokens of one hour that both sides count, but as different kinds.
void Quantities::take_cache(const Numbers& numbers, bool only_exact) {
    Int128 surplus = 0, deficit = 0;
    bool has_cache = false;
    for (const std::uint32_t number : numbers) {
        const Cell& cell = grid_.cells[number];
        if (cell.dq == 0 || !is_prompt_meter(series_of(cell).meter)) continue;
        (cell.dq > 0 ? surplus : deficit) += magnitude(cell.dq);
        has_cache = has_cache || series_of(cell).meter != static_cast<std::uint8_t>(Meter::kInput);
    }
    if (surplus == 0 || deficit == 0 || !has_cache || (only_exact && surplus != deficit)) return;
    Int128 left_up = std::min(surplus, deficit), left_down = left_up;
    const Int128 moved = left_up;
    Difference found;
    std::string from, to;
    std::uint64_t lines = 0;
    for (const std::uint32_t number : numbers) {
        Cell& cell = grid_.cells[number];
        if (cell.dq == 0 || !is_prompt_meter(series_of(cell).meter)) continue;
        Int128& left = cell.dq > 0 ? left_up : left_down;
        const Int128 part = std::min(magnitude(cell.dq), left);
        if (part == 0) continue;
        std::string& side = cell.dq > 0 ? to : from;
        side += fmt::format(
            "{}{}", side.empty() ? "" : " and ", canon::meter_name(Meter(series_of(cell).meter)));
        if (found.seller.empty()) found = difference_of(grid_, cell, Type::kCache);
        left -= part;
        lines += cell.billed.lines;
        found.amount += take(cell, cell.dq > 0 ? part : -part);
    }
    found.meter = to;
    const Series& series = series_of(grid_.cells[numbers.front()]);
    found.why = fmt::format("{} of {} on {}: booked as {}, billed as {}",
        quantity_text(moved, Series{}), series.model, period_text(found.at), from, to);
    differences_.add({}, std::move(found), lines);
}

/// A deficit and an equal surplus of one meter in one hour.
void Quantities::take_pairs(const Numbers& numbers, Type type) {
    for (const std::uint32_t i : numbers) {
        for (const std::uint32_t j : numbers) {
            Cell &from = grid_.cells[i], &to = grid_.cells[j];
            if (from.dq >= 0 || to.dq != -from.dq) continue;
            const Int128 quantity = to.dq;
            Difference found = difference_of(grid_, to, type);
            found.cloud = from.booked.cloud;
            found.offer = from.booked.offer;
            found.is_disputable = true;
            found.why = fmt::format("{} on {}: booked as {}, billed as {}",
                quantity_text(quantity, series_of(to)), period_text(to.at),
                series_text(series_of(from)), series_text(series_of(to)));
            // At the books' price it left with, and the bill's it came with.
            found.amount = take(from, -quantity);
            found.amount += take(to, quantity);
            differences_.add({}, std::move(found), from.billed.lines + to.billed.lines);
        }
    }
}

void Quantities::move_late(Cell& from, Cell& to, Int128 quantity_pico) {
    Difference found = difference_of(grid_, to, Type::kLate);
    if (found.offer.empty()) {
        found.cloud = from.booked.cloud;
        found.offer = from.booked.offer;
    }
    found.why = fmt::format("{} of {} used on {} is billed on {}",
        quantity_text(quantity_pico, series_of(to)), series_text(series_of(to)),
        period_text(from.at), period_text(to.at));
    found.at = {std::min(from.at.begin, to.at.begin), std::max(from.at.end, to.at.end)};
    found.amount = take(from, -quantity_pico);
    found.amount += take(to, quantity_pico);
    differences_.add({}, std::move(found), to.billed.lines);
}

/// Cells of one series, by time: what is short in one and over in a later one (or the hour before).
void Quantities::take_late(std::span<Cell> cells, bool only_exact) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
        Cell& from = cells[i];
        if (from.dq >= 0) continue;
        const bool may_be_early = from.at.end.ns - from.at.begin.ns <= kHourNs && i > 0 &&
            cells[i - 1].at.end == from.at.begin;
        const std::size_t begin = may_be_early ? i - 1 : i;
        for (std::size_t j = begin; j < cells.size() && from.dq < 0; ++j) {
            Cell& to = cells[j];
            if (to.at.begin.ns - from.at.begin.ns > grid_.late_ns) break;
            if (to.dq <= 0 || (only_exact && to.dq != -from.dq)) continue;
            move_late(from, to, std::min(to.dq, -from.dq));
        }
    }
}

/// Cells with differences that share everything but one attribute.
void Quantities::for_rivals(const std::function<void(const Numbers&)>& visit, Sameness sameness) {
    using Place = std::tuple<std::string_view, std::string_view, std::uint8_t, std::uint8_t,
        std::uint8_t, std::string_view, std::int64_t>;
    std::map<Place, Numbers> groups;
    for (std::uint32_t i = 0; i < grid_.cells.size(); ++i) {
        const Cell& cell = grid_.cells[i];
        if (cell.dq == 0) continue;
        const Series& series = series_of(cell);
        if (series.meter == kAny) continue;
        const bool any_tier = sameness == kSameButTier;
        groups[{series.seller, series.model, sameness == kSameButMeter ? kAny : series.meter,
                   any_tier ? kAny : series.tier, any_tier ? kAny : series.is_long,
                   sameness == kSameButRegion ? std::string_view() : series.region,
                   cell.at.begin.ns}]
            .push_back(i);
    }
    for (const auto& [place, numbers] : groups)
        if (numbers.size() > 1) visit(numbers);
}

}  // namespace

void explain_quantities(Grid& grid, Differences& differences) {
    Quantities(grid, differences).run();
}

}  // namespace entrepot::reconcile
