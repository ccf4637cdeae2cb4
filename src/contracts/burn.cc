#include "contracts/burn.h"

#include <algorithm>

#include "contracts/capacity.h"

namespace entrepot::contracts {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;

/// `amount` x `ratio`, to the nearest pico-unit.
Result<Money> share(Money amount, const Ratio& ratio) {
    Int128 product = 0;
    if (__builtin_mul_overflow(amount.pico(), Int128{ratio.numerator}, &product))
        return fail(ErrorCode::kOverflow, "a share of an amount leaves 128 bits");
    return divide(product, ratio.denominator, {});
}

/// Eligible spend, by how it counts.
struct Spend {
    Money direct;
    Money market;  ///< before share and cap
};

Result<Spend> spend_of(
    const Contract& contract, std::span<const Bought> bought, Instant begin, Instant end) {
    const Commitment& commitment = *contract.commitment;
    Spend spend;
    for (const Bought& row : bought) {
        if (!is_within(row.day, begin, end) || !contract.covers(row.place()) ||
            !commitment.eligible.takes(row.place()))
            continue;
        const bool is_market =
            commitment.marketplace && commitment.marketplace->bought.takes(row.place());
        (is_market ? spend.market : spend.direct) += row.cost;
    }
    for (const Provisioned& capacity : contract.provisioned) {
        ENTREPOT_TRY(const Money fee, fee_of(contract, capacity, begin, end));
        spend.direct += fee;
    }
    const std::int64_t days = std::max<std::int64_t>((end - begin).count(), 0) / kDay;
    Int128 elsewhere = 0;
    if (__builtin_mul_overflow(commitment.elsewhere_per_day.pico(), Int128{days}, &elsewhere))
        return fail(ErrorCode::kOverflow, "the spend of elsewhere leaves 128 bits");
    spend.direct += Money::from_pico(elsewhere);
    return spend;
}

Result<Money> market_part(const Commitment& commitment, Money market, Money amount) {
    if (!commitment.marketplace) return Money();
    ENTREPOT_TRY(const Money counts, share(market, commitment.marketplace->counts));
    if (!commitment.marketplace->cap) return counts;
    ENTREPOT_TRY(const Money cap, share(amount, *commitment.marketplace->cap));
    return std::min(counts, cap);
}

/// The amount at the end of `whole`, at the pace of `elapsed`. In seconds: pico-units of the
/// largest contracts times nanoseconds of the longest would leave 128 bits.
Result<Money> at_pace(Money amount, std::int64_t elapsed, std::int64_t whole) {
    Int128 product = 0;
    if (__builtin_mul_overflow(amount.pico(), Int128{whole}, &product))
        return fail(ErrorCode::kOverflow, "the forecast of a commitment leaves 128 bits");
    return divide(product, elapsed, {});
}

Status forecast(const Contract& contract, const Spend& spend, Instant until, Burn& burn) {
    const Commitment& commitment = *contract.commitment;
    const std::int64_t elapsed = (until - burn.window.begin).count() / kSecond;
    const std::int64_t whole = (burn.window.end - burn.window.begin).count() / kSecond;
    burn.has_forecast = elapsed > 0;
    if (!burn.has_forecast) return {};
    ENTREPOT_TRY(const Money direct, at_pace(spend.direct, elapsed, whole));
    ENTREPOT_TRY(const Money market, at_pace(spend.market, elapsed, whole));
    ENTREPOT_TRY(const Money counts, market_part(commitment, market, burn.window.amount));
    burn.forecast = direct + counts;
    if (burn.forecast < burn.window.amount) burn.shortfall = burn.window.amount - burn.forecast;
    ENTREPOT_TRY(burn.charge, share(burn.shortfall, commitment.shortfall.charged));
    ENTREPOT_TRY(burn.returned, share(burn.charge, commitment.shortfall.returned));
    return {};
}

Burn::State state_of(const Burn& burn, Instant now) {
    if (now < burn.window.begin) return Burn::State::kAhead;
    if (burn.remaining.is_zero()) return Burn::State::kMet;
    if (now >= burn.window.end) return Burn::State::kMissed;
    return burn.has_forecast && !burn.shortfall.is_zero() ? Burn::State::kBehind
                                                          : Burn::State::kOnTrack;
}

/// With invoices, a month counts when it has ended.
Instant counted_until(const Commitment& commitment, Instant until, Instant now) {
    if (commitment.counts_on == CountsOn::kUse) return until;
    return std::min(until, TimeZone::utc().period_of(PeriodKind::kMonth, now).begin);
}

}  // namespace

bool is_within(Instant day, Instant begin, Instant end) {
    return day + nanoseconds(kDay) > begin && day < end;
}

std::string_view burn_state_name(Burn::State state) {
    switch (state) {
        case Burn::State::kAhead: return "ahead";
        case Burn::State::kOnTrack: return "on_track";
        case Burn::State::kBehind: return "behind";
        case Burn::State::kMet: return "met";
        case Burn::State::kMissed: return "missed";
    }
    return "ahead";
}

Result<std::vector<Burn>> burn_of(
    const Contract& contract, std::span<const Bought> bought, Instant now) {
    std::vector<Burn> burns;
    if (!contract.commitment) return burns;
    const Commitment& commitment = *contract.commitment;
    for (const Window& window : windows_of(commitment, contract.from, contract.to)) {
        Burn burn;
        burn.window = window;
        const Instant until = std::clamp(now, window.begin, window.end);
        ENTREPOT_TRY(const Spend spend, spend_of(contract, bought, window.begin, until));
        ENTREPOT_TRY(burn.marketplace, market_part(commitment, spend.market, window.amount));
        burn.spent = spend.direct + burn.marketplace;
        const Instant counted = std::max(window.begin, counted_until(commitment, until, now));
        ENTREPOT_TRY(const Spend invoiced, spend_of(contract, bought, window.begin, counted));
        ENTREPOT_TRY(burn.counted, market_part(commitment, invoiced.market, window.amount));
        burn.counted += invoiced.direct;
        if (burn.spent < window.amount) burn.remaining = window.amount - burn.spent;
        burn.days_left = ((window.end - until).count() + kDay - 1) / kDay;
        ENTREPOT_TRY_DO(forecast(contract, spend, until, burn));
        burn.state = state_of(burn, now);
        burns.push_back(burn);
    }
    return burns;
}

}  // namespace entrepot::contracts
