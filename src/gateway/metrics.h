#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "base/money.h"
#include "canon/usage.h"
#include "ledger/types.h"
#include "routing/health.h"
#include "telemetry/metrics.h"
#include "upstream/credentials/keeper.h"

namespace entrepot::gateway {

struct Exchange;

/// One core's counters of the data plane; the series are found once.
class Metrics {
public:
    Metrics();

    void exchange_ended(const Exchange& x, const ledger::ExchangeClose& facts);
    /// What an exchange used whose attempt went on after it.
    void deferred_ended(const Exchange& x);
    /// `offer_key` is the offer's stable key.
    void attempt_ended(std::uint64_t offer_key, std::string_view offer, routing::Outcome outcome);
    /// Something an operator must see: our credentials refused, a settlement that could not be
    /// booked. Logged at most once a second per core, always counted.
    void alarm(std::string_view where, std::string_view what);
    /// A cloud's credentials were fetched, or not: an alarm when it is out for the want of them.
    void credential_fetched(const upstream::CredentialEvent& event);
    /// Usage went beyond its hold: the supplier did not enforce the cap it was given.
    void overdraft(std::string_view offer, Money amount);

    [[nodiscard]] const telemetry::CoreMetrics& series() const { return core_; }

private:
    void add_usage(const Exchange& x);

    static constexpr std::size_t kClasses = 6;   // by hundreds of the status; 0: none was sent
    static constexpr std::size_t kOutcomes = 4;  // of routing::Outcome

    telemetry::CoreMetrics core_;
    std::array<telemetry::Counter*, kClasses> exchanges_{};
    std::array<telemetry::Counter*, canon::kMeterCount> usage_{};
    telemetry::Counter* streams_;
    telemetry::Counter* client_gone_;
    telemetry::Counter* estimated_;
    telemetry::Counter* alarms_;
    telemetry::Counter* overdrafts_;
    telemetry::Histogram* duration_;
    telemetry::Histogram* ttft_;
    std::unordered_map<std::uint64_t, std::array<telemetry::Counter*, kOutcomes>> offers_;
    std::int64_t alarm_logged_ns_ = 0;
};

}  // namespace entrepot::gateway
