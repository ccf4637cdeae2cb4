#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "routing/offers.h"

namespace entrepot::routing {

enum class Breaker : std::uint8_t { kClosed, kOpen, kHalfOpen };
[[nodiscard]] std::string_view breaker_name(Breaker breaker);

/// When a breaker trips and recovers.
struct BreakerPolicy {
    std::int32_t failures_in_row = 5;
    std::int32_t error_ppm_trip =
        500'000;  ///< smoothed error rate that trips, once `calls_min` were seen
    std::int32_t calls_min = 20;
    nanoseconds open_first = seconds(5);  ///< doubles with each failed probe
    nanoseconds open_max = seconds(60);
    nanoseconds cool_down_default = seconds(1);  ///< after a 429 without retry-after
    nanoseconds cool_down_max = seconds(300);
};

/// How an attempt ended, as far as the offer is to blame.
enum class Outcome : std::uint8_t {
    kServed,       ///< an answer, or an error that is the client's: the supplier works
    kFailed,       ///< 5xx, connect failure, timeout, protocol error, our credentials refused
    kRateLimited,  ///< 429: works, but not now
    kAbandoned,    ///< the client left or we cancelled: says nothing
};

/// One core's memory of how its offers behave. Deterministic; handed the time. Owned by one core.
class Health {
public:
    struct State {
        std::int64_t ttft_ns = 0;    ///< smoothed time to first byte; 0: never measured
        std::int32_t error_ppm = 0;  ///< smoothed share of failed calls, parts per million
        std::int32_t calls = 0;      ///< ended calls, saturating
        std::int32_t failures_in_row = 0;
        std::int32_t in_flight = 0;
        Breaker breaker = Breaker::kClosed;
        bool probing = false;  ///< half-open: the one probe is on its way
        bool is_taken_out = false;
        nanoseconds open_for{0};
        MonotonicTime open_until{};
        MonotonicTime cool_until{};  ///< a 429 asked us to wait
    };

    Health() = default;
    explicit Health(const OfferTable& table, const BreakerPolicy& policy = {});
    /// The state for a new table, keeping what is known of offers that are still there (by
    /// stable_key); what was taken out is back. Attempts under way are counted where they began;
    /// end them there, or here: an end without a beginning is harmless.
    [[nodiscard]] Health carried_to(const OfferTable& before, const OfferTable& after) const;

    [[nodiscard]] const State& of(std::uint32_t offer) const { return states_[offer]; }
    /// Closed, open, or half-open once the time of the open breaker is over.
    [[nodiscard]] Breaker breaker(std::uint32_t offer, MonotonicTime now) const;
    /// May be sent to now: not taken out, breaker closed, or half-open with no probe in flight, and
    /// no cool-down.
    [[nodiscard]] bool is_available(std::uint32_t offer, MonotonicTime now) const;
    /// When it is available again, at the earliest; `now` when it is.
    [[nodiscard]] MonotonicTime available_at(std::uint32_t offer, MonotonicTime now) const;

    /// Its usage went beyond its hold, so nothing bounds what the next request would cost there: no
    /// plan holds it, also not as the last resort, until somebody has looked and configured anew.
    void take_out(std::uint32_t offer) { states_[offer].is_taken_out = true; }

    /// An attempt goes out. Every `began` is followed by exactly one `ended`.
    void began(std::uint32_t offer, MonotonicTime now);
    /// `ttft`: time to the first byte of the answer, when one came. `retry_after`: what a 429 or
    /// 503 asked for.
    void ended(std::uint32_t offer, Outcome outcome, std::optional<nanoseconds> ttft,
        std::optional<nanoseconds> retry_after, MonotonicTime now);

private:
    void trip(State& state, MonotonicTime now);
    static void recover(State& state);

    std::vector<State> states_;
    BreakerPolicy policy_;
};

}  // namespace entrepot::routing
