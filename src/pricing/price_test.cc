#include "pricing/price.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <boost/multiprecision/cpp_int.hpp>
#include <random>

namespace entrepot::pricing {
namespace {

using canon::Meter;
using canon::Usage;
using Exact = boost::multiprecision::cpp_int;

Instant day(std::string_view date) { return *parse_instant(date); }
const Instant kToday = day("2026-11-23");

RateCard card_of(std::string_view id, Instant known_at = catalog::kForever) {
    const catalog::Catalog& catalog = catalog::Catalog::embedded();
    const catalog::Offer* offer = catalog.find_offer_id(id);
    EXPECT_NE(offer, nullptr) << id;
    return RateCard::compile(catalog, *offer, {}, known_at);
}

Usage usage(std::initializer_list<std::pair<Meter, std::int64_t>> counts) {
    Usage made;
    for (const auto& [meter, count] : counts) made[meter] = count;
    return made;
}

std::string total(const Usage& used, const RateCard& card, Instant at = kToday,
    const PriceOptions& options = {}) {
    const Result<Charge> charge = price(used, card, options, at);
    if (!charge) return charge.error().message;
    return charge->is_known ? charge->total.to_decimal() : "unknown";
}

RateCard card_from(std::initializer_list<NamedPrice> prices) {
    const std::vector<NamedPrice> list(prices);
    return *RateCard::from_prices(list, Currency{});
}

TEST(Price, AMillionTokensCostTheListPrice) {
    const RateCard luna = card_of("openai:api:global:openai.gpt-5.6-luna");
    EXPECT_EQ(total(usage({{Meter::kInput, 100'000}, {Meter::kOutput, 1'000'000}}), luna), "1.22");
    EXPECT_EQ(total(usage({{Meter::kInput, 1}}), luna), "0.0000002");
    EXPECT_EQ(total(usage({{Meter::kInput, 1}}), luna, day("2026-07-29")), "0.000001");
}

// Above 272,000 prompt tokens the whole request moves, and what was read from the cache counts
// towards the border.
TEST(Price, ALongPromptMovesTheWholeRequest) {
    const RateCard luna = card_of("openai:api:global:openai.gpt-5.6-luna");
    EXPECT_EQ(total(usage({{Meter::kInput, 272'000}, {Meter::kOutput, 1000}}), luna), "0.0556");
    EXPECT_EQ(total(usage({{Meter::kInput, 272'001}, {Meter::kOutput, 1000}}), luna), "0.1106004");
    const Usage cached =
        usage({{Meter::kInput, 1}, {Meter::kCacheRead, 272'000}, {Meter::kOutput, 1000}});
    EXPECT_EQ(total(cached, luna), "0.0126804");  // 0.40, 0.04 and 1.80 per million
    EXPECT_EQ(price(cached, luna, {}, kToday)->ctx_over, 272'000);
}

TEST(Price, AMeterWithoutAPriceUsesItsStandIn) {
    const RateCard card = card_from({{"input", "1"}, {"output", "2"}});
    const auto charge = price(usage({{Meter::kCacheRead, 10}, {Meter::kCacheWriteLong, 10},
                                  {Meter::kAudioIn, 10}, {Meter::kImageOut, 10}}),
        card, {}, kToday);
    ASSERT_TRUE(charge && charge->is_known);
    for (const ChargeLine& line : charge->lines())
        EXPECT_EQ(line.priced_as, line.meter == Meter::kImageOut ? Meter::kOutput : Meter::kInput);
    EXPECT_EQ(charge->total.to_decimal(), "0.00005");
    const RateCard writes = card_from({{"input", "1"}, {"cache_write", "1.25"}, {"output", "2"}});
    EXPECT_EQ(total(usage({{Meter::kCacheWriteLong, 1'000'000}}), writes), "1.25");
}

TEST(Price, ReasoningIsPaidAsOutputUnlessItHasAPrice) {
    const Usage used = usage({{Meter::kOutput, 1000}, {Meter::kReasoning, 400}});
    EXPECT_EQ(total(used, card_from({{"output", "10"}})), "0.01");
    EXPECT_EQ(total(used, card_from({{"output", "10"}, {"reasoning", "5"}})), "0.008");
}

// A price that is not known is a state: it must never look like a price of zero.
TEST(Price, AnUnknownPriceIsAState) {
    const Usage used = usage({{Meter::kInput, 10}, {Meter::kOutput, 10}});
    EXPECT_EQ(total(used, RateCard()), "unknown");
    EXPECT_EQ(total(used, card_from({{"input", "1"}})), "unknown");
    EXPECT_EQ(total(used, card_from({{"input", "0"}, {"output", "0"}})), "0.00");
    const auto part = price(used, card_from({{"input", "1"}}), {}, kToday);
    EXPECT_FALSE(part->is_known);
    EXPECT_TRUE(part->lines()[0].is_known);
    EXPECT_FALSE(part->lines()[1].is_known);
    // Before the first date of the list, and at a tier the list does not sell.
    const RateCard luna = card_of("openai:api:global:openai.gpt-5.6-luna");
    EXPECT_EQ(total(used, luna, day("2026-07-08")), "unknown");
    const RateCard opus = card_of("anthropic:api:global:anthropic.claude-opus-4.5");
    EXPECT_EQ(total(used, opus, kToday, {.tier = Tier::kFast}), "unknown");
    EXPECT_FALSE(estimate(used, RateCard(), {}, kToday).is_known);
    EXPECT_FALSE(worst_case({.prompt_tokens_max = 1}, RateCard(), {}, kToday).is_known);
}

TEST(Price, CountsBesideTokensCostOnlyWhereAPriceSaysSo) {
    const RateCard card = card_from({{"input", "1"}, {"output", "2"}});
    EXPECT_EQ(total(usage({{Meter::kInput, 1'000'000}, {Meter::kRequests, 1}, {Meter::kImages, 2}}),
                  card),
        "1.00");
    EXPECT_EQ(total(usage({{Meter::kInput, 1}, {Meter::kSearches, 1}}), card), "unknown");
    const RateCard searches = card_from({{"input", "1"}, {"searches", "10000"}});
    EXPECT_EQ(total(usage({{Meter::kSearches, 3}}), searches), "0.03");
    // Mistral states the tokens of a transcription that it sells by the second.
    const RateCard seconds = card_from({{"audio_seconds", "100"}});
    EXPECT_EQ(total(usage({{Meter::kAudioSeconds, 3}, {Meter::kInput, 4}, {Meter::kOutput, 20}}),
                  seconds),
        "0.0003");
    EXPECT_EQ(total(usage({{Meter::kInput, 4}}), seconds), "unknown");
    const RateCard both = card_from({{"audio_seconds", "100"}, {"input", "1"}});
    EXPECT_EQ(total(usage({{Meter::kAudioSeconds, 3}, {Meter::kOutput, 20}}), both), "unknown");
}

TEST(Price, BatchAndPriorityHaveTheirOwnRates) {
    const RateCard sonnet = card_of("anthropic:api:global:anthropic.claude-sonnet-4.5");
    const Usage used = usage({{Meter::kInput, 1000}, {Meter::kOutput, 1000}});
    EXPECT_EQ(total(used, sonnet), "0.018");
    EXPECT_EQ(total(used, sonnet, kToday, {.tier = Tier::kBatch}), "0.009");
}

// Bitemporal: what we would have charged on that day knowing what was published by then.
TEST(RateCard, LeavesOutWhatWasNotYetKnown) {
    const std::string id = "azure:foundry:global:openai.gpt-5.6-luna";
    EXPECT_EQ(total(usage({{Meter::kInput, 1000}}), card_of(id)), "0.0002");
    // The cut of 2026-08-01 was first seen on 2026-08-12 and later; on the 6th its price was not
    // known.
    EXPECT_EQ(
        total(usage({{Meter::kInput, 1000}}), card_of(id, day("2026-08-06")), day("2026-08-02")),
        "unknown");
    EXPECT_EQ(
        total(usage({{Meter::kInput, 1000}}), card_of(id, day("2026-08-06")), day("2026-07-20")),
        "0.001");
}

TEST(RateCard, AVersionNamesTheRatesItWasComputedWith) {
    const RateCard luna = card_of("openai:api:global:openai.gpt-5.6-luna");
    const std::string_view before = luna.at(day("2026-07-29"))->version.view();
    const std::string_view after = luna.at(kToday)->version.view();
    EXPECT_NE(before, after);
    EXPECT_TRUE(after.ends_with("@2026-07-30")) << after;
    EXPECT_EQ(after.size(), 23U);
    EXPECT_EQ(card_of("openai:api:global:openai.gpt-5.6-luna").at(kToday)->version.view(), after);
    const auto scaled = luna.scaled({11, 10}, Currency{});
    EXPECT_NE(scaled->at(kToday)->version.view(), after);
    EXPECT_EQ(price(usage({{Meter::kInput, 1}}), luna, {}, kToday)->version.view(), after);
    EXPECT_NE(card_from({{"input", "1"}}).epochs()[0].version.view(),
        card_from({{"input", "2"}}).epochs()[0].version.view());
}

TEST(RateCard, EveryOfferOfTheCatalogueCompilesAndPricesItsOwnMeters) {
    const catalog::Catalog& catalog = catalog::Catalog::embedded();
    std::size_t epochs = 0;
    for (const catalog::Offer& offer : catalog.offers()) {
        const RateCard card = RateCard::compile(catalog, offer);
        ASSERT_TRUE(card.has_prices()) << offer.id();
        Instant before = catalog::kBeginning;
        for (const RateCard::Epoch& epoch : card.epochs()) {
            ++epochs;
            EXPECT_GE(epoch.from, before) << offer.id();
            before = epoch.to;
            for (const RateCard::Band& band : epoch.bands)
                for (std::size_t m = 0; m < canon::kMeterCount; ++m)
                    if (band.own[m] >= 0) {
                        EXPECT_EQ(band.used[m], band.own[m]) << offer.id();
                    }
        }
        // Today's epoch prices each rate that is in force today at exactly that rate.
        for (const catalog::Rate& rate : catalog.rates(offer)) {
            if (rate.from > kToday || kToday >= rate.to) continue;
            const RateCard::Epoch* epoch = card.at(kToday);
            ASSERT_NE(epoch, nullptr);
            bool found = false;
            for (const RateCard::Band& band : epoch->tier(rate.tier))
                found = found ||
                    (band.ctx_over == rate.ctx_over &&
                        band.own[static_cast<std::size_t>(rate.meter)] >= 0);
            EXPECT_TRUE(found) << offer.id();
        }
    }
    EXPECT_GT(epochs, catalog.offers().size());
}

TEST(RateCard, AMisspelledMeterOrPriceIsNamed) {
    const std::vector<NamedPrice> meter{{"inptu", "1"}};
    const auto bad_meter = RateCard::from_prices(meter, Currency{});
    ASSERT_FALSE(bad_meter);
    EXPECT_NE(bad_meter.error().message.find("'input'"), std::string::npos);
    for (const std::string decimal : {"-1", "1e3", "", "0.0000001", "1,5"}) {
        const std::vector<NamedPrice> prices{{"input", decimal}};
        EXPECT_FALSE(RateCard::from_prices(prices, Currency{})) << decimal;
    }
}

TEST(Price, CountsThatCannotBeAreRefused) {
    const RateCard card = card_from({{"input", "1"}, {"output", "1"}});
    EXPECT_EQ(price(usage({{Meter::kInput, -1}}), card, {}, kToday).error().code,
        ErrorCode::kInvalidField);
    EXPECT_EQ(
        price(usage({{Meter::kReasoning, 2}, {Meter::kOutput, 1}}), card, {}, kToday).error().code,
        ErrorCode::kInvalidField);
    EXPECT_EQ(price(usage({{Meter::kInput, INT64_MAX}}), card, {}, kToday).error().code,
        ErrorCode::kInvalidField);
    EXPECT_FALSE(estimate(usage({{Meter::kInput, INT64_MAX}}), card, {}, kToday).is_known);
}

/// quantity x price x factor in unbounded integers, rounded half to even: the definition, computed
/// another way.
Exact oracle(std::int64_t quantity, std::int64_t pico, const Ratio& factor) {
    const Exact top = Exact(quantity) * pico * factor.numerator;
    Exact whole = top / factor.denominator;
    const Exact twice = (top - whole * factor.denominator) * 2;
    if (twice > factor.denominator || (twice == factor.denominator && whole % 2 != 0)) whole += 1;
    return whole;
}

Exact exact(Money money) { return Exact(to_string(money.pico())); }

// facts/billing: 10^7 lines a release; here 10^6 lines each time the tests run.
TEST(Price, AMillionRandomLinesAgreeWithExactRationalArithmetic) {
    std::mt19937_64 random(20'261'123);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    std::size_t lines = 0, differences = 0, ties = 0;
    while (lines < 1'000'000) {
        std::vector<NamedPrice> prices;
        for (const char* name :
            {"input", "cache_read", "cache_write", "cache_write_long", "output"})
            prices.emplace_back(name, UnitPrice::from_pico(below(200'000'000)).to_per_million());
        RateCard card = *RateCard::from_prices(prices, Currency{});
        const Ratio uplift{1 + below(30), std::int64_t{1} << below(6)};
        card = *card.scaled(uplift, Currency{});
        for (int round = 0; round < 200; ++round) {
            PriceOptions options;
            options.factor = {1 + below(1000), 1 + below(1000)};
            const Result<Ratio> factor = multiply(uplift, options.factor);
            Usage used;
            for (const Meter meter : {Meter::kInput, Meter::kCacheRead, Meter::kCacheWrite,
                     Meter::kCacheWriteLong, Meter::kOutput})
                used[meter] = 1 + below(below(2) == 0 ? 100 : 3'000'000);
            const Result<Charge> charge = price(used, card, options, kToday);
            ASSERT_TRUE(charge && charge->is_known);
            Exact sum = 0;
            for (const ChargeLine& line : charge->lines()) {
                ++lines;
                const Exact right = oracle(line.quantity, line.price.pico(), *factor);
                if (exact(line.cost) != right) ++differences;
                if (Exact(line.quantity) * line.price.pico() * factor->numerator * 2 %
                            factor->denominator ==
                        0 &&
                    Exact(line.quantity) * line.price.pico() * factor->numerator %
                            factor->denominator !=
                        0)
                    ++ties;
                sum += right;
            }
            if (exact(charge->total) != sum) ++differences;
            const Quote quote = estimate(used, card, options, kToday);
            if (!quote.is_known || quote.amount != charge->total) ++differences;
        }
    }
    EXPECT_EQ(differences, 0U);
    EXPECT_GT(ties, 1000U) << "the ties that rounding is about must occur";
}

// The promise of a hold: whatever is reported within the bounds costs no more than was held.
TEST(WorstCase, NoUsageWithinTheBoundsCostsMore) {
    const catalog::Catalog& catalog = catalog::Catalog::embedded();
    std::mt19937_64 random(7);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    std::size_t priced = 0, exceeded = 0;
    for (const catalog::Offer& offer : catalog.offers()) {
        const RateCard card = RateCard::compile(catalog, offer, Ratio{11, 10});
        for (int round = 0; round < 60; ++round) {
            Bounds bounds;
            bounds.prompt_tokens_max = 1 + below(400'000);
            bounds.output_tokens_max = below(20'000);
            bounds.has_images = below(2) == 0;
            bounds.has_audio = below(2) == 0;
            const Quote hold = worst_case(bounds, card, {}, kToday);
            if (!hold.is_known) continue;
            Usage used;
            std::int64_t rest =
                bounds.prompt_tokens_max - below(2) * below(bounds.prompt_tokens_max);
            std::vector<Meter> meters{
                Meter::kInput, Meter::kCacheRead, Meter::kCacheWrite, Meter::kCacheWriteLong};
            if (bounds.has_images) meters.push_back(Meter::kImageIn);
            if (bounds.has_audio)
                meters.insert(meters.end(), {Meter::kAudioIn, Meter::kAudioCacheRead});
            std::ranges::shuffle(meters, random);
            for (const Meter meter : meters) {
                const std::int64_t part = below(2) == 0 ? rest : below(rest + 1);
                used[meter] = part;
                rest -= part;
            }
            used[Meter::kOutput] = below(bounds.output_tokens_max + 1);
            used[Meter::kReasoning] = below(used[Meter::kOutput] + 1);
            used[Meter::kRequests] = 1;
            const Result<Charge> charge = price(used, card, {}, kToday);
            ASSERT_TRUE(charge);
            if (!charge->is_known || charge->total > hold.amount) ++exceeded;
            ++priced;
        }
    }
    EXPECT_EQ(exceeded, 0U);
    EXPECT_GT(priced, 100'000U);
}

TEST(WorstCase, TakesTheDearestTierThatWasAskedFor) {
    const RateCard sonnet = card_of("anthropic:api:global:anthropic.claude-sonnet-4.5");
    const Bounds standard{.prompt_tokens_max = 1000, .output_tokens_max = 1000};
    // The long cache write at 6 per million is the dearest a prompt token can cost.
    EXPECT_EQ(worst_case(standard, sonnet, {}, kToday).amount.to_decimal(), "0.021");
    Bounds batch = standard;
    batch.tiers = Bounds::tier_bit(Tier::kBatch) | Bounds::tier_bit(Tier::kStandard);
    EXPECT_EQ(worst_case(batch, sonnet, {}, kToday).amount.to_decimal(), "0.021");
    Bounds fast = standard;
    fast.tiers = Bounds::tier_bit(Tier::kFast);
    EXPECT_FALSE(worst_case(fast, sonnet, {}, kToday).is_known);
    // No flex price in Anthropic's list: whoever may serve flex or standard costs standard at most.
    Bounds flex = standard;
    flex.tiers = Bounds::tier_bit(Tier::kFlex) | Bounds::tier_bit(Tier::kStandard);
    EXPECT_EQ(worst_case(flex, sonnet, {}, kToday).amount.to_decimal(), "0.021");
    flex.tiers = Bounds::tier_bit(Tier::kFlex);
    EXPECT_FALSE(worst_case(flex, sonnet, {}, kToday).is_known);
    Bounds far = standard;
    far.prompt_tokens_max = 200'001;
    EXPECT_EQ(worst_case(far, sonnet, {}, kToday).amount.to_decimal(), "2.422512");
}

TEST(WorstCase, SaysHowMuchOutputWouldFit) {
    const RateCard card = card_from({{"input", "1"}, {"output", "10"}});
    const Bounds bounds{.prompt_tokens_max = 1000, .output_tokens_max = 4096};
    EXPECT_EQ(output_that_fits(bounds, card, {}, kToday, *Money::parse("0.002")), 100);
    EXPECT_EQ(output_that_fits(bounds, card, {}, kToday, *Money::parse("1")), 4096);
    EXPECT_EQ(output_that_fits(bounds, card, {}, kToday, *Money::parse("0.0009")), -1);
}

Bounds pieces(std::int64_t prompt = 0, std::int64_t output = 0) {
    return {.prompt_tokens_max = prompt, .output_tokens_max = output, .is_piecework = true};
}
std::string held(const Bounds& bounds, const RateCard& card) {
    const Quote quote = worst_case(bounds, card, {}, kToday);
    return quote.is_known ? quote.amount.to_decimal() : "unknown";
}

TEST(WorstCase, WorkByThePieceIsHeldAtWhatTheCardSells) {
    Bounds spoken = pieces(4096, 0);
    spoken.characters_max = 4096;
    EXPECT_EQ(held(spoken, card_from({{"characters", "15"}})), "0.06144");
    Bounds made = pieces(100, 0);
    made.images_max = 3;
    EXPECT_EQ(held(made, card_from({{"images", "20000"}})), "0.06");
    Bounds heard = pieces(10, 0);
    heard.audio_seconds_max = 90;
    EXPECT_EQ(held(heard, card_from({{"audio_seconds", "100"}})), "0.009");
    // Tokens, and a piece beside them.
    EXPECT_EQ(held(pieces(100, 1000), card_from({{"input", "1"}, {"output", "2"}})), "0.0021");
    EXPECT_EQ(
        held(made, card_from({{"input", "1"}, {"output", "2"}, {"images", "20000"}})), "0.0601");
}

TEST(WorstCase, WorkByThePieceThatTheCardDoesNotSellIsUnknown) {
    Bounds made = pieces(100, 0);
    made.images_max = 3;
    EXPECT_EQ(held(made, card_from({{"characters", "15"}})), "unknown");
    EXPECT_EQ(held(made, card_from({{"audio_seconds", "15"}, {"input", "1"}})), "unknown");
    EXPECT_EQ(held(pieces(100, 10), card_from({{"input", "1"}})), "unknown");
    // An answer of tokens that nothing bounds; sold by the piece it does not matter.
    made.is_output_unbounded = true;
    EXPECT_EQ(held(made, card_from({{"input", "1"}, {"image_out", "40"}})), "unknown");
    EXPECT_EQ(held(made, card_from({{"images", "20000"}})), "0.06");
}

TEST(WorstCase, NoUsageOfWorkByThePieceCostsMore) {
    std::mt19937_64 random(20261123);
    const auto below = [&](std::int64_t most) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most + 1));
    };
    constexpr std::array kPriced{"input", "output", "image_in", "image_out", "audio_in",
        "audio_out", "cache_read", "images", "characters", "audio_seconds", "searches"};
    int known = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::vector<NamedPrice> prices;
        for (const char* meter : kPriced)
            if (random() % 3 == 0) prices.emplace_back(meter, std::to_string(1 + below(1000)));
        if (prices.empty()) continue;
        const RateCard card = *RateCard::from_prices(prices, Currency{});
        Bounds bounds = pieces(1 + below(1000), below(1000));
        bounds.has_images = bounds.may_answer_images = true;
        bounds.has_audio = bounds.may_answer_audio = true;
        bounds.images_max = below(3);
        bounds.characters_max = below(100);
        bounds.audio_seconds_max = below(100);
        bounds.searches_max = below(3);
        const Quote hold = worst_case(bounds, card, {}, kToday);
        if (!hold.is_known) continue;
        Usage used;
        std::int64_t prompt = bounds.prompt_tokens_max;
        for (const Meter meter :
            {Meter::kInput, Meter::kImageIn, Meter::kAudioIn, Meter::kCacheRead})
            prompt -= used[meter] = below(prompt);
        std::int64_t answer = bounds.output_tokens_max;
        for (const Meter meter : {Meter::kOutput, Meter::kImageOut, Meter::kAudioOut})
            answer -= used[meter] = below(answer);
        used[Meter::kImages] = below(bounds.images_max);
        used[Meter::kCharacters] = below(bounds.characters_max);
        used[Meter::kAudioSeconds] = below(bounds.audio_seconds_max);
        used[Meter::kSearches] = below(bounds.searches_max);
        const Quote cost = estimate(used, card, {}, kToday);
        if (!cost.is_known) continue;
        ++known;
        ASSERT_LE(cost.amount, hold.amount) << i;
    }
    EXPECT_GT(known, 1000);
}

// 1.50 in place of the list's 1.00 from the second day on, in one band; the rest stays.
TEST(RateCard, WithOwnRatesThoseStandInPlaceOfTheList) {
    const std::vector<NamedPrice> prices{{"input", "1.00"}, {"output", "2.00"}};
    const RateCard list = RateCard::from_prices(prices, Currency()).value();
    constexpr Instant kSecond{86'400LL * 1'000'000'000};
    const std::vector<catalog::Rate> own{
        {.meter = Meter::kInput,
            .price = UnitPrice::parse_per_million("1.50").value(),
            .from = kSecond,
            .seen = Instant{2},
            .sources = "own"},
        {.meter = Meter::kInput,
            .price = UnitPrice::parse_per_million("1.40").value(),
            .from = kSecond,
            .seen = Instant{1},
            .sources = "own"},
        {.ctx_over = 1000,
            .meter = Meter::kOutput,
            .price = UnitPrice::parse_per_million("9.00").value(),
            .from = kSecond,
            .seen = Instant{3},
            .sources = "own"},
    };
    const RateCard card = list.with(own, "m/a").value();
    const auto input = [&](std::int64_t over, Meter meter, Instant at) {
        return price_line({Tier::kStandard, over, meter, 1'000'000}, card, at)
            .value()
            .cost.to_decimal();
    };
    EXPECT_EQ(input(0, Meter::kInput, Instant{0}), "1.00");
    EXPECT_EQ(input(0, Meter::kInput, kSecond), "1.50");
    EXPECT_EQ(input(0, Meter::kOutput, kSecond), "2.00");
    EXPECT_EQ(input(1000, Meter::kOutput, kSecond), "9.00");
    EXPECT_EQ(input(1000, Meter::kInput, kSecond), "1.50") << "the floor of the short band";
    EXPECT_EQ(card.at(Instant{0})->version, list.at(Instant{0})->version)
        << "what the rates leave alone keeps its name";
    EXPECT_NE(card.at(kSecond)->version, list.at(kSecond)->version);
    // An uplift of the list goes into what stays of it, where that is exact.
    const RateCard lifted = list.scaled(Ratio{11, 10}, Currency()).value().with(own, "m/a").value();
    EXPECT_EQ(price_line({Tier::kStandard, 0, Meter::kOutput, 1'000'000}, lifted, kSecond)
                  ->cost.to_decimal(),
        "2.20");
    EXPECT_EQ(price_line({Tier::kStandard, 0, Meter::kInput, 1'000'000}, lifted, kSecond)
                  ->cost.to_decimal(),
        "1.50");
    EXPECT_FALSE(list.scaled(Ratio{1, 3}, Currency()).value().with(own, "m/a"));
}

}  // namespace
}  // namespace entrepot::pricing
