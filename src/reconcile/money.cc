#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include "base/check.h"
#include "catalog/catalog.h"
#include "reconcile/bill_time.h"
#include "reconcile/cells.h"

// Then money: what a cell's quantity costs by the books, against what the bill asks for it.

namespace entrepot::reconcile {
namespace {

/// What one factor between two prices means.
struct Factor {
    Type type;
    Ratio ratio;
    std::string_view what;
};

/// Those that sellers use everywhere; a catalogue row that fits says more and is asked first.
constexpr std::array<Factor, 8> kFactors{{
    {Type::kUplift, {11, 10}, "a tenth more, the surcharge of a region or residency"},
    {Type::kUplift, {10, 11}, "without the tenth of a region or residency"},
    {Type::kUplift, {6, 5}, "a fifth more, the surcharge of a government region"},
    {Type::kUplift, {5, 6}, "without the fifth of a government region"},
    {Type::kTier, {1, 2}, "half, the price of batch or flex"},
    {Type::kTier, {2, 1}, "double, the price of priority, or of standard where batch was booked"},
    {Type::kTier, {6, 1}, "six times, the price of the fast mode"},
    {Type::kTier, {1, 6}, "a sixth, as if the fast mode had not been asked for"},
}};

std::optional<Money> times(Money money, const Ratio& ratio) {
    Int128 product = 0;
    if (__builtin_mul_overflow(money.pico(), static_cast<Int128>(ratio.numerator), &product))
        return std::nullopt;
    return Money::from_pico(product / ratio.denominator);
}

class Moneys {
public:
    Moneys(Grid& grid, Differences& differences) : grid_(grid), differences_(differences) {}
    void run();

private:
    struct Verdict {
        Type type = Type::kUnknown;
        std::string why;
    };
    [[nodiscard]] const Series& series_of(const Cell& cell) const {
        return grid_.series[cell.series];
    }
    [[nodiscard]] Money allowance(const Cell& cell, Money expected) const;
    [[nodiscard]] Verdict judge(const Cell& cell);
    [[nodiscard]] std::optional<Verdict> judge_factor(
        const Cell& cell, Money expected, Money actual) const;
    [[nodiscard]] std::optional<Verdict> judge_catalogue(
        const Cell& cell, Money expected, Money actual);
    [[nodiscard]] std::optional<Verdict> judge_neighbours(const Cell& cell, Money actual) const;
    [[nodiscard]] Verdict judge_steady(const Cell& cell) const;
    void take_late(std::span<Cell> cells);
    void give(Cell& cell, Verdict verdict);

    Grid& grid_;
    Differences& differences_;
    /// By seller and model; made when it is first needed.
    std::map<std::tuple<std::string_view, std::string_view>, std::vector<const catalog::Offer*>>
        offers_;
    /// Cells of one model in one hour, for prices of other meters.
    std::map<std::tuple<std::string_view, std::string_view, std::int64_t>,
        std::vector<std::uint32_t>>
        hours_;
};

/// How far rounding can take a cell: a unit of the bill's last decimal for each of its lines, a
/// pico-unit for each of the books', and what our own division leaves.
Money Moneys::allowance(const Cell& cell, Money expected) const {
    Int128 sum = grid_.cost_unit.pico() * std::max<std::uint32_t>(cell.billed.lines, 1);
    sum += cell.booked.charges + 2;
    sum += magnitude(cell.billed.quantity_pico) / 1'000'000'000'000 / 1'000'000;
    // Never so much that a difference of price hides in it.
    if (const Int128 most = magnitude(expected.pico()) / 100;
        sum > most && magnitude(cell.dm.pico()) > grid_.cost_unit.pico() * cell.billed.lines)
        sum = std::max<Int128>(most, cell.booked.charges + 2);
    return Money::from_pico(sum);
}

std::optional<Moneys::Verdict> Moneys::judge_factor(
    const Cell& cell, Money expected, Money actual) const {
    const Money slack = allowance(cell, expected);
    for (const Factor& factor : kFactors) {
        const auto wanted = times(expected, factor.ratio);
        if (!wanted || magnitude((actual - *wanted).pico()) > slack.pico()) continue;
        return Verdict{factor.type,
            fmt::format(
                "billed at {} times the booked price: {}", factor.ratio.to_string(), factor.what)};
    }
    return std::nullopt;
}

/// Two list prices of the model, of the tier that was booked and of another, with the bill's factor
/// between them: so it shows under a discount too.
std::optional<Moneys::Verdict> Moneys::judge_catalogue(
    const Cell& cell, Money expected, Money actual) {
    if (offers_.empty())
        for (const catalog::Offer& offer : catalog::Catalog::embedded().offers())
            offers_[{offer.seller, offer.model}].push_back(&offer);
    const Series& series = series_of(cell);
    const auto offers = offers_.find({series.seller, series.model});
    if (offers == offers_.end() || series.meter == kAny) return std::nullopt;
    const Money slack = allowance(cell, expected);
    const auto is_booked = [&](const catalog::Rate& rate) {
        return (series.tier == kAny || static_cast<std::uint8_t>(rate.tier) == series.tier) &&
            (rate.ctx_over > 0) == (series.is_long == 1);
    };
    const auto applies = [&](const catalog::Rate& rate) {
        return static_cast<std::uint8_t>(rate.meter) == series.meter && rate.price.pico() > 0 &&
            rate.from <= cell.at.begin && cell.at.begin < rate.to;
    };
    for (const catalog::Offer* offer : offers->second) {
        const auto rates = catalog::Catalog::embedded().rates(*offer);
        const auto own = std::ranges::find_if(
            rates, [&](const catalog::Rate& rate) { return applies(rate) && is_booked(rate); });
        if (own == rates.end()) continue;
        for (const catalog::Rate& rate : rates) {
            if (!applies(rate) || is_booked(rate)) continue;
            const auto wanted = times(expected, {rate.price.pico(), own->price.pico()});
            if (!wanted || magnitude((actual - *wanted).pico()) > slack.pico()) continue;
            return Verdict{Type::kTier,
                fmt::format("billed at the price of {}{}", catalog::tier_name(rate.tier),
                    rate.ctx_over > 0 ? " for long prompts" : "")};
        }
    }
    return std::nullopt;
}

/// The price that the books have for another kind of prompt token in the same hour.
std::optional<Moneys::Verdict> Moneys::judge_neighbours(const Cell& cell, Money actual) const {
    const Series& series = series_of(cell);
    if (series.meter > static_cast<std::uint8_t>(Meter::kCacheWriteLong)) return std::nullopt;
    const auto hour = hours_.find({series.seller, series.model, cell.at.begin.ns});
    if (hour == hours_.end()) return std::nullopt;
    for (const std::uint32_t number : hour->second) {
        const Cell& other = grid_.cells[number];
        const Series& its = series_of(other);
        const bool is_rival = its.meter != series.meter && its.tier == series.tier &&
            its.is_long == series.is_long && its.region == series.region &&
            its.meter <= static_cast<std::uint8_t>(Meter::kCacheWriteLong);
        const auto rate =
            is_rival ? rate_of(other.booked.cost, other.booked.quantity_pico) : std::nullopt;
        const auto cost = rate ? money_of(cell.billed.quantity_pico, *rate) : std::nullopt;
        if (!cost || magnitude((actual - *cost).pico()) > allowance(cell, actual).pico()) continue;
        return Verdict{Type::kCache,
            fmt::format("billed at the price of {}", canon::meter_name(Meter(its.meter)))};
    }
    return std::nullopt;
}

/// Without quantities a price can only be told by its being the same wrong one everywhere.
Moneys::Verdict Moneys::judge_steady(const Cell& cell) const {
    std::uint32_t alike = 0;
    const auto range = std::ranges::equal_range(
        grid_.cells, cell.series, {}, [](const Cell& c) { return c.series; });
    for (const Cell& other : range) {
        if (&other == &cell) continue;
        if (other.booked.cost.is_zero() || other.dm.is_zero()) continue;
        // a / b = c / d, within a part in a million.
        Int128 left = 0, right = 0;
        if (__builtin_mul_overflow(
                other.billed.cost.pico() / 1'000, cell.booked.cost.pico() / 1'000, &left) ||
            __builtin_mul_overflow(
                cell.billed.cost.pico() / 1'000, other.booked.cost.pico() / 1'000, &right))
            continue;
        if (magnitude(left - right) <= magnitude(right) / 1'000'000) ++alike;
        if (alike >= 2) break;
    }
    if (alike >= 2) return {Type::kRate, "billed at one other price throughout"};
    return {Type::kUnknown, "nothing explains it; ask the seller with this SKU and time"};
}

Moneys::Verdict Moneys::judge(const Cell& cell) {
    const Series& series = series_of(cell);
    const Money actual = cell.booked.cost + cell.dm;  // what is not explained otherwise left out
    if (!cell.has_quantity) {
        if (cell.booked.lines == 0)
            return {Type::kMissing,
                series.sku.empty() ? "billed, not in the books; was it used past the gateway?"
                                   : "billed, and nothing that the gateway meters"};
        if (cell.billed.lines == 0) return {Type::kMissing, "booked, not on the bill"};
        if (magnitude(cell.dm.pico()) <= allowance(cell, cell.booked.cost).pico())
            return {Type::kRounding, {}};
        if (cell.billed.cost == cell.booked.cost + cell.booked.cost && cell.billed.lines > 1)
            return {Type::kDuplicate, "billed twice over"};
        if (auto verdict = judge_factor(cell, cell.booked.cost, actual)) return *verdict;
        return judge_steady(cell);
    }
    // At the books' price, all that was billed and is not explained by quantity.
    const auto booked_rate = rate_of(cell.booked.cost, cell.booked.quantity_pico);
    if (cell.booked.cost.is_zero() && !cell.dm.is_zero())
        return {Type::kRate,
            fmt::format("billed at {} per million, and the books have no price for it",
                decimal_text(rate_of(actual, cell.billed.quantity_pico).value_or(0)))};
    if (!booked_rate) return {Type::kUnknown, "no quantity in the books to price it by"};
    const Int128 quantity =
        cell.billed.quantity_pico - (cell.was_moved ? cell.billed.twice_pico : 0);
    const Money expected = money_of(quantity, *booked_rate).value_or(cell.booked.cost);
    if (magnitude(cell.dm.pico()) <= allowance(cell, expected).pico()) return {Type::kRounding, {}};
    const Money asked = expected + cell.dm;
    if (auto verdict = judge_neighbours(cell, asked)) return *verdict;
    if (auto verdict = judge_catalogue(cell, expected, asked)) return *verdict;
    if (auto verdict = judge_factor(cell, expected, asked)) return *verdict;
    const auto billed_rate = rate_of(asked, quantity);
    return {Type::kRate,
        fmt::format("billed at {} per million, booked at {}", decimal_text(billed_rate.value_or(0)),
            decimal_text(*booked_rate))};
}

void Moneys::give(Cell& cell, Verdict verdict) {
    Difference found = difference_of(grid_, cell, verdict.type);
    found.amount = cell.dm;
    cell.dm = Money{};
    const Series& series = series_of(cell);
    switch (verdict.type) {
        case Type::kRounding:
            found.why =
                fmt::format("{}: sums were rounded at different places", series_text(series));
            break;
        case Type::kMissing:
            found.is_disputable = cell.booked.lines == 0;
            found.is_pending =
                cell.billed.lines == 0 && (cell.is_gap || cell.at.end > grid_.still_due);
            found.why =
                fmt::format("{} on {}: {}", series_text(series), period_text(cell.at), verdict.why);
            break;
        default:
            found.is_disputable = !cell.booked.cost.is_zero() || cell.booked.lines == 0;
            found.why = fmt::format("{}: {}", series_text(series), verdict.why);
    }
    const bool stands_alone = verdict.type == Type::kUnknown || verdict.type == Type::kDuplicate ||
        (verdict.type == Type::kMissing && series.sku.empty());
    std::string key;
    if (!stands_alone)
        key = fmt::format("m{}\n{}\n{}", static_cast<int>(verdict.type), cell.series,
            verdict.type == Type::kMissing ? std::string() : verdict.why);
    differences_.add(std::move(key), std::move(found), cell.billed.lines);
}

/// Money without quantities: a sum that is short at one time and over at a later one.
void Moneys::take_late(std::span<Cell> cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
        Cell& from = cells[i];
        if (from.has_quantity || !from.dm.is_negative() || from.booked.lines == 0) continue;
        for (std::size_t j = i + 1; j < cells.size(); ++j) {
            Cell& to = cells[j];
            if (to.at.begin.ns - from.at.begin.ns > grid_.late_ns) break;
            if (to.has_quantity || to.dm.is_zero() || to.dm.is_negative()) continue;
            const Money sum = to.dm + from.dm;
            if (magnitude(sum.pico()) > 2 * allowance(to, from.booked.cost).pico()) continue;
            Difference found = difference_of(grid_, to, Type::kLate);
            found.amount = sum;
            found.why = fmt::format("{} of {} is billed on {}", series_text(series_of(to)),
                period_text(from.at), period_text(to.at));
            from.dm = to.dm = Money{};
            differences_.add({}, std::move(found), to.billed.lines);
            break;
        }
    }
}

void Moneys::run() {
    for (std::uint32_t i = 0; i < grid_.cells.size(); ++i) {
        const Series& series = series_of(grid_.cells[i]);
        hours_[{series.seller, series.model, grid_.cells[i].at.begin.ns}].push_back(i);
    }
    grid_.for_series([this](std::span<Cell> cells) { take_late(cells); });
    // All are judged before any is given: a steady factor shows in cells side by side.
    std::vector<std::pair<std::uint32_t, Verdict>> verdicts;
    for (std::uint32_t i = 0; i < grid_.cells.size(); ++i)
        if (!grid_.cells[i].dm.is_zero()) verdicts.emplace_back(i, judge(grid_.cells[i]));
    for (auto& [number, verdict] : verdicts) give(grid_.cells[number], std::move(verdict));
}

}  // namespace

void explain_money(Grid& grid, Differences& differences) { Moneys(grid, differences).run(); }

}  // namespace entrepot::reconcile
