#include "contracts/contract.h"

#include <gtest/gtest.h>

#include "contracts/compile.h"
#include "contracts/windows.h"
#include "pricing/price.h"

namespace entrepot::contracts {
namespace {

using canon::Meter;

Instant day(std::string_view date) { return *parse_instant(date); }

Contract year_of(std::string_view name) {
    Contract contract;
    contract.name = name;
    contract.clouds = {"azure"};
    contract.from = day("2026-01-01");
    contract.to = day("2027-01-01");
    return contract;
}

const Place kPayg{"azure", "gpt-5", "gpt-5/payg", "eu"};
const Place kPtu{"azure", "gpt-5", "gpt-5/ptu", "eu"};

pricing::RateCard list() {
    const std::vector<pricing::NamedPrice> prices{{"input", "1"}, {"output", "10"}};
    return *pricing::RateCard::from_prices(prices, Currency{});
}

std::string cost(const std::vector<Contract>& contracts, const Place& place, std::string_view at) {
    const auto card = card_under(contracts, place, list());
    if (!card) return card.error().message;
    canon::Usage usage;
    usage[Meter::kInput] = usage[Meter::kOutput] = 1'000'000;
    return pricing::price(usage, *card, {}, day(at))->total.to_decimal();
}

TEST(Selector, NamesMayEndInAStarAndNothingIsEverything) {
    EXPECT_TRUE(Selector{}.takes(kPayg));
    EXPECT_TRUE((Selector{.models = {"x", "gpt-*"}}.takes(kPayg)));
    EXPECT_FALSE((Selector{.models = {"gpt"}}.takes(kPayg)));
    EXPECT_TRUE((Selector{.offers = {"gpt-5/p*"}, .regions = {"eu"}}.takes(kPayg)));
    EXPECT_FALSE((Selector{.regions = {"us*"}}.takes(kPayg)));
}

TEST(Selector, TwoMeetWhenSomethingCouldBeTakenByBoth) {
    const auto meets = [](std::vector<std::string> a, std::vector<std::string> b) {
        const bool there = Selector{.models = a}.meets({.models = b});
        EXPECT_EQ(there, (Selector{.models = b}.meets({.models = a})));
        return there;
    };
    EXPECT_TRUE(meets({"a"}, {"a"}));
    EXPECT_FALSE(meets({"a"}, {"b"}));
    EXPECT_TRUE(meets({"a*"}, {"abc"}));
    EXPECT_TRUE(meets({"a*"}, {"ab*"}));
    EXPECT_FALSE(meets({"ab*"}, {"ac*"}));
    EXPECT_FALSE(meets({"ab*"}, {"a"}));
    EXPECT_TRUE(meets({"*"}, {"x"}));
    EXPECT_TRUE(meets({}, {"x"}));
    EXPECT_FALSE((Selector{.tiers = 1}.meets({.tiers = 2})));
}

TEST(Compile, TermsHoldForWhatTheContractCovers) {
    Contract contract = year_of("c");
    contract.discounts = {{.of = {.models = {"gpt-*"}}, .off = {1, 10}}};
    EXPECT_EQ(cost({contract}, kPayg, "2026-05-01"), "9.90");
    EXPECT_EQ(cost({contract}, kPayg, "2027-05-01"), "11.00");
    EXPECT_EQ(cost({contract}, {"aws", "gpt-5", "gpt-5/aws", ""}, "2026-05-01"), "11.00");
    contract.models = {"claude*"};
    EXPECT_EQ(cost({contract}, kPayg, "2026-05-01"), "11.00");
}

TEST(Compile, TokensOfProvisionedCapacityCostNothingMore) {
    Contract contract = year_of("c");
    contract.prices = {{.of = {.models = {"gpt-5"}},
        .prices = {{Meter::kInput, *UnitPrice::parse_per_million("0.5")}}}};
    contract.provisioned = {{.name = "p",
        .offers = {"gpt-5/ptu"},
        .units = 15,
        .hourly = *Money::parse("1"),
        .tokens_per_minute = 4750,
        .from = day("2026-03-01"),
        .to = day("2026-09-01")}};
    EXPECT_EQ(cost({contract}, kPayg, "2026-05-01"), "10.50");
    EXPECT_EQ(cost({contract}, kPtu, "2026-02-28"), "10.50");
    EXPECT_EQ(cost({contract}, kPtu, "2026-03-01"), "0.00");
    EXPECT_EQ(cost({contract}, kPtu, "2026-09-01"), "10.50");
}

TEST(Compile, CountersOfVolumeStepsAreNumberedOverAllContracts) {
    Contract a = year_of("a");
    a.models = {"x"};
    a.volumes = {{}, {}};
    Contract b = year_of("b");
    b.volumes = {{.of = {.models = {"y"}}}, {.of = {.models = {"gpt-5"}}}};
    const std::vector<Contract> contracts{a, b};
    EXPECT_EQ(first_counter(contracts, 1), 2);
    const auto terms = terms_of(contracts, kPayg);
    ASSERT_EQ(terms.size(), 1u);
    ASSERT_EQ(terms[0].volumes.size(), 1u);
    EXPECT_EQ(terms[0].volumes[0].counter, 3);
}

TEST(Windows, FollowEachOtherFromTheFirstDayOfTheTerm) {
    const Instant from = day("2026-01-31");
    const Instant to = day("2026-05-15");
    const auto months = periods_of(Per::kMonth, from, to);
    ASSERT_EQ(months.size(), 4u);
    EXPECT_EQ(months[0].end, day("2026-02-28"));
    EXPECT_EQ(months[1].end, day("2026-03-31"));  // a short month does not shorten the next
    EXPECT_EQ(months[3].end, to);
    Commitment commitment;
    commitment.amounts = {*Money::parse("10"), *Money::parse("20")};
    commitment.per = Per::kYear;
    commitment.milestones = {{day("2027-06-01"), *Money::parse("12")}};
    const auto windows = windows_of(commitment, day("2026-01-01"), day("2028-01-01"));
    ASSERT_EQ(windows.size(), 3u);
    EXPECT_EQ(windows[1], (Window{day("2027-01-01"), day("2028-01-01"), *Money::parse("20")}));
    EXPECT_TRUE(windows[2].is_milestone);
    EXPECT_EQ(windows[2].begin, day("2026-01-01"));
}

}  // namespace
}  // namespace entrepot::contracts
