#include "contracts/burn.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <numeric>
#include <random>

#include "base/text.h"
#include "contracts/capacity.h"
#include "contracts/compile.h"
#include "contracts/standing.h"

namespace entrepot::contracts {
namespace {

using canon::Meter;
using Exact = boost::multiprecision::cpp_rational;
using ExactInt = boost::multiprecision::cpp_int;

Instant day(std::string_view date) { return *parse_instant(date); }
Money usd(std::string_view amount) { return *Money::parse(amount); }

Bought row(std::string_view date, std::string_view cost, std::string_view offer = "gpt-5/payg",
    std::string_view cloud = "azure") {
    Bought bought;
    bought.cloud = cloud;
    bought.model = "gpt-5";
    bought.offer = offer;
    bought.day = day(date);
    bought.cost = bought.list = usd(cost);
    return bought;
}

Contract year_of(std::string_view amount) {
    Contract contract;
    contract.name = "c";
    contract.clouds = {"azure"};
    contract.from = day("2026-01-01");
    contract.to = day("2027-01-01");
    contract.commitment.emplace();
    contract.commitment->amounts = {usd(amount)};
    contract.commitment->counts_on = CountsOn::kUse;
    return contract;
}

Burn only(const Contract& contract, const std::vector<Bought>& bought, std::string_view now) {
    const auto burns = burn_of(contract, bought, day(now));
    EXPECT_TRUE(burns) << burns.error().message;
    EXPECT_EQ(burns->size(), 1u);
    return burns->at(0);
}

// The rules as a script: what was bought, when it is asked, what is said of it.
TEST(Burn, ReadsAsAScript) {
    struct Line {
        const char* bought;  ///< `date amount`, joined by `; `
        const char* now;
        const char* expected;  ///< state spent remaining days forecast shortfall charge returned
    };
    constexpr Line kLines[] = {
        {"", "2025-12-31", "ahead 0.00 365.00 365 - 0.00 0.00 0.00"},
        {"", "2026-01-01", "on_track 0.00 365.00 365 - 0.00 0.00 0.00"},
        {"2026-01-01 1", "2026-01-02", "on_track 1.00 364.00 364 365.00 0.00 0.00 0.00"},
        {"2026-01-01 0.50", "2026-01-02", "behind 0.50 364.50 364 182.50 182.50 91.25 18.25"},
        {"2026-01-01 0.50; 2026-01-02 3.50", "2026-01-05",
            "on_track 4.00 361.00 361 365.00 0.00 0.00 0.00"},
        {"2026-01-01 365", "2026-01-02", "met 365.00 0.00 364 133225.00 0.00 0.00 0.00"},
        {"2026-12-31 300; 2025-12-31 70; 2027-01-01 70", "2027-03-01",
            "missed 300.00 65.00 0 300.00 65.00 32.50 6.50"},
    };
    Contract contract = year_of("365.00");
    contract.commitment->shortfall = {{1, 2}, {1, 5}};
    for (const Line& line : kLines) {
        std::vector<Bought> bought;
        for (std::string_view rest = line.bought; !rest.empty();) {
            const auto end = rest.find("; ");
            const std::string_view one = rest.substr(0, end);
            bought.push_back(row(one.substr(0, 10), one.substr(11)));
            rest = end == std::string_view::npos ? "" : rest.substr(end + 2);
        }
        const Burn burn = only(contract, bought, line.now);
        EXPECT_EQ(
            fmt::format("{} {} {} {} {} {} {} {}", burn_state_name(burn.state),
                burn.spent.to_decimal(), burn.remaining.to_decimal(), burn.days_left,
                burn.has_forecast ? burn.forecast.to_decimal() : "-", burn.shortfall.to_decimal(),
                burn.charge.to_decimal(), burn.returned.to_decimal()),
            line.expected)
            << line.bought << " at " << line.now;
    }
}

TEST(Burn, OnlyWhatIsEligibleCounts) {
    Contract contract = year_of("100.00");
    contract.commitment->eligible.offers = {"gpt-5/p*"};
    const std::vector<Bought> bought{row("2026-02-01", "10"), row("2026-02-01", "20", "gpt-5/x"),
        row("2026-02-01", "40", "gpt-5/payg", "aws")};
    EXPECT_EQ(only(contract, bought, "2026-03-01").spent, usd("10"));
}

TEST(Burn, WhatCountsByInvoiceCountsWhenItsMonthHasEnded) {
    Contract contract = year_of("100.00");
    contract.commitment->counts_on = CountsOn::kInvoice;
    const std::vector<Bought> bought{row("2026-01-31", "10"), row("2026-02-01", "20")};
    EXPECT_EQ(only(contract, bought, "2026-02-28").spent, usd("30"));
    EXPECT_EQ(only(contract, bought, "2026-02-28").counted, usd("10"));
    EXPECT_EQ(only(contract, bought, "2026-03-01").counted, usd("30"));
}

TEST(Burn, TheMarketplaceCountsInPartAndUpToItsCap) {
    Contract contract = year_of("100.00");
    contract.commitment->marketplace = Marketplace{{.offers = {"gpt-5/m"}}, {1, 2}, Ratio{1, 4}};
    std::vector<Bought> bought{row("2026-02-01", "10"), row("2026-02-01", "20", "gpt-5/m")};
    EXPECT_EQ(only(contract, bought, "2026-03-01").spent, usd("20"));
    bought.push_back(row("2026-02-02", "80", "gpt-5/m"));
    const Burn burn = only(contract, bought, "2026-03-01");
    EXPECT_EQ(burn.marketplace, usd("25"));
    EXPECT_EQ(burn.spent, usd("35"));
    // A forecast holds the cap too: ten in 59 days, and the quarter.
    EXPECT_EQ(burn.forecast, *divide(Int128{10} * 365 * 1'000'000'000'000, 59, {}) + usd("25"));
}

TEST(Burn, HoursOfCapacityAndSpendElsewhereCount) {
    Contract contract = year_of("10000.00");
    contract.commitment->elsewhere_per_day = usd("3");
    contract.provisioned = {{.name = "p",
        .offers = {"gpt-5/ptu"},
        .units = 2,
        .hourly = usd("0.5"),
        .tokens_per_minute = 1000,
        .from = day("2026-01-02")}};
    // Two days elsewhere, and 24 hours of two units.
    EXPECT_EQ(only(contract, {}, "2026-01-03").spent, usd("30"));
}

TEST(Burn, EachWindowStandsForItself) {
    Contract contract = year_of("10.00");
    contract.commitment->per = Per::kQuarter;
    contract.commitment->milestones = {{day("2026-07-01"), usd("30")}};
    const std::vector<Bought> bought{row("2026-01-01", "25"), row("2026-04-01", "4")};
    const auto burns = burn_of(contract, bought, day("2026-07-01"));
    ASSERT_TRUE(burns);
    ASSERT_EQ(burns->size(), 5u);
    EXPECT_EQ(burns->at(0).state, Burn::State::kMet);
    EXPECT_EQ(burns->at(1).state, Burn::State::kMissed);  // what was too much before is not carried
    EXPECT_EQ(burns->at(1).shortfall, usd("6"));
    EXPECT_EQ(burns->at(3).state, Burn::State::kAhead);
    EXPECT_EQ(burns->at(4).spent, usd("29"));  // a milestone counts from the first day
    EXPECT_EQ(burns->at(4).shortfall, usd("1"));
}

// Amounts as large as configuration takes, over the longest term: no step leaves 128 bits unseen.
TEST(Burn, TheLargestContractsAreForecastOrRefusedNeverWrong) {
    Contract contract = year_of("1000000000000000");
    contract.from = day("1990-01-01");
    contract.to = day("2039-01-01");
    const auto burns =
        burn_of(contract, std::vector{row("2000-01-01", "900000000000000")}, day("2020-01-01"));
    ASSERT_TRUE(burns) << burns.error().message;
    const Exact pace = Exact(ExactInt(9) * boost::multiprecision::pow(ExactInt(10), 26)) *
        ((contract.to - contract.from).count() / 1'000'000'000) /
        ((day("2020-01-01") - contract.from).count() / 1'000'000'000);
    const Exact told(ExactInt(to_string(burns->at(0).forecast.pico())));
    EXPECT_LE(abs(told - pace), Exact(1, 2));
}

TEST(Capacity, UtilisationIsWeightedTokensOverWhatTheUnitsServe) {
    Contract contract = year_of("1");
    const Provisioned capacity{.name = "p",
        .offers = {"gpt-5/ptu"},
        .units = 15,
        .hourly = usd("1"),
        .tokens_per_minute = 4750,
        .output_weight = {8, 1},
        .cached_weight = {0, 1}};
    std::vector<Bought> bought{row("2026-01-01", "0", "gpt-5/ptu"), row("2026-01-01", "7")};
    bought[0].list = usd("50");
    bought[0].usage[Meter::kInput] = 20'520'000;
    bought[0].usage[Meter::kCacheRead] = 99'000'000;
    bought[0].usage[Meter::kOutput] = 2'565'000;
    const auto use =
        utilisation_of(contract, capacity, bought, day("2026-01-01"), day("2026-01-02"));
    ASSERT_TRUE(use);
    EXPECT_EQ(use->minutes, 1440);
    EXPECT_EQ(use->paid, usd("360"));
    EXPECT_EQ(use->capacity, Int128{15} * 4750 * 1440);
    EXPECT_EQ(use->served, Int128{20'520'000} + 8 * 2'565'000);
    EXPECT_EQ(use->used_ppm, 400'000);
    EXPECT_EQ(use->list, usd("50"));
}

TEST(Capacity, WhatIsSoldBySpendIsMeasuredInListCost) {
    Contract contract = year_of("1");
    const Provisioned capacity{.name = "p",
        .offers = {"gpt-5/ptu"},
        .units = 3,
        .hourly = usd("60"),
        .list_per_minute = usd("1")};
    std::vector<Bought> bought{row("2026-01-01", "0", "gpt-5/ptu")};
    bought[0].list = usd("1080");
    const auto use =
        utilisation_of(contract, capacity, bought, day("2026-01-01"), day("2026-01-02"));
    ASSERT_TRUE(use);
    EXPECT_EQ(use->used_ppm, 250'000);
}

TEST(Capacity, PartsOfAFeeSumToItExactly) {
    std::mt19937_64 random(9);
    const auto pick = [&](std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>(0, most)(random);
    };
    for (int i = 0; i < 2'000; ++i) {
        const Money fee = Money::from_pico(Int128{pick(INT64_MAX)} * (1 + pick(1000)));
        std::vector<Int128> weights;
        for (std::int64_t n = 1 + pick(9); n > 0; --n) weights.emplace_back(pick(1'000'000'000));
        const Int128 whole = std::accumulate(weights.begin(), weights.end(), Int128{0});
        if (whole == 0) continue;
        const auto parts = split(fee, weights);
        ASSERT_TRUE(parts);
        Money sum;
        for (std::size_t k = 0; k < weights.size(); ++k) {
            sum += parts->at(k);
            const Exact right = Exact(ExactInt(to_string(fee.pico()))) *
                ExactInt(to_string(weights[k])) / ExactInt(to_string(whole));
            EXPECT_LT(abs(Exact(ExactInt(to_string(parts->at(k).pico()))) - right), Exact(1));
        }
        EXPECT_EQ(sum, fee);
    }
}

TEST(Capacity, EffectiveCostLaysTheHoursOverWhatTheyServed) {
    Contract contract = year_of("1");
    contract.provisioned = {{.name = "p",
        .offers = {"gpt-5/ptu"},
        .units = 1,
        .hourly = usd("1"),
        .tokens_per_minute = 1000,
        .from = day("2026-01-01"),
        .to = day("2026-01-04")}};
    // 1.44 million tokens a day: a quarter used on the first day, all and more on the second.
    std::vector<Bought> bought{row("2026-01-01", "0", "gpt-5/ptu"),
        row("2026-01-02", "0", "gpt-5/ptu"), row("2026-01-02", "0", "gpt-5/ptu"),
        row("2026-01-01", "5")};
    bought[0].usage[Meter::kInput] = 360'000;
    bought[1].usage[Meter::kInput] = 2'000'000;
    bought[2].usage[Meter::kInput] = 1'000'000;
    const auto effective = effective_of(contract, bought, day("2026-01-01"), day("2026-01-31"));
    ASSERT_TRUE(effective);
    EXPECT_EQ(effective->costs[0], usd("6"));
    EXPECT_EQ(effective->costs[1], usd("16"));
    EXPECT_EQ(effective->costs[2], usd("8"));
    EXPECT_EQ(effective->costs[3], usd("5"));
    EXPECT_EQ(effective->unused, usd("42"));  // 18 of the first day, all of the third
}

TEST(Standing, CountsTheLinesThatLieOnStepsAndNoOthers) {
    Contract contract = year_of("1");
    contract.volumes = {{.steps = {{usd("10").pico(), {1, 10}}, {usd("30").pico(), {1, 5}}}}};
    contract.volumes[0].of.meters = pricing::bit_of(Meter::kInput);
    const std::vector<pricing::NamedPrice> prices{{"input", "1.00"}, {"output", "2.00"}};
    const Place place{contract.clouds[0], "gpt-5", "gpt-5/x", ""};
    const auto card = card_under(
        std::span(&contract, 1), place, pricing::RateCard::from_prices(prices, Currency()).value());
    ASSERT_TRUE(card) << card.error().message;
    const Instant now = day("2026-02-28");
    const std::vector<Period> periods{TimeZone::utc().period_of(PeriodKind::kMonth, now)};
    std::vector<Int128> counts(1);
    const auto count = [&](Meter meter, const char* list, const char* at) {
        ASSERT_TRUE(count_line(
            {{.meter = meter, .quantity = 1}, usd(list), day(at)}, *card, periods, counts));
    };
    count(Meter::kInput, "7", "2026-01-31");  // of the month before
    count(Meter::kInput, "12", "2026-02-01");
    count(Meter::kInput, "8", "2026-02-28");
    count(Meter::kOutput, "50", "2026-02-02");  // on no step
    const auto standings = standings_of(contract, counts, now);
    ASSERT_EQ(standings.size(), 1u);
    EXPECT_EQ(standings[0].counted, usd("20").pico());
    EXPECT_EQ(standings[0].reached, 1u);
    EXPECT_EQ(standings[0].period.begin, day("2026-02-01"));
}

}  // namespace
}  // namespace entrepot::contracts
