// What one request costs the books: hold, settle and close, journalled, under four budgets, with
// the checkpoint thread at work. The aim is below 500 ns for hold and settle.
#include <benchmark/benchmark.h>

#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

/// One gateway's worth of keys; names and paths are resolved once, as the gateway does.
struct Bench {
    explicit Bench(std::string_view name, std::size_t keys) : folder(name) {
        BooksOptions options;
        options.data = folder.path();
        options.journal_bytes_max = 512ULL << 20;
        books = Books::open(options, test::kNow).value();
        std::vector<ledger::BudgetSpec> budgets{
            {ledger::OwnerKind::kOrg, "org", test::usd("1000000000.00"), PeriodKind::kMonth,
                TimeZone::utc()},
            {ledger::OwnerKind::kTeam, "team", test::usd("1000000000.00"), PeriodKind::kDay,
                TimeZone::utc()}};
        for (std::size_t i = 0; i < keys; ++i) {
            const std::string key = fmt::format("key-{}", i);
            for (const PeriodKind period : {PeriodKind::kDay, PeriodKind::kMonth}) {
                budgets.push_back({ledger::OwnerKind::kKey, key, test::usd("1000000000.00"), period,
                    TimeZone::utc()});
            }
        }
        ENTREPOT_CHECK(books->set_budgets(budgets).has_value());
        for (std::size_t i = 0; i < keys; ++i) {
            paths.push_back(books->path(fmt::format("key-{}", i), "team", "org").value());
        }
        route = books->route("model", "model/cloud", "cloud").value();
        rate = books->name("2026-11").value();
    }
    void step(bool with_close) {
        ++n;
        ledger::HoldRequest request;
        request.exchange = test::exchange_id(n);
        request.path = paths[n * 7919 % paths.size()];
        request.route = route;
        request.amount = Money::from_pico(12'000'000'000);
        request.dispatch = test::kNow + nanoseconds(static_cast<std::int64_t>(n) * 1'000);
        ENTREPOT_CHECK(books->hold(request).has_value());
        ledger::SettleRequest settle;
        settle.usage[canon::Meter::kInput] = 812;
        settle.usage[canon::Meter::kCacheRead] = 2'048;
        settle.usage[canon::Meter::kOutput] = 240;
        settle.cost = Money::from_pico(3'456'000'000);
        settle.list_cost = Money::from_pico(4'000'000'000);
        settle.rate_version = rate;
        settle.upstream_status = 200;
        settle.at = request.dispatch;
        ENTREPOT_CHECK(books->settle(request.exchange, 1, settle).has_value());
        if (!with_close) return;
        ledger::ExchangeClose facts;
        facts.exchange = request.exchange;
        facts.at = request.dispatch;
        facts.status = 200;
        facts.attempts = 1;
        ENTREPOT_CHECK(books->close(facts).has_value());
        if (n % 1'024 == 0) books->tick(request.dispatch);
    }
    test::Folder folder;
    std::unique_ptr<Books> books;
    std::vector<ledger::PathId> paths;
    ledger::Route route;
    ledger::NameId rate = ledger::NameId::kNone;
    std::uint64_t n = 0;
};

void hold_settle_close(benchmark::State& state) {
    Bench bench("bench-books", static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) bench.step(true);
    state.counters["journal_bytes_per_exchange"] =
        static_cast<double>(bench.books->stats().journal_bytes) / static_cast<double>(bench.n);
}
BENCHMARK(hold_settle_close)->Arg(1)->Arg(10'000)->Iterations(1'000'000);

}  // namespace
}  // namespace entrepot::store
