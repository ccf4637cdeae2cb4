#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace entrepot::telemetry {

/// A count that one thread raises and any thread reads: a plain add, no locked instruction.
class Counter {
public:
    void add(std::uint64_t amount = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// A level that one thread moves and any thread reads.
class Gauge {
public:
    void add(std::int64_t amount) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

/// Durations in buckets from 1 ms to 10 minutes, one writer, any reader.
class Histogram {
public:
    static constexpr std::array<std::int64_t, 16> kBoundsMs{
        1, 2, 5, 10, 25, 50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 30'000, 120'000, 600'000};
    void observe(nanoseconds duration);
    [[nodiscard]] std::uint64_t bucket(std::size_t index) const { return buckets_[index].value(); }
    [[nodiscard]] std::uint64_t sum_us() const { return sum_us_.value(); }

private:
    std::array<Counter, kBoundsMs.size() + 1> buckets_;  // the last: above every bound
    Counter sum_us_;
};

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram };

/// What is told of a metric once. A counter's name ends in `_total`, a histogram's in `_seconds`.
struct Family {
    std::string_view name;
    std::string_view help;
    MetricKind kind = MetricKind::kCounter;
    std::vector<std::string_view> labels;  ///< names, in the order in which values are given
};

/// The metrics of one core. Its thread alone asks for series and moves them; a scrape reads them
/// meanwhile. A series is found once and kept by reference: the hot path makes no look-up.
/// References live as long as this.
class CoreMetrics {
public:
    [[nodiscard]] Counter& counter(
        const Family& family, std::span<const std::string_view> values = {});
    [[nodiscard]] Gauge& gauge(const Family& family, std::span<const std::string_view> values = {});
    [[nodiscard]] Histogram& histogram(
        const Family& family, std::span<const std::string_view> values = {});

private:
    friend std::string render(std::span<const CoreMetrics* const> cores);
    struct Series {
        std::unique_ptr<Counter> counter;
        std::unique_ptr<Gauge> gauge;
        std::unique_ptr<Histogram> histogram;
    };
    struct Entry {
        std::string name, help;
        MetricKind kind = MetricKind::kCounter;
        std::map<std::string, Series> series;  ///< by rendered labels: `offer="m/a",status="200"`
    };
    Series& series(const Family& family, std::span<const std::string_view> values);

    mutable std::mutex mutex_;  // taken to add a series and to read them all, never to move one
    std::map<std::string, Entry> families_;
};

/// Prometheus text (version 0.0.4), the cores' series summed, families and series sorted. Any
/// thread.
[[nodiscard]] std::string render(std::span<const CoreMetrics* const> cores);

}  // namespace entrepot::telemetry
