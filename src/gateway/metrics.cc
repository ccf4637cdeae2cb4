#include "gateway/metrics.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>

#include "gateway/exchange.h"

namespace entrepot::gateway {
namespace {

constexpr std::int64_t kAlarmLogInterval_ns = 1'000'000'000;

std::string label(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

}  // namespace

void Metrics::Histogram::observe(std::uint64_t us) {
    const auto bucket =
        static_cast<std::size_t>(std::ranges::lower_bound(kBounds_us, us) - kBounds_us.begin());
    add(counts[bucket]);
    add(sum_us, us);
}

void Metrics::exchange_ended(const Exchange& x, const ledger::ExchangeClose& facts) {
    add(exchanges_by_class_[std::min<std::size_t>(
        facts.status / 100, exchanges_by_class_.size() - 1)]);
    for (std::size_t m = 0; m < canon::kMeterCount; ++m)
        if (x.usage.counts[m] > 0) add(tokens_[m], static_cast<std::uint64_t>(x.usage.counts[m]));
    if (facts.streamed) add(streams_);
    if (facts.ended_by == ledger::EndedBy::kClient) add(client_gone_);
    if (x.is_estimated) add(estimated_);
    duration_.observe(facts.duration_us);
    if (facts.ttft_us != 0) ttft_.observe(facts.ttft_us);
}

void Metrics::attempt_ended(std::string_view offer, routing::Outcome outcome) {
    auto found = offers_.find(offer);
    if (found == offers_.end()) {
        const std::lock_guard lock(offers_mutex_);
        found = offers_.try_emplace(std::string(offer)).first;
    }
    add(found->second.by_outcome[static_cast<std::size_t>(outcome)]);
}

void Metrics::alarm(std::string_view where, std::string_view what) {
    add(alarms_);
    const std::int64_t now_ns = monotonic_now().ns;
    if (now_ns - alarm_logged_ns_ < kAlarmLogInterval_ns) return;
    alarm_logged_ns_ = now_ns;
    spdlog::error("{}: {}", where, what);
}

void Metrics::overdraft(std::string_view offer, Money amount) {
    add(overdrafts_);
    alarm(offer,
        fmt::format("usage went {} beyond its hold: the supplier did not enforce the cap it was "
                    "given; check max_output_tokens",
            amount.to_decimal()));
}

std::string Metrics::render(std::span<const Metrics* const> cores) {
    std::string out;
    const auto sum = [&](const auto& pick) {
        std::uint64_t total = 0;
        for (const Metrics* core : cores) total += pick(*core).load(std::memory_order_relaxed);
        return total;
    };
    const auto head = [&](std::string_view name, std::string_view type, std::string_view help) {
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    };
    head("entrepot_exchanges_total", "counter",
        "Exchanges that ended, by class of the status sent (none: the client left first).");
    constexpr std::array<std::string_view, 6> kClasses{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (std::size_t c = 0; c < kClasses.size(); ++c)
        out += fmt::format("entrepot_exchanges_total{{class=\"{}\"}} {}\n", kClasses[c],
            sum([c](const Metrics& m) -> const Counter& { return m.exchanges_by_class_[c]; }));
    head("entrepot_usage_total", "counter", "Usage settled, by meter of the normal form.");
    for (std::size_t meter = 0; meter < canon::kMeterCount; ++meter)
        out += fmt::format("entrepot_usage_total{{meter=\"{}\"}} {}\n",
            canon::meter_name(static_cast<canon::Meter>(meter)),
            sum([meter](const Metrics& m) -> const Counter& { return m.tokens_[meter]; }));
    const auto plain = [&](std::string_view name, std::string_view help, const auto& pick) {
        head(name, "counter", help);
        out += fmt::format("{} {}\n", name, sum(pick));
    };
    plain("entrepot_streams_total", "Exchanges that were streamed.",
        [](const Metrics& m) -> const Counter& { return m.streams_; });
    plain("entrepot_client_gone_total", "Exchanges whose client left before the end.",
        [](const Metrics& m) -> const Counter& { return m.client_gone_; });
    plain("entrepot_estimated_total", "Exchanges settled by an estimate.",
        [](const Metrics& m) -> const Counter& { return m.estimated_; });
    plain("entrepot_alarms_total", "Events an operator must look at.",
        [](const Metrics& m) -> const Counter& { return m.alarms_; });
    plain("entrepot_overdrafts_total", "Settlements beyond their hold.",
        [](const Metrics& m) -> const Counter& { return m.overdrafts_; });

    head("entrepot_attempts_total", "counter", "Attempts at offers, by how they ended.");
    std::map<std::string, std::array<std::uint64_t, 4>> offers;
    for (const Metrics* core : cores) {
        const std::lock_guard lock(core->offers_mutex_);
        for (const auto& [name, counters] : core->offers_)
            for (std::size_t o = 0; o < 4; ++o)
                offers[name][o] += counters.by_outcome[o].load(std::memory_order_relaxed);
    }
    constexpr std::array<std::string_view, 4> kOutcomes{
        "served", "failed", "rate_limited", "abandoned"};
    for (const auto& [name, counts] : offers)
        for (std::size_t o = 0; o < 4; ++o)
            out += fmt::format("entrepot_attempts_total{{offer=\"{}\",outcome=\"{}\"}} {}\n",
                label(name), kOutcomes[o], counts[o]);

    const auto histogram = [&](std::string_view name, std::string_view help, const auto& pick) {
        head(name, "histogram", help);
        std::uint64_t below = 0;
        for (std::size_t b = 0; b <= kBuckets; ++b) {
            below += sum([&](const Metrics& m) -> const Counter& { return pick(m).counts[b]; });
            const std::string bound = b == kBuckets
                ? "+Inf"
                : fmt::format("{}.{:06}", kBounds_us[b] / 1'000'000, kBounds_us[b] % 1'000'000);
            out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, below);
        }
        const std::uint64_t total_us =
            sum([&](const Metrics& m) -> const Counter& { return pick(m).sum_us; });
        out += fmt::format("{}_sum {}.{:06}\n{}_count {}\n", name, total_us / 1'000'000,
            total_us % 1'000'000, name, below);
    };
    histogram("entrepot_exchange_duration_seconds",
        "From the request's head to the end of its answer.",
        [](const Metrics& m) -> const Histogram& { return m.duration_; });
    histogram("entrepot_time_to_first_byte_seconds",
        "From the request's head to the first byte of its answer.",
        [](const Metrics& m) -> const Histogram& { return m.ttft_; });
    return out;
}

}  // namespace entrepot::gateway
