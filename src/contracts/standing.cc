#include "contracts/standing.h"

#include <algorithm>

namespace entrepot::contracts {
namespace {

/// Whether days of offers say all that the steps count.
bool can_tell(const Contract& contract, const Volume& volume) {
    if (volume.of.tiers != pricing::kAllTiers) return false;
    if (volume.measure == Volume::Measure::kSpend && volume.of.meters != pricing::kAllMeters)
        return false;
    return std::ranges::none_of(contract.prices, [&](const StatedPrices& stated) {
        Selector meters = stated.of;
        meters.meters = 0;
        for (const auto& [meter, price] : stated.prices) meters.meters |= pricing::bit_of(meter);
        return meters.meets(volume.of);
    });
}

/// Capacity serves outside the steps.
bool is_served(const Contract& contract, const Bought& row) {
    return std::ranges::any_of(contract.provisioned, [&](const Provisioned& capacity) {
        return takes(capacity.offers, row.offer) && is_within(row.day, capacity.from, capacity.to);
    });
}

Int128 amount_of(const Volume& volume, const Bought& row) {
    if (volume.measure == Volume::Measure::kSpend) return row.list.pico();
    Int128 units = 0;
    for (std::size_t m = 0; m < canon::kMeterCount; ++m) {
        const auto meter = static_cast<canon::Meter>(m);
        // A part of the output, which is counted already where the steps are of both.
        if (meter == canon::Meter::kReasoning &&
            (volume.of.meters & pricing::bit_of(canon::Meter::kOutput)) != 0)
            continue;
        if ((volume.of.meters & pricing::bit_of(meter)) != 0) units += row.usage.counts[m];
    }
    return units;
}

}  // namespace

Result<std::vector<Standing>> standings_of(
    const Contract& contract, std::span<const Bought> bought, Instant now) {
    std::vector<Standing> standings;
    for (const Volume& volume : contract.volumes) {
        Standing standing;
        standing.period = TimeZone::utc().period_of(volume.per, now);
        standing.is_known = can_tell(contract, volume);
        const Instant begin = std::max(standing.period.begin, contract.from);
        const Instant end = std::min(standing.period.end, contract.to);
        for (const Bought& row : bought) {
            if (!is_within(row.day, begin, end) || !contract.covers(row.place()) ||
                !volume.of.takes(row.place()) || is_served(contract, row))
                continue;
            if (__builtin_add_overflow(standing.counted, amount_of(volume, row), &standing.counted))
                return fail(ErrorCode::kOverflow, "what a volume step counts leaves 128 bits");
        }
        for (const pricing::TermVolume::Step& step : volume.steps)
            if (standing.counted >= step.over) ++standing.reached;
        standings.push_back(standing);
    }
    return standings;
}

}  // namespace entrepot::contracts
