#include "telemetry/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace entrepot::telemetry {

void Histogram::observe(nanoseconds duration) {
    const std::int64_t ns = std::max<std::int64_t>(duration.count(), 0);
    std::size_t index = 0;
    while (index < kBoundsMs.size() && ns > kBoundsMs[index] * 1'000'000) ++index;
    buckets_[index].add();
    sum_us_.add(static_cast<std::uint64_t>(ns / 1000));
}

namespace {

// Label values come from configuration and from suppliers: they are escaped, and cut where one
// would swell the page.
void append_label(std::string& out, std::string_view name, std::string_view value) {
    if (!out.empty()) out += ',';
    out += name;
    out += "=\"";
    for (const char c : value.substr(0, 256)) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace

CoreMetrics::Series& CoreMetrics::series(
    const Family& family, std::span<const std::string_view> values) {
    ENTREPOT_CHECK(values.size() == family.labels.size());
    std::string labels;
    for (std::size_t i = 0; i < values.size(); ++i)
        append_label(labels, family.labels[i], values[i]);
    const std::lock_guard lock(mutex_);
    Entry& entry = families_[std::string(family.name)];
    if (entry.name.empty()) {
        entry.name = family.name;
        entry.help = family.help;
        entry.kind = family.kind;
    }
    ENTREPOT_CHECK(entry.kind == family.kind);
    Series& found = entry.series[labels];
    if (!found.counter && !found.gauge && !found.histogram) {
        switch (family.kind) {
            case MetricKind::kCounter: found.counter = std::make_unique<Counter>(); break;
            case MetricKind::kGauge: found.gauge = std::make_unique<Gauge>(); break;
            case MetricKind::kHistogram: found.histogram = std::make_unique<Histogram>(); break;
        }
    }
    return found;
}

Counter& CoreMetrics::counter(const Family& family, std::span<const std::string_view> values) {
    ENTREPOT_CHECK(family.kind == MetricKind::kCounter);
    return *series(family, values).counter;
}

Gauge& CoreMetrics::gauge(const Family& family, std::span<const std::string_view> values) {
    ENTREPOT_CHECK(family.kind == MetricKind::kGauge);
    return *series(family, values).gauge;
}

Histogram& CoreMetrics::histogram(const Family& family, std::span<const std::string_view> values) {
    ENTREPOT_CHECK(family.kind == MetricKind::kHistogram);
    return *series(family, values).histogram;
}

namespace {

struct Sum {
    std::uint64_t count = 0;
    std::int64_t level = 0;
    std::array<std::uint64_t, Histogram::kBoundsMs.size() + 1> buckets{};
    std::uint64_t sum_us = 0;
};

struct FamilySum {
    std::string help;
    MetricKind kind = MetricKind::kCounter;
    std::map<std::string, Sum> series;
};

// Milliseconds as seconds without floating point: 2500 -> `2.5`.
std::string seconds_of(std::uint64_t value, std::uint64_t per_second, int digits) {
    std::string text = fmt::format("{}.{:0{}}", value / per_second, value % per_second, digits);
    while (text.ends_with('0')) text.pop_back();
    if (text.ends_with('.')) text.pop_back();
    return text;
}

void append_histogram(
    std::string& out, const std::string& name, const std::string& labels, const Sum& sum) {
    const std::string before = labels.empty() ? "" : labels + ",";
    const std::string braces = labels.empty() ? "" : "{" + labels + "}";
    std::uint64_t running = 0;
    for (std::size_t i = 0; i < sum.buckets.size(); ++i) {
        running += sum.buckets[i];
        const std::string bound = i < Histogram::kBoundsMs.size()
            ? seconds_of(static_cast<std::uint64_t>(Histogram::kBoundsMs[i]), 1000, 3)
            : "+Inf";
        out += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, before, bound, running);
    }
    out += fmt::format("{}_sum{} {}\n", name, braces, seconds_of(sum.sum_us, 1'000'000, 6));
    out += fmt::format("{}_count{} {}\n", name, braces, running);
}

}  // namespace

std::string render(std::span<const CoreMetrics* const> cores) {
    std::map<std::string, FamilySum> sums;
    for (const CoreMetrics* core : cores) {
        const std::lock_guard lock(core->mutex_);
        for (const auto& [name, entry] : core->families_) {
            FamilySum& family = sums[name];
            family.help = entry.help;
            family.kind = entry.kind;
            for (const auto& [labels, series] : entry.series) {
                Sum& sum = family.series[labels];
                if (series.counter) sum.count += series.counter->value();
                if (series.gauge) sum.level += series.gauge->value();
                if (!series.histogram) continue;
                for (std::size_t i = 0; i < sum.buckets.size(); ++i)
                    sum.buckets[i] += series.histogram->bucket(i);
                sum.sum_us += series.histogram->sum_us();
            }
        }
    }
    std::string out;
    for (const auto& [name, family] : sums) {
        static constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram"};
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
            kTypes[static_cast<std::size_t>(family.kind)]);
        for (const auto& [labels, sum] : family.series) {
            const std::string braces = labels.empty() ? "" : "{" + labels + "}";
            switch (family.kind) {
                case MetricKind::kCounter:
                    out += fmt::format("{}{} {}\n", name, braces, sum.count);
                    break;
                case MetricKind::kGauge:
                    out += fmt::format("{}{} {}\n", name, braces, sum.level);
                    break;
                case MetricKind::kHistogram: append_histogram(out, name, labels, sum); break;
            }
        }
    }
    return out;
}

}  // namespace entrepot::telemetry
