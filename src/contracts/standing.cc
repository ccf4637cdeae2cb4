#include "contracts/standing.h"

namespace entrepot::contracts {

Status count_line(const BookedLine& booked, const pricing::RateCard& card,
    std::span<const Period> periods, std::span<Int128> counts) {
    // A contract that began within the day booked nothing before it began.
    constexpr nanoseconds kDay = std::chrono::hours(24);
    const Instant end_of_day = booked.day + kDay - nanoseconds(1);
    ENTREPOT_TRY(pricing::ChargeLine line, pricing::price_line(booked.line, card, end_of_day));
    if (!line.is_stepped || line.counter >= counts.size() || line.counter >= periods.size())
        return {};
    const Period& period = periods[line.counter];
    if (booked.day < period.begin || booked.day >= period.end) return {};
    line.list = booked.list;
    if (__builtin_add_overflow(counts[line.counter], line.counted(), &counts[line.counter]))
        return fail(ErrorCode::kOverflow, "what a volume step counts leaves 128 bits");
    return {};
}

std::vector<Standing> standings_of(
    const Contract& contract, std::span<const Int128> counted, Instant now) {
    std::vector<Standing> standings;
    for (std::size_t i = 0; i < contract.volumes.size(); ++i) {
        const Volume& volume = contract.volumes[i];
        Standing standing;
        standing.period = TimeZone::utc().period_of(volume.per, now);
        standing.counted = i < counted.size() ? counted[i] : 0;
        for (const pricing::TermVolume::Step& step : volume.steps)
            if (standing.counted >= step.over) ++standing.reached;
        standings.push_back(standing);
    }
    return standings;
}

}  // namespace entrepot::contracts
