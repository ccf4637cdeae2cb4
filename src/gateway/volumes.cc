#include "gateway/volumes.h"

#include <algorithm>
#include <unordered_map>

#include "contracts/standing.h"
#include "store/charge_query.h"

namespace entrepot::gateway {
namespace {

constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;

Period period_of(const VolumeCounter& counter, Instant at) {
    return TimeZone::utc().period_of(counter.per, at);
}

}  // namespace

Volumes::Key Volumes::key_of(const VolumeCounter& counter, Instant at) {
    return {counter.key, period_of(counter, at).begin.ns};
}

void Volumes::forget_old(const std::string& counter) {
    const auto first = counted_.lower_bound({counter, INT64_MIN});
    const auto end = counted_.upper_bound({counter, INT64_MAX});
    const auto periods = static_cast<std::size_t>(std::distance(first, end));
    if (periods > kPeriodsMax) counted_.erase(first);  // keys ascend: the oldest
}

Status Volumes::load(const State& state, store::Books& books, Instant at) {
    if (state.volume_counters.empty()) return {};
    std::vector<Period> periods;
    store::ChargeQuery query{{INT64_MAX}, {INT64_MIN}, {}, {}};
    for (const VolumeCounter& counter : state.volume_counters) {
        periods.push_back(period_of(counter, at));
        query.since = std::min(query.since, periods.back().begin);
        query.until = std::max(query.until, periods.back().end);
    }
    std::unordered_map<ledger::NameId, std::uint32_t> offers;
    for (std::uint32_t i = 0; i < state.table.size(); ++i)
        offers.emplace(state.offers[i].route.offer, i);
    for (const contracts::Contract& contract : state.settings.contracts)
        if (!contract.volumes.empty()) {
            ENTREPOT_TRY(const ledger::NameId name, books.name(contract.name));
            query.contracts.push_back(name);
        }
    std::vector<Int128> counts(state.volume_counters.size());
    ENTREPOT_TRY_DO(books.checkpoint());
    ENTREPOT_TRY_DO(
        store::read_charges(books.folder(), query, [&](const store::DayCharge& row) -> Status {
            const auto offer = offers.find(row.dimensions.route.offer);
            if (offer == offers.end() || row.meter >= canon::kMeterCount || row.quantity <= 0)
                return {};
            const pricing::RateCard* const card = state.table.offer(offer->second).card.get();
            if (card == nullptr) return {};
            return contracts::count_line(
                {{static_cast<catalog::Tier>(row.dimensions.tier), row.dimensions.ctx_over,
                     static_cast<canon::Meter>(row.meter), row.quantity},
                    row.list_cost, Instant{row.day * kDayNs}},
                *card, periods, counts);
        }));
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counted_[{state.volume_counters[i].key, periods[i].begin.ns}] = counts[i];
        forget_old(state.volume_counters[i].key);
    }
    return {};
}

Result<std::span<const Int128>> Volumes::running(
    const State& state, store::Books& books, Instant dispatch) {
    scratch_.assign(state.volume_counters.size(), 0);
    for (std::size_t i = 0; i < scratch_.size(); ++i) {
        auto found = counted_.find(key_of(state.volume_counters[i], dispatch));
        if (found == counted_.end()) {
            ENTREPOT_TRY_DO(load(state, books, dispatch));
            found = counted_.find(key_of(state.volume_counters[i], dispatch));
        }
        scratch_[i] = found == counted_.end() ? 0 : found->second;
    }
    return std::span<const Int128>(scratch_);
}

bool Volumes::knows(const State& state, Instant dispatch) const {
    return std::ranges::all_of(state.volume_counters,
        [&](const VolumeCounter& counter) { return counted_.contains(key_of(counter, dispatch)); });
}

void Volumes::add(const State& state, Instant dispatch, const pricing::ChargeLine& line) {
    if (!line.is_stepped || line.counter >= state.volume_counters.size()) return;
    const auto found = counted_.find(key_of(state.volume_counters[line.counter], dispatch));
    if (found != counted_.end()) found->second += line.counted();
}

}  // namespace entrepot::gateway
