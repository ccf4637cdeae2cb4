#include "gateway/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/exchange.h"
#include "telemetry/log.h"

namespace entrepot::gateway {
namespace {

using telemetry::Family;
using telemetry::MetricKind;

constexpr std::int64_t kAlarmLogIntervalNs = 1'000'000'000;

}  // namespace

Metrics::Metrics() {
    const Family exchanges{"entrepot_exchanges_total",
        "Exchanges that ended, by class of the status sent (none: the client left first).",
        MetricKind::kCounter, {"class"}};
    constexpr std::array<std::string_view, kClasses> kNames{
        "none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (std::size_t c = 0; c < kClasses; ++c)
        exchanges_[c] = &core_.counter(exchanges, std::span(&kNames[c], 1));
    const Family usage{"entrepot_usage_total", "Usage settled, by meter of the normal form.",
        MetricKind::kCounter, {"meter"}};
    for (std::size_t m = 0; m < canon::kMeterCount; ++m) {
        const std::string_view name = canon::meter_name(static_cast<canon::Meter>(m));
        usage_[m] = &core_.counter(usage, std::span(&name, 1));
    }
    const auto counter = [&](std::string_view name, std::string_view help) {
        return &core_.counter(Family{name, help, MetricKind::kCounter, {}});
    };
    streams_ = counter("entrepot_streams_total", "Exchanges that were streamed.");
    client_gone_ =
        counter("entrepot_client_gone_total", "Exchanges whose client left before the end.");
    estimated_ = counter("entrepot_estimated_total", "Exchanges settled by an estimate.");
    alarms_ = counter("entrepot_alarms_total", "Events an operator must look at.");
    overdrafts_ = counter("entrepot_overdrafts_total", "Settlements beyond their hold.");
    duration_ = &core_.histogram(Family{"entrepot_exchange_duration_seconds",
        "From the request's head to the end of its answer.", MetricKind::kHistogram, {}});
    ttft_ = &core_.histogram(Family{"entrepot_time_to_first_byte_seconds",
        "From the request's head to the first byte of its answer.", MetricKind::kHistogram, {}});
}

void Metrics::exchange_ended(const Exchange& x, const ledger::ExchangeClose& facts) {
    exchanges_[std::min<std::size_t>(facts.status / 100, kClasses - 1)]->add();
    if (!x.is_deferred) add_usage(x);
    if (facts.streamed) streams_->add();
    if (facts.ended_by == ledger::EndedBy::kClient) client_gone_->add();
    duration_->observe(std::chrono::microseconds(facts.duration_us));
    if (facts.ttft_us != 0) ttft_->observe(std::chrono::microseconds(facts.ttft_us));
}

void Metrics::deferred_ended(const Exchange& x) { add_usage(x); }

void Metrics::add_usage(const Exchange& x) {
    for (std::size_t m = 0; m < canon::kMeterCount; ++m)
        if (x.consumed.usage.counts[m] > 0)
            usage_[m]->add(static_cast<std::uint64_t>(x.consumed.usage.counts[m]));
    if (x.is_estimated) estimated_->add();
}

void Metrics::attempt_ended(
    std::uint64_t offer_key, std::string_view offer, routing::Outcome outcome) {
    auto& counters = offers_[offer_key];
    telemetry::Counter*& counter = counters[static_cast<std::size_t>(outcome)];
    if (counter == nullptr) {
        constexpr std::array<std::string_view, kOutcomes> kNames{
            "served", "failed", "rate_limited", "abandoned"};
        const std::array values{offer, kNames[static_cast<std::size_t>(outcome)]};
        counter = &core_.counter(
            Family{"entrepot_attempts_total", "Attempts at offers, by how they ended.",
                MetricKind::kCounter, {"offer", "outcome"}},
            values);
    }
    counter->add();
}

void Metrics::alarm(std::string_view where, std::string_view what) {
    alarms_->add();
    const std::int64_t now_ns = monotonic_now().ns;
    if (now_ns - alarm_logged_ns_ < kAlarmLogIntervalNs) return;
    alarm_logged_ns_ = now_ns;
    telemetry::log(telemetry::LogLevel::kError, fmt::format("{}: {}", where, what));
}

void Metrics::credential_fetched(const upstream::CredentialEvent& event) {
    const std::array fetch{event.name, std::string_view(event.is_fetched ? "fetched" : "failed")};
    core_
        .counter(Family{"entrepot_credential_fetches_total",
                     "Fetches of clouds' credentials, by the first cloud that wants them.",
                     MetricKind::kCounter, {"cloud", "outcome"}},
            fetch)
        .add();
    const bool ends = event.is_live && event.expires != upstream::Credential::kNever;
    core_
        .gauge(Family{"entrepot_credential_expires_seconds",
                   "Unix time at which a cloud's credentials expire; 0: none are held, or they do "
                   "not expire.",
                   MetricKind::kGauge, {"cloud"}},
            std::span(&event.name, 1))
        .set(ends ? event.expires.ns / 1'000'000'000 : 0);
    const std::string until = ends ? " until " + to_rfc3339(event.expires) : "";
    if (event.is_fetched) {
        if (event.failures > 0)
            telemetry::log(telemetry::LogLevel::kInfo,
                fmt::format("{}: credentials are fetched again, good{}", event.name, until));
    } else if (event.is_live) {
        telemetry::log(telemetry::LogLevel::kWarning,
            fmt::format("{}: its credentials could not be renewed ({} in a row); the old ones are "
                        "used{}: {}",
                event.name, event.failures, until, event.trouble));
    } else {
        alarm(event.name,
            fmt::format("no credentials, so nothing is sent there ({} failures in a row): {}",
                event.failures, event.trouble));
    }
}

void Metrics::overdraft(std::string_view offer, Money amount) {
    overdrafts_->add();
    alarm(offer,
        fmt::format("usage went {} beyond its hold: the supplier did not enforce the cap "
                    "it was given; check the offer's max_output_tokens",
            amount.to_decimal()));
}

}  // namespace entrepot::gateway
