#include "pricing/terms.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <random>

#include "pricing/price.h"

namespace entrepot::pricing {
namespace {

using canon::Meter;
using canon::Usage;
using Exact = boost::multiprecision::cpp_rational;
using ExactInt = boost::multiprecision::cpp_int;

Instant day(std::string_view date) { return *parse_instant(date); }
const Instant kToday = day("2026-11-23");

Usage usage(std::initializer_list<std::pair<Meter, std::int64_t>> counts) {
    Usage made;
    for (const auto& [meter, count] : counts) made[meter] = count;
    return made;
}

RateCard card_from(std::initializer_list<NamedPrice> prices) {
    const std::vector<NamedPrice> list(prices);
    return *RateCard::from_prices(list, Currency{});
}

RateCard under(const RateCard& list, Terms terms) {
    if (terms.contract.empty()) terms.contract = "acme";
    const Result<RateCard> card = list.under(std::span(&terms, 1));
    EXPECT_TRUE(card) << card.error().message;
    return card ? *card : RateCard();
}

/// `list cost` of a charge.
std::string both(const Usage& used, const RateCard& card, const PriceOptions& options = {},
    Instant at = kToday) {
    const Result<Charge> charge = price(used, card, options, at);
    if (!charge) return charge.error().message;
    return (charge->is_list_known ? charge->list_total.to_decimal() : "unknown") + " " +
        (charge->is_known ? charge->total.to_decimal() : "unknown");
}

TermPrice stated(Meter meter, std::string_view per_million, std::int64_t ctx_over = 0) {
    return {
        .ctx_over = ctx_over, .meter = meter, .price = *UnitPrice::parse_per_million(per_million)};
}

const RateCard kCard = card_from({{"input", "1"}, {"cache_read", "0.1"}, {"output", "4"}});
const Usage kMillion = usage(
    {{Meter::kInput, 1'000'000}, {Meter::kCacheRead, 1'000'000}, {Meter::kOutput, 1'000'000}});

TEST(Terms, WithoutAContractTheListIsPaid) {
    EXPECT_EQ(both(kMillion, kCard), "5.10 5.10");
    EXPECT_FALSE(price(kMillion, kCard, {}, kToday)->is_contracted);
    EXPECT_EQ(both(kMillion, under(kCard, {})), "5.10 5.10");
    EXPECT_TRUE(price(kMillion, under(kCard, {}), {}, kToday)->is_contracted);
    EXPECT_EQ(under(kCard, {}).at(kToday)->contract, "acme");
}

TEST(Terms, DiscountsOffTheListAddUpAndThoseOffTheNetFollow) {
    Terms terms;
    terms.discounts = {{.off = {1, 10}}, {.meters = bit_of(Meter::kOutput), .off = {2, 10}},
        {.off = {5, 100}, .is_of_net = true}};
    // (1.1 x 0.9 + 4 x 0.7) x 0.95
    EXPECT_EQ(both(kMillion, under(kCard, terms)), "5.10 3.6005");
}

TEST(Terms, AStatedPriceStandsInPlaceOfTheListsAndOnlyTheNetDiscountTouchesIt) {
    Terms terms;
    terms.prices = {stated(Meter::kOutput, "3")};
    terms.discounts = {{.off = {1, 2}}, {.off = {1, 10}, .is_of_net = true}};
    EXPECT_EQ(both(kMillion, under(kCard, terms)), "5.10 3.195");
}

// What reads from the cache has a price of its own at the list: stating that of the input leaves
// it.
TEST(Terms, AStatedPriceStandsInForMetersThatTheListDoesNotPriceApart) {
    Terms terms;
    terms.prices = {stated(Meter::kInput, "0.5")};
    const RateCard card = under(kCard, terms);
    EXPECT_EQ(both(usage({{Meter::kCacheRead, 1'000'000}}), card), "0.10 0.10");
    EXPECT_EQ(both(usage({{Meter::kCacheWrite, 1'000'000}}), card), "1.00 0.50");
    EXPECT_EQ(price(usage({{Meter::kCacheWrite, 1}}), card, {}, kToday)->lines()[0].priced_as,
        Meter::kInput);
}

TEST(Terms, AContractMayPriceWhatTheListDoesNot) {
    Terms terms;
    terms.prices = {stated(Meter::kInput, "1"), stated(Meter::kOutput, "2")};
    const RateCard card = under(RateCard(), terms);
    EXPECT_EQ(both(usage({{Meter::kInput, 1'000'000}}), card), "unknown 1.00");
    EXPECT_TRUE(has_price(card, Meter::kInput, kToday));
    EXPECT_TRUE(worst_case({.prompt_tokens_max = 1}, card, {}, kToday).is_known);
    EXPECT_EQ(both(usage({{Meter::kInput, 1}}), card, {.tier = Tier::kBatch}), "unknown unknown");
    Terms parted;
    parted.prices = {stated(Meter::kReasoning, "1")};
    EXPECT_EQ(both(usage({{Meter::kOutput, 1'000'000}, {Meter::kReasoning, 500'000}}),
                  under(kCard, parted)),
        "4.00 2.50");
}

TEST(Terms, APriceForLongPromptsHoldsAboveItsBorder) {
    Terms terms;
    terms.prices = {stated(Meter::kInput, "0.5"), stated(Meter::kInput, "0.8", 200'000)};
    const RateCard card = under(kCard, terms);
    EXPECT_EQ(both(usage({{Meter::kInput, 200'000}}), card), "0.20 0.10");
    EXPECT_EQ(both(usage({{Meter::kInput, 200'001}}), card), "0.200001 0.1600008");
    EXPECT_EQ(price(usage({{Meter::kInput, 200'001}}), card, {}, kToday)->ctx_over, 200'000);
}

TEST(Terms, HoldOnlyWhileTheContractRuns) {
    Terms terms{.contract = "year", .from = day("2026-01-01"), .to = day("2027-01-01")};
    terms.discounts = {{.off = {1, 2}, .from = day("2026-07-01")}};
    const RateCard card = under(kCard, terms);
    EXPECT_EQ(both(kMillion, card, {}, day("2025-12-31")), "5.10 5.10");
    EXPECT_EQ(both(kMillion, card, {}, day("2026-06-30")), "5.10 5.10");
    EXPECT_EQ(both(kMillion, card, {}, day("2026-07-01")), "5.10 2.55");
    EXPECT_EQ(both(kMillion, card, {}, day("2027-01-01")), "5.10 5.10");
    // Before and after, the rates are the list's, and so is their version.
    EXPECT_EQ(card.at(day("2025-12-31"))->version, kCard.at(kToday)->version);
    EXPECT_EQ(card.at(day("2027-01-01"))->version, kCard.at(kToday)->version);
    EXPECT_FALSE(card.at(day("2026-06-30"))->version == card.at(day("2026-07-01"))->version);
}

TEST(Terms, OneOfferHasOneContractAtATime) {
    const Terms a{.contract = "a", .to = day("2027-01-01")};
    const Terms b{.contract = "b", .from = day("2026-12-31")};
    const Terms both_of_them[] = {a, b};
    const auto card = kCard.under(both_of_them);
    ASSERT_FALSE(card);
    EXPECT_NE(card.error().message.find("'a' and 'b'"), std::string::npos);
    Terms greedy;
    greedy.discounts = {{.off = {3, 5}}, {.off = {1, 2}}};
    EXPECT_NE(kCard.under(std::span(&greedy, 1)).error().message.find("more than the whole"),
        std::string::npos);
}

TEST(Terms, ALineIsRoundedOnceAtTheContractsDecimals) {
    Terms terms;
    terms.discounts = {{.off = {1, 3}}};
    terms.rounding = {Rounding::kHalfUp, 6};
    const RateCard card = under(kCard, terms);
    // Two thirds of 1 and of 4 millionths.
    EXPECT_EQ(both(usage({{Meter::kInput, 1}, {Meter::kOutput, 1}}), card), "0.000005 0.000004");
    EXPECT_LE(price(usage({{Meter::kInput, 1}}), card, {}, kToday)->total,
        worst_case({.prompt_tokens_max = 1}, card, {}, kToday).amount);
}

TermVolume volume_of(TermVolume::Measure measure, TermVolume::Reprices reprices,
    std::initializer_list<TermVolume::Step> steps) {
    TermVolume volume;
    volume.measure = measure;
    volume.reprices = reprices;
    volume.steps = steps;
    return volume;
}

TEST(Terms, AMarginalStepTakesItsPartOfTheLineThatCrossesIt) {
    Terms terms;
    terms.volumes = {volume_of(TermVolume::Measure::kUnits, TermVolume::Reprices::kMarginal,
        {{1'000'000, {1, 10}}, {2'000'000, {1, 2}}})};
    const RateCard card = under(kCard, terms);
    const auto cost = [&](Int128 running, std::int64_t quantity) {
        return both(usage({{Meter::kInput, quantity}}), card, {.running = std::span(&running, 1)});
    };
    EXPECT_EQ(cost(0, 1'000'000), "1.00 1.00");
    EXPECT_EQ(cost(0, 1'000'001), "1.000001 1.0000009");
    EXPECT_EQ(cost(999'999, 2), "0.000002 0.0000019");
    EXPECT_EQ(cost(0, 3'000'000), "3.00 2.40");
    EXPECT_EQ(cost(5'000'000, 10), "0.00001 0.000005");
    // Lines of one request count on: a million of input, then output above the first border.
    EXPECT_EQ(
        both(usage({{Meter::kInput, 1'000'000}, {Meter::kOutput, 1'000'000}}), card), "5.00 4.60");
}

TEST(Terms, AStepBySpendIsMeasuredInListCost) {
    Terms terms;
    terms.volumes = {volume_of(TermVolume::Measure::kSpend, TermVolume::Reprices::kMarginal,
        {{Money::parse("10.00")->pico(), {1, 10}}})};
    terms.discounts = {{.off = {1, 5}, .is_of_net = true}};
    const RateCard card = under(kCard, terms);
    const Int128 running = Money::parse("9.50")->pico();
    // 0.50 at the list, 0.50 less a tenth, and a fifth off both.
    EXPECT_EQ(both(usage({{Meter::kInput, 1'000'000}}), card, {.running = std::span(&running, 1)}),
        "1.00 0.76");
}

TEST(Terms, AStepMayStateAPrice) {
    Terms terms;
    terms.volumes = {volume_of(TermVolume::Measure::kUnits, TermVolume::Reprices::kMarginal,
        {{1'000'000, {0, 1}, *UnitPrice::parse_per_million("0.6")},
            {2'000'000, {0, 1}, *UnitPrice::parse_per_million("1.5")}})};
    terms.volumes[0].meters = bit_of(Meter::kInput);
    terms.discounts = {{.off = {1, 10}}, {.off = {1, 2}, .is_of_net = true}};
    const RateCard card = under(kCard, terms);
    // (0.9 + 0.6 + 1.5) / 2; and a hold knows that the last step is the dearest.
    EXPECT_EQ(both(usage({{Meter::kInput, 3'000'000}}), card), "3.00 1.50");
    EXPECT_EQ(
        worst_case({.prompt_tokens_max = 1'000'000}, card, {}, kToday).amount.to_decimal(), "0.75");
}

TEST(Terms, AWholeStepHoldsForWhatFollows) {
    Terms terms;
    terms.volumes = {volume_of(
        TermVolume::Measure::kUnits, TermVolume::Reprices::kWhole, {{1'000'000, {1, 2}}})};
    const RateCard card = under(kCard, terms);
    const auto cost = [&](Int128 running) {
        return both(usage({{Meter::kInput, 10}}), card, {.running = std::span(&running, 1)});
    };
    EXPECT_EQ(cost(999'999), "0.00001 0.00001");
    EXPECT_EQ(cost(1'000'000), "0.00001 0.000005");
}

// ---- against exact rationals ----

Exact exact(const Ratio& ratio) { return Exact(ratio.numerator, ratio.denominator); }
ExactInt exact(Int128 value) { return ExactInt(to_string(value)); }

ExactInt round_exact(const Exact& value, const RoundingRule& rule) {
    const ExactInt step = boost::multiprecision::pow(ExactInt(10), 12u - rule.decimals);
    const Exact scaled = value / step;
    ExactInt floor =
        numerator(scaled) / denominator(scaled);  // towards zero; values are not negative
    const Exact rest = scaled - floor;
    const Exact half(1, 2);
    bool up = false;
    switch (rule.mode) {
        case Rounding::kUp: up = rest > 0; break;
        case Rounding::kDown: break;
        case Rounding::kHalfUp: up = rest >= half; break;
        case Rounding::kHalfEven: up = rest > half || (rest == half && floor % 2 != 0); break;
    }
    if (up) ++floor;
    return floor * step;
}

struct World {
    std::array<std::int64_t, canon::kMeterCount> list{};
    Ratio uplift;
    Terms terms;
    RateCard card;
};

constexpr std::array kMeters{Meter::kInput, Meter::kCacheRead, Meter::kOutput};

World random_world(std::mt19937_64& random) {
    const auto pick = [&](std::int64_t least, std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(random);
    };
    World world;
    std::vector<catalog::Rate> rates;
    for (const Meter meter : kMeters) {
        world.list[static_cast<std::size_t>(meter)] = pick(1, 100'000'000);
        rates.push_back({.meter = meter,
            .price = UnitPrice::from_pico(world.list[static_cast<std::size_t>(meter)])});
    }
    static constexpr std::array kUplifts{Ratio{}, Ratio{11, 10}, Ratio{6, 5}, Ratio{23, 7}};
    world.uplift = kUplifts[static_cast<std::size_t>(pick(0, 3))];
    Terms& terms = world.terms;
    terms.contract = "c";
    terms.rounding = {static_cast<Rounding>(pick(0, 3)), static_cast<std::uint8_t>(pick(4, 12))};
    for (std::int64_t i = pick(0, 3); i > 0; --i)
        terms.discounts.push_back({.meters = static_cast<MeterSet>(pick(0, kAllMeters)),
            .off = *Ratio::parse(fmt::format("{}/1000", pick(0, 200))),
            .is_of_net = pick(0, 1) == 1});
    if (pick(0, 3) == 0)
        terms.prices.push_back({.meter = kMeters[static_cast<std::size_t>(pick(0, 2))],
            .price = UnitPrice::from_pico(pick(0, 50'000'000))});
    if (pick(0, 1) == 0) {
        TermVolume volume;
        volume.measure = static_cast<TermVolume::Measure>(pick(0, 1));
        volume.reprices = static_cast<TermVolume::Reprices>(pick(0, 1));
        const Int128 unit = volume.measure == TermVolume::Measure::kUnits ? 1 : 20'000'000;
        Int128 over = 0;
        for (std::int64_t i = pick(1, 3); i > 0; --i) {
            over += unit * pick(1, 1'000'000);
            volume.steps.push_back({over, *Ratio::parse(fmt::format("{}/100", pick(0, 40)))});
        }
        if (pick(0, 2) == 0) {
            volume.meters = bit_of(kMeters[static_cast<std::size_t>(pick(0, 2))]);
            for (TermVolume::Step& step : volume.steps)
                step.price = UnitPrice::from_pico(pick(0, 120'000'000));
        }
        terms.volumes.push_back(std::move(volume));
    }
    world.card = *RateCard::from_rates(rates, "w", world.uplift).under(std::span(&terms, 1));
    return world;
}

/// What `amount`, bought above `running`, has taken off it, as a fraction of the list times amount;
/// `off_at` is that of one step.
template <typename OffAt>
Exact off_of(const TermVolume& volume, ExactInt running, ExactInt amount, OffAt&& off_at) {
    if (volume.reprices == TermVolume::Reprices::kWhole) {
        Exact off = 0;
        for (const TermVolume::Step& step : volume.steps)
            if (running >= exact(step.over)) off = off_at(step);
        return off * amount;
    }
    // The sum over all units, as a difference of what each threshold leaves above it.
    Exact sum = 0;
    Exact before = 0;
    const auto above = [](const ExactInt& at, const ExactInt& over) {
        return at > over ? ExactInt(at - over) : ExactInt(0);
    };
    for (const TermVolume::Step& step : volume.steps) {
        const ExactInt part =
            above(running + amount, exact(step.over)) - above(running, exact(step.over));
        sum += (off_at(step) - before) * part;
        before = off_at(step);
    }
    return sum;
}

TEST(Terms, EveryLineEqualsTheExactRationalRoundedOnce) {
    std::mt19937_64 random(4);
    int differences = 0;
    int exceeded = 0;
    for (int i = 0; i < 10'000; ++i) {
        const World world = random_world(random);
        const Terms& terms = world.terms;
        Usage used;
        for (const Meter meter : kMeters)
            used[meter] = std::uniform_int_distribution<std::int64_t>(0, 2'000'000)(random);
        const Int128 running =
            Int128{std::uniform_int_distribution<std::int64_t>(0, 3'000'000)(random)} *
            (terms.volumes.empty() || terms.volumes[0].measure == TermVolume::Measure::kUnits
                    ? 1
                    : 20'000'000);
        const auto charge = price(used, world.card, {.running = std::span(&running, 1)}, kToday);
        ASSERT_TRUE(charge && charge->is_known && charge->is_list_known);
        ExactInt counted = exact(running);
        ExactInt total = 0;
        for (const ChargeLine& line : charge->lines()) {
            const std::size_t m = static_cast<std::size_t>(line.meter);
            const Exact list = Exact(world.list[m]) * line.quantity * exact(world.uplift);
            if (exact(line.list.pico()) != round_exact(list, {})) ++differences;
            Exact left = 1;
            Exact net = 1;
            for (const TermDiscount& discount : terms.discounts) {
                if ((discount.meters >> m & 1U) == 0) continue;
                if (discount.is_of_net)
                    net *= 1 - exact(discount.off);
                else
                    left -= exact(discount.off);
            }
            Exact cost = list * left * net;
            if (!terms.prices.empty() && terms.prices[0].meter == line.meter) {
                cost = Exact(terms.prices[0].price.pico()) * line.quantity * net;
            } else if (!terms.volumes.empty() && (terms.volumes[0].meters >> m & 1U) != 0) {
                const TermVolume& volume = terms.volumes[0];
                const bool by_units = volume.measure == TermVolume::Measure::kUnits;
                const ExactInt amount =
                    by_units ? ExactInt(line.quantity) : exact(line.list.pico());
                const auto off_at = [&](const TermVolume::Step& step) -> Exact {
                    if (!step.price) return exact(step.off);
                    return left - Exact(step.price->pico()) / (world.list[m] * exact(world.uplift));
                };
                Exact off = off_of(volume, counted, amount, off_at);
                if (by_units || volume.reprices == TermVolume::Reprices::kWhole)
                    off = amount == 0 ? Exact(0) : Exact(off / amount * list);
                cost -= off * net;
                if (cost < 0) cost = 0;
                counted += amount;
            }
            if (exact(line.cost.pico()) != round_exact(cost, terms.rounding)) ++differences;
            total += round_exact(cost, terms.rounding);
        }
        if (exact(charge->total.pico()) != total) ++differences;
        const Bounds bounds{
            .prompt_tokens_max = used.prompt_tokens(), .output_tokens_max = used[Meter::kOutput]};
        const Quote hold = worst_case(bounds, world.card, {}, kToday);
        if (!hold.is_known || hold.amount < charge->total) ++exceeded;
        const Quote quote = estimate(used, world.card, {.running = std::span(&running, 1)}, kToday);
        if (!quote.is_known || quote.amount != charge->total) ++differences;
    }
    EXPECT_EQ(differences, 0);
    EXPECT_EQ(exceeded, 0);
}

}  // namespace
}  // namespace entrepot::pricing
