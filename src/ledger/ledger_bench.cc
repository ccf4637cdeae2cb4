// The state machine alone, on one core: hold, settle and close under five budgets, into a log that
// only counts.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/check.h"
#include "ledger/ledger.h"

namespace entrepot::ledger {
namespace {

class CountingLog final : public Log {
public:
    Result<std::uint64_t> append(std::string_view payload, LogClass, std::size_t) override {
        return bytes += payload.size();
    }
    Result<std::optional<Account>> recall(std::uint32_t, NameId, Instant) override {
        return std::nullopt;
    }
    Result<std::optional<Account>> recall(AccountId) override { return std::nullopt; }
    std::uint64_t bytes = 0;
};

void hold_settle_close(benchmark::State& state) {
    constexpr Instant kNow{1'763'900'000'000'000'000};
    const auto keys = static_cast<std::size_t>(state.range(0));
    CountingLog log;
    Ledger ledger(log);
    const Money limit = Money::parse("1000000000").value();
    std::vector<BudgetSpec> budgets{
        {OwnerKind::kOrg, "org", limit, PeriodKind::kMonth, TimeZone::utc()},
        {OwnerKind::kTeam, "team", limit, PeriodKind::kDay, TimeZone::utc()},
        {OwnerKind::kProject, "project", limit, PeriodKind::kWeek, TimeZone::utc()}};
    for (std::size_t i = 0; i < keys; ++i)
        for (const OwnerKind kind : {OwnerKind::kKey, OwnerKind::kEndUser})
            budgets.push_back(
                {kind, fmt::format("key-{}", i), limit, PeriodKind::kDay, TimeZone::utc()});
    ENTREPOT_CHECK(ledger.set_budgets(budgets).has_value());
    std::vector<PathId> paths;
    std::vector<NameId> users;
    for (std::size_t i = 0; i < keys; ++i) {
        const std::string key = fmt::format("key-{}", i);
        paths.push_back(ledger.path({key, "team", "project", "org"}).value());
        users.push_back(ledger.scoped_name(ledger.name(key).value(), "user").value());
    }
    const NameId rate = ledger.name("rate").value();
    const Route route{ledger.name("model").value(), ledger.name("model/cloud").value(),
        ledger.name("cloud").value()};
    std::uint64_t n = 0;
    for (auto _ : state) {
        HoldRequest request;
        request.exchange = ExchangeId::make(kNow, {++n * 0x9e37, n});
        request.path = paths[n * 7919 % keys];
        request.end_user = users[n * 7919 % keys];
        request.route = route;
        request.amount = Money::from_pico(12'000'000'000);
        request.dispatch = kNow;
        ENTREPOT_CHECK(ledger.hold(request, nullptr).has_value());
        SettleRequest settle;
        settle.usage[canon::Meter::kInput] = 812;
        settle.usage[canon::Meter::kOutput] = 240;
        settle.cost = settle.list_cost = Money::from_pico(3'456'000'000);
        settle.rate_version = rate;
        settle.at = kNow;
        MeterCosts lines;
        lines.add(canon::Meter::kInput,
            {812, Money::from_pico(1'456'000'000), Money::from_pico(1'456'000'000)});
        lines.add(canon::Meter::kOutput,
            {240, Money::from_pico(2'000'000'000), Money::from_pico(2'000'000'000)});
        ENTREPOT_CHECK(ledger.settle(request.exchange, 1, settle, lines).has_value());
        ExchangeClose facts;
        facts.exchange = request.exchange;
        facts.at = kNow;
        facts.status = 200;
        ENTREPOT_CHECK(ledger.close(facts).has_value());
        if (n % 65'536 == 0) (void)ledger.take_changes(kNow);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(n));
    state.SetBytesProcessed(static_cast<std::int64_t>(log.bytes));
}
BENCHMARK(hold_settle_close)->Arg(1)->Arg(10'000);

}  // namespace
}  // namespace entrepot::ledger
