#include "routing/health.h"

#include <algorithm>
#include <unordered_map>

namespace entrepot::routing {
namespace {

// A new measurement weighs an eighth: about twenty calls forget the past.
constexpr std::int32_t kWeight = 8;
constexpr std::int32_t kMillion = 1'000'000;
constexpr std::int32_t kCallsMax = 1'000'000'000;

}  // namespace

std::string_view breaker_name(Breaker breaker) {
    switch (breaker) {
        case Breaker::kClosed: return "closed";
        case Breaker::kOpen: return "open";
        case Breaker::kHalfOpen: return "half_open";
    }
    return "closed";
}

Health::Health(const OfferTable& table, const BreakerPolicy& policy)
    : states_(table.size()), policy_(policy) {}

Health Health::carried_to(const OfferTable& before, const OfferTable& after) const {
    std::unordered_map<std::uint64_t, std::uint32_t> known;
    for (std::uint32_t i = 0; i < before.size(); ++i) known.emplace(before.offer(i).stable_key, i);
    Health carried(after, policy_);
    for (std::uint32_t i = 0; i < after.size(); ++i) {
        const auto at = known.find(after.offer(i).stable_key);
        if (at == known.end()) continue;
        carried.states_[i] = states_[at->second];
        // Attempts under way end in the table they began in.
        carried.states_[i].in_flight = 0;
        carried.states_[i].probing = false;
        carried.states_[i].is_taken_out = false;
    }
    return carried;
}

Breaker Health::breaker(std::uint32_t offer, MonotonicTime now) const {
    const State& state = states_[offer];
    if (state.breaker == Breaker::kOpen && now >= state.open_until) return Breaker::kHalfOpen;
    return state.breaker;
}

bool Health::is_available(std::uint32_t offer, MonotonicTime now) const {
    const State& state = states_[offer];
    if (state.is_taken_out || now < state.cool_until) return false;
    if (state.breaker == Breaker::kClosed) [[likely]]
        return true;
    return breaker(offer, now) == Breaker::kHalfOpen && !state.probing;
}

MonotonicTime Health::available_at(std::uint32_t offer, MonotonicTime now) const {
    const State& state = states_[offer];
    MonotonicTime at = std::max(now, state.cool_until);
    if (state.breaker == Breaker::kOpen) at = std::max(at, state.open_until);
    return at;
}

void Health::began(std::uint32_t offer, MonotonicTime now) {
    State& state = states_[offer];
    ++state.in_flight;
    if (state.breaker != Breaker::kClosed && breaker(offer, now) == Breaker::kHalfOpen) {
        state.breaker = Breaker::kHalfOpen;
        state.probing = true;
    }
}

void Health::trip(State& state, MonotonicTime now) {
    state.open_for = state.open_for.count() == 0 ? policy_.open_first
                                                 : std::min(state.open_for * 2, policy_.open_max);
    state.breaker = Breaker::kOpen;
    state.open_until = now + state.open_for;
    state.probing = false;
}

void Health::recover(State& state) {
    state.breaker = Breaker::kClosed;
    state.probing = false;
    state.failures_in_row = 0;
    state.error_ppm = 0;  // else the first failure after a recovery would trip it again
    state.calls = 0;
    state.open_for = nanoseconds(0);
}

void Health::ended(std::uint32_t offer, Outcome outcome, std::optional<nanoseconds> ttft,
    std::optional<nanoseconds> retry_after, MonotonicTime now) {
    State& state = states_[offer];
    if (state.in_flight > 0) --state.in_flight;  // 0: it began before a reload
    const bool was_probe = state.breaker == Breaker::kHalfOpen;
    if (outcome == Outcome::kAbandoned) {
        if (was_probe) {  // it proved nothing; the next may try
            state.probing = false;
            state.breaker = Breaker::kOpen;
        }
        return;
    }
    if (retry_after && outcome != Outcome::kServed)
        state.cool_until = std::max(state.cool_until,
            now + std::clamp(*retry_after, nanoseconds(0), policy_.cool_down_max));
    if (outcome == Outcome::kRateLimited) {
        if (!retry_after)
            state.cool_until = std::max(state.cool_until, now + policy_.cool_down_default);
        if (was_probe) recover(state);  // it answers: busy is not broken
        return;
    }
    if (state.calls < kCallsMax) ++state.calls;
    const std::int32_t error = outcome == Outcome::kFailed ? kMillion : 0;
    // Away from zero, else a rate below eight parts would never decay.
    const std::int32_t step = (error - state.error_ppm) / kWeight;
    state.error_ppm += step != 0 ? step : (error > state.error_ppm) - (error < state.error_ppm);
    if (outcome == Outcome::kServed) {
        state.failures_in_row = 0;
        if (ttft)
            state.ttft_ns +=
                state.ttft_ns == 0 ? ttft->count() : (ttft->count() - state.ttft_ns) / kWeight;
        if (was_probe) recover(state);
        return;
    }
    ++state.failures_in_row;
    const bool too_many = state.failures_in_row >= policy_.failures_in_row;
    const bool too_often =
        state.calls >= policy_.calls_min && state.error_ppm >= policy_.error_ppm_trip;
    // Attempts that were under way when it tripped say nothing new.
    if (state.breaker == Breaker::kOpen) return;
    if (was_probe || too_many || too_often) trip(state, now);
}

}  // namespace entrepot::routing
