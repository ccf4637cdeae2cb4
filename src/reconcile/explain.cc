#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/check.h"
#include "reconcile/bill_time.h"
#include "reconcile/cells.h"

namespace entrepot::reconcile {

void Grid::for_series(const std::function<void(std::span<Cell>)>& visit) {
    std::span<Cell> rest(cells);
    while (!rest.empty()) {
        const std::uint32_t first = rest.front().series;
        const auto end =
            std::ranges::find_if(rest, [&](const Cell& cell) { return cell.series != first; });
        const auto size = static_cast<std::size_t>(end - rest.begin());
        visit(rest.first(size));
        rest = rest.subspan(size);
    }
}

void Differences::add(std::string key, Difference difference, std::uint64_t bill_lines) {
    if (!key.empty()) {
        const auto [at, is_new] = joined_.emplace(std::move(key), entries_.size());
        if (!is_new) {
            Entry& entry = entries_[at->second];
            Difference& sum = entry.difference;
            sum.amount += difference.amount;
            sum.quantity_pico += difference.quantity_pico;
            sum.cells += difference.cells;
            sum.at.begin = std::min(sum.at.begin, difference.at.begin);
            sum.at.end = std::max(sum.at.end, difference.at.end);
            if (sum.line == 0 || (difference.line != 0 && difference.line < sum.line))
                sum.line = difference.line;
            entry.bill_lines += bill_lines;
            return;
        }
    }
    entries_.push_back({std::move(difference), bill_lines});
}

void Differences::give(
    Report& report, const CompareOptions& options, std::span<const Adjustment> posted) {
    using Place = std::tuple<std::int64_t, std::string, std::string, std::string, Type>;
    std::map<Place, Money> postings;
    for (Entry& entry : entries_) {
        Difference& difference = entry.difference;
        if (difference.cloud.empty()) difference.cloud = options.cloud;
        if (difference.cloud.empty())
            if (const auto only = options.cloud_of_seller.find(difference.seller);
                only != options.cloud_of_seller.end())
                difference.cloud = only->second;
        TypeTotal& total = report.totals[static_cast<std::size_t>(difference.type)];
        ++total.count;
        total.amount += difference.amount;
        if (difference.type == Type::kUnknown)
            report.unknown_lines += std::max<std::uint64_t>(entry.bill_lines, 1);
        if (difference.is_disputable || difference.is_pending || difference.amount.is_zero())
            continue;
        const std::int64_t day = difference.at.begin.ns - difference.at.begin.ns % kDayNs;
        postings[{day, difference.seller, difference.cloud, difference.offer, difference.type}] +=
            difference.amount;
    }
    for (const Adjustment& before : posted) {
        report.adjusted += before.amount;
        postings[{before.day.ns, before.seller, before.cloud, before.offer, before.type}] -=
            before.amount;
    }
    for (const auto& [place, amount] : postings) {
        const auto& [day, seller, cloud, offer, type] = place;
        if (!amount.is_zero())
            report.adjustments.push_back({Instant{day}, seller, cloud, offer, type, amount});
    }
    std::ranges::stable_sort(entries_, [](const Entry& a, const Entry& b) {
        return magnitude(a.difference.amount.pico()) > magnitude(b.difference.amount.pico());
    });
    const std::size_t kept = std::min<std::size_t>(entries_.size(), options.differences_max);
    report.differences_left_out = entries_.size() - kept;
    for (std::size_t i = 0; i < kept; ++i)
        report.differences.push_back(std::move(entries_[i].difference));
    entries_.clear();
    joined_.clear();
}

Difference difference_of(const Grid& grid, const Cell& cell, Type type) {
    const Series& series = grid.series[cell.series];
    Difference difference;
    difference.type = type;
    difference.seller = series.seller;
    difference.cloud = cell.booked.cloud;
    difference.offer = cell.booked.offer;
    difference.model = series.model;
    if (series.meter != kAny)
        difference.meter = std::string(canon::meter_name(Meter(series.meter)));
    difference.at = cell.at;
    difference.line = cell.billed.line;
    return difference;
}

std::string quantity_text(Int128 quantity_pico, const Series& series) {
    std::string number = decimal_text(quantity_pico);
    const auto point = std::min(number.find('.'), number.size());
    const std::size_t first = number.starts_with('-') ? 1 : 0;
    for (std::size_t at = point; at > first + 3;) number.insert(at -= 3, ",");
    const auto meter = static_cast<Meter>(series.meter == kAny ? 0 : series.meter);
    if (meter < Meter::kRequests) return number + " tokens";
    return fmt::format("{} {}", number, canon::meter_name(meter));
}

std::string period_text(const Period& at) {
    const std::int64_t length = at.end.ns - at.begin.ns;
    const std::string begin = to_rfc3339(at.begin);
    if (length <= kHourNs) return begin.substr(0, 10) + " " + begin.substr(11, 5);
    if (length <= kDayNs && at.begin.ns % kDayNs == 0) return begin.substr(0, 10);
    return begin.substr(0, 10) + " to " + to_date(Instant{at.end.ns - 1});
}

std::string series_text(const Series& series) {
    if (!series.sku.empty()) return fmt::format("{} '{}'", series.seller, series.sku);
    std::string out = series.model.empty() ? series.seller : series.model;
    if (series.meter != kAny) out += fmt::format(" {}", canon::meter_name(Meter(series.meter)));
    if (series.tier != kAny && series.tier != 0)
        out += fmt::format(", {}", catalog::tier_name(Tier(series.tier)));
    if (series.is_long == 1) out += ", long prompts";
    if (!series.region.empty()) out += fmt::format(", {}", series.region);
    return out;
}

void explain(Grid& grid, Differences& differences) {
    explain_quantities(grid, differences);
    explain_money(grid, differences);
    for (const Cell& cell : grid.cells) ENTREPOT_CHECK(cell.dq == 0 && cell.dm.is_zero());
}

}  // namespace entrepot::reconcile
