#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/money.h"
#include "ledger/types.h"
#include "routing/health.h"

namespace entrepot::gateway {

struct Exchange;

/// One core's counters: written by that core with plain relaxed stores, read by whoever scrapes.
class Metrics {
public:
    static constexpr std::size_t kBuckets = 12;
    /// Upper bounds of the duration buckets, in microseconds.
    static constexpr std::array<std::uint64_t, kBuckets> kBounds_us{1'000, 2'500, 5'000, 10'000,
        25'000, 50'000, 100'000, 250'000, 1'000'000, 5'000'000, 30'000'000, 120'000'000};

    void exchange_ended(const Exchange& x, const ledger::ExchangeClose& facts);
    void attempt_ended(std::string_view offer, routing::Outcome outcome);
    /// Something an operator must see: our credentials refused, a settlement that could not be
    /// booked. Logged at most once a second per core, always counted.
    void alarm(std::string_view where, std::string_view what);
    /// Usage went beyond its hold: the supplier did not enforce the cap it was given.
    void overdraft(std::string_view offer, Money amount);

    /// Prometheus text of the sums over `cores`.
    [[nodiscard]] static std::string render(std::span<const Metrics* const> cores);

private:
    using Counter = std::atomic<std::uint64_t>;
    static void add(Counter& counter, std::uint64_t amount = 1) {
        counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    struct Histogram {
        std::array<Counter, kBuckets + 1> counts{};
        Counter sum_us{0};
        void observe(std::uint64_t us);
    };

    std::array<Counter, 6> exchanges_by_class_{};  // by hundreds of the status; 0: none was sent
    std::array<Counter, canon::kMeterCount> tokens_{};
    Counter streams_{0};
    Counter client_gone_{0};
    Counter estimated_{0};
    Counter alarms_{0};
    Counter overdrafts_{0};
    Histogram duration_;
    Histogram ttft_;
    std::int64_t alarm_logged_ns_ = 0;

    struct OfferCounters {
        std::array<Counter, 4> by_outcome{};
    };
    mutable std::mutex
        offers_mutex_;  // taken to add an offer and to scrape; finding one is the owner's alone
    std::map<std::string, OfferCounters, std::less<>> offers_;
};

}  // namespace entrepot::gateway
