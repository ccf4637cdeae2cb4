// The figures that docs/reference/durability.md states: how long one exchange waits for the books
// in each durability mode, what a million keys under budgets take, and a month's usage by team.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <vector>

#include "base/check.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t since(Clock::time_point begin) {
    return std::chrono::duration_cast<nanoseconds>(Clock::now() - begin).count();
}

/// Resident memory of this process.
std::int64_t resident_bytes() {
    constexpr std::int64_t kPageBytes = 4'096;
    std::ifstream in("/proc/self/statm");
    std::int64_t all = 0;
    std::int64_t resident = 0;
    in >> all >> resident;
    return resident * kPageBytes;
}

std::int64_t percentile(std::vector<std::int64_t>& all, std::size_t per_thousand) {
    if (all.empty()) return 0;
    std::ranges::sort(all);
    return all[std::min(all.size() - 1, all.size() * per_thousand / 1'000)];
}

/// Hold (with `power`: until it is on the disk) and settle, `batch` exchanges in flight. On the
/// disk of the working folder: memory forces nothing.
void durable(benchmark::State& state) {
    const auto batch = static_cast<std::uint64_t>(state.range(1));
    const std::filesystem::path data = std::filesystem::current_path() / "figures-bench";
    std::filesystem::remove_all(data);
    BooksOptions options;
    options.data = data;
    options.durability = state.range(0) == 0 ? Durability::kProcess : Durability::kPower;
    {
        const std::unique_ptr<Books> books = Books::open(options, test::kNow).value();
        ENTREPOT_CHECK(books->set_budgets(test::wide_budgets()).has_value());
        std::vector<std::int64_t> waits;
        std::uint64_t n = 0;
        for (auto _ : state) {
            const Clock::time_point began = Clock::now();
            std::uint64_t position = 0;
            for (std::uint64_t i = 0; i < batch; ++i)
                position = test::hold(*books, n + i, Money::from_pico(2'000'000)).value().position;
            while (options.durability == Durability::kPower && books->durable_up_to() < position)
                std::this_thread::yield();
            for (std::uint64_t i = 0; i < batch; ++i, ++n) {
                ENTREPOT_CHECK(test::settle(*books, n, Money::from_pico(1'000'000)).has_value());
                ENTREPOT_CHECK(test::close(*books, n).has_value());
            }
            waits.push_back(since(began));
            if (waits.size() % 16 == 0)
                books->tick(test::kNow + seconds(static_cast<std::int64_t>(n / 50'000)));
        }
        state.counters["exchanges"] =
            benchmark::Counter(static_cast<double>(n), benchmark::Counter::kIsRate);
        state.counters["p50_us"] = static_cast<double>(percentile(waits, 500)) / 1e3;
        state.counters["p99_us"] = static_cast<double>(percentile(waits, 990)) / 1e3;
    }
    std::filesystem::remove_all(data);
}
BENCHMARK(durable)
    ->ArgNames({"power", "in_flight"})
    ->Args({0, 1})
    ->Args({0, 64})
    ->Args({1, 1})
    ->Args({1, 64})
    ->Args({1, 1'000})
    ->UseRealTime();

/// A million keys with a budget each, all of them spent from: memory, and a start.
void million_keys(benchmark::State& state) {
    constexpr std::uint64_t kKeys = 1'000'000;
    const test::Folder folder("bench-million");
    BooksOptions options;
    options.data = folder.path();
    for (auto _ : state) {
        {
            const std::unique_ptr<Books> books = Books::open(options, test::kNow).value();
            std::vector<ledger::BudgetSpec> budgets;
            budgets.reserve(kKeys);
            for (std::uint64_t i = 0; i < kKeys; ++i)
                budgets.push_back({ledger::OwnerKind::kKey, fmt::format("key-{}", i),
                    test::usd("100.00"), PeriodKind::kMonth, TimeZone::utc()});
            while (!books->set_budgets(budgets)) std::this_thread::yield();
            budgets = {};
            for (std::uint64_t i = 0; i < kKeys; ++i) {
                ledger::HoldRequest request;
                request.exchange = test::exchange_id(i);
                request.path = books->path(fmt::format("key-{}", i), "team", "org").value();
                request.amount = Money::from_pico(2'000'000);
                request.dispatch = test::kNow;
                while (!books->hold(request)) std::this_thread::yield();
                ENTREPOT_CHECK(test::settle(*books, i, Money::from_pico(1'000'000)).has_value());
                ENTREPOT_CHECK(test::close(*books, i).has_value());
            }
        }
        const std::int64_t before = resident_bytes();
        const Clock::time_point began = Clock::now();
        const std::unique_ptr<Books> books = Books::open(options, test::kNow).value();
        state.counters["start_ms"] = static_cast<double>(since(began)) / 1e6;
        state.counters["grown_mib"] = static_cast<double>((resident_bytes() - before) >> 20);
        state.counters["resident_mib"] = static_cast<double>(resident_bytes() >> 20);
    }
}
BENCHMARK(million_keys)->Iterations(1)->Unit(benchmark::kMillisecond);

/// A month of books as a hundred million exchanges leave it: rows of usage are one a day and set of
/// dimensions, however many exchanges each sums up. 2,000 keys by 25 offers, every day of a month.
void month_by_team(benchmark::State& state) {
    constexpr std::uint64_t kKeys = 2'000;
    constexpr std::uint64_t kOffers = 25;
    constexpr std::uint64_t kDays = 30;
    constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
    const test::Folder folder("bench-month");
    BooksOptions options;
    options.data = folder.path();
    options.journal_bytes_max = 8ULL << 30;
    const std::unique_ptr<Books> books = Books::open(options, test::kNow).value();
    std::vector<ledger::PathId> paths;
    for (std::uint64_t i = 0; i < kKeys; ++i)
        paths.push_back(
            books->path(fmt::format("key-{}", i), fmt::format("team-{}", i % 100), "org").value());
    std::vector<ledger::Route> routes;
    for (std::uint64_t i = 0; i < kOffers; ++i)
        routes.push_back(
            books->route(fmt::format("m-{}", i), fmt::format("m-{}/cloud", i), "cloud").value());
    std::uint64_t n = 0;
    for (std::uint64_t day = 0; day < kDays; ++day) {
        const Instant at = test::kNow + nanoseconds(static_cast<std::int64_t>(day) * kDayNs);
        for (const ledger::PathId path : paths)
            for (const ledger::Route& route : routes) {
                ledger::HoldRequest request;
                request.exchange = test::exchange_id(++n);
                request.path = path;
                request.route = route;
                request.dispatch = at;
                while (!books->hold(request)) std::this_thread::yield();
                ENTREPOT_CHECK(test::settle(*books, n, Money::from_pico(1'000'000)).has_value());
                ENTREPOT_CHECK(test::close(*books, n).has_value());
            }
        ENTREPOT_CHECK(books->checkpoint().has_value());
    }
    UsageQuery query;
    query.group_by = {UsageColumn::kTeam};
    query.since = test::kNow - nanoseconds(kDayNs);
    query.until = test::kNow + nanoseconds(static_cast<std::int64_t>(kDays) * kDayNs);
    for (auto _ : state) {
        const Result<UsageTable> table = books->usage(query);
        ENTREPOT_CHECK(table.has_value() && table->rows.size() == 100);
    }
    state.counters["rows"] = static_cast<double>(n);
}
BENCHMARK(month_by_team)->Iterations(5)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace entrepot::store
