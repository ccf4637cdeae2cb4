#include "routing/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "routing/explain.h"

namespace entrepot::routing {
namespace {

using catalog::CloudKind;

const Now kNow{*parse_instant("2026-11-23"), MonotonicTime{1'000'000'000'000}};

std::shared_ptr<const pricing::RateCard> card(
    std::string input, std::string output, std::string cache_read = {}) {
    std::vector<pricing::NamedPrice> prices{{"input", input}, {"output", output}};
    if (!cache_read.empty()) prices.emplace_back("cache_read", cache_read);
    return std::make_shared<const pricing::RateCard>(
        *pricing::RateCard::from_prices(prices, Currency{}));
}

Offer offer(
    std::string cloud, std::string input, std::string output, std::string region = "us-east-1") {
    Offer made;
    made.id = OfferId("m/" + cloud);
    made.model = ModelId("m");
    made.cloud = CloudId(cloud);
    made.kind = CloudKind::kAzure;
    made.provider_model_id = "m-1";
    made.residency = catalog::residency_of(made.kind, region, made.provider_model_id);
    made.card = card(input, output);
    made.limits = {128'000, 4096};
    return made;
}

RequestFacts chat() {
    RequestFacts facts;
    facts.model = "m";
    facts.shape.prompt_bytes = 4000;
    facts.shape.messages = 2;
    facts.shape.output_cap = 500;
    return facts;
}

/// `aws gcp -azure:breaker_open`: the order, then what is excluded and why.
std::string order(const Result<Plan>& plan, const OfferTable& table) {
    if (!plan) return std::string(error_code_name(plan.error().code));
    std::string out;
    for (const Attempt& attempt : plan->attempts) {
        if (!out.empty()) out += ' ';
        out += table.offer(attempt.offer).cloud.view();
        if (attempt.reason == Reason::kLastResort || attempt.reason == Reason::kProbe)
            out += fmt::format(":{}", reason_name(attempt.reason));
    }
    for (const Exclusion& exclusion : plan->excluded)
        out += fmt::format(
            " -{}:{}", table.offer(exclusion.offer).cloud.view(), reason_name(exclusion.reason));
    return out;
}

void fail_times(Health& health, std::uint32_t offer, int times, MonotonicTime now) {
    for (int i = 0; i < times; ++i) {
        health.began(offer, now);
        health.ended(offer, Outcome::kFailed, {}, {}, now);
    }
}

// The promise of a budget rests on caps that are enforced: such an offer must not serve again, also
// when everything else is down.
TEST(Plan, AnOfferThatWentBeyondItsHoldIsNoLastResort) {
    const OfferTable table({offer("loose", "1", "1"), offer("strict", "2", "2")});
    Health health(table);
    health.take_out(0);
    const Memory memory{&health, nullptr, nullptr};
    EXPECT_EQ(order(make_plan(chat(), table, memory, kNow), table), "strict -loose:taken_out");
    fail_times(health, 1, 5, kNow.steady);
    EXPECT_EQ(order(make_plan(chat(), table, memory, kNow), table),
        "strict:last_resort -loose:taken_out");
    health.take_out(1);
    const auto plan = make_plan(chat(), table, memory, kNow);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code, ErrorCode::kNoOffer);
    EXPECT_NE(plan.error().cause.find("does not enforce the cap"), std::string::npos)
        << plan.error().cause;
    Health after = health.carried_to(table, table);
    EXPECT_TRUE(make_plan(chat(), table, {&after, nullptr, nullptr}, kNow));
}

TEST(Plan, GoesWhereTheRequestIsExpectedToCostLeast) {
    const OfferTable table(
        {offer("dear", "2", "8"), offer("cheap", "1", "4"), offer("middle", "1", "5")});
    const auto plan = make_plan(chat(), table, {}, kNow);
    EXPECT_EQ(order(plan, table), "cheap middle dear");
    const Attempt& first = plan->attempts[0];
    EXPECT_EQ(first.reason, Reason::kCheapest);
    EXPECT_EQ(plan->attempts[1].reason, Reason::kNextCheapest);
    // 1,001 prompt tokens at 1 and 256 of 500 output tokens at 4 per million.
    EXPECT_EQ(first.expected.to_decimal(), "0.002025");
    // 4,000 bytes, 1 + 64 and twice 16 of overhead; all 500 output tokens.
    EXPECT_EQ(first.hold.to_decimal(), "0.006097");
}

// A cheap prompt price does not help a model that answers at length: what was learned decides.
TEST(Plan, TheLearnedLengthOfAnswersDecides) {
    const OfferTable table({offer("wordy", "1", "20"), offer("terse", "4", "4")});
    RequestFacts facts = chat();
    facts.shape.output_cap = 4000;
    facts.length_key = 42;
    OutputLengths lengths;
    Memory memory{.lengths = &lengths};
    EXPECT_EQ(order(make_plan(facts, table, memory, kNow), table), "terse wordy");
    for (int i = 0; i < 30; ++i) lengths.learn(42, 20);
    EXPECT_EQ(order(make_plan(facts, table, memory, kNow), table), "wordy terse");
    for (int i = 0; i < 100; ++i) lengths.learn(42, 3000);
    EXPECT_EQ(order(make_plan(facts, table, memory, kNow), table), "terse wordy");
}

// A warm prompt cache at the dearer supplier can beat the cheaper one; when it has cooled it does
// not.
TEST(Plan, AWarmPromptCacheDrawsTheRequestUntilItCools) {
    Offer warm = offer("warm", "1.2", "4");
    warm.card = card("1.2", "4", "0.12");
    const OfferTable table({offer("cold", "1", "4"), warm});
    RequestFacts facts = chat();
    facts.prefix_hash = 7;
    WarmCaches caches;
    Memory memory{.caches = &caches};
    EXPECT_EQ(order(make_plan(facts, table, memory, kNow), table), "cold warm");
    caches.learn(7, table.offer(1).stable_key, 900, seconds(300), kNow.steady);
    const auto plan = make_plan(facts, table, memory, kNow);
    EXPECT_EQ(order(plan, table), "warm cold");
    EXPECT_EQ(plan->attempts[0].expected_cache_read, 900);
    const Now later{kNow.wall, kNow.steady + seconds(300)};
    EXPECT_EQ(order(make_plan(facts, table, memory, later), table), "cold warm");
}

TEST(Plan, EqualCostGoesToTheHealthierThenTheFasterThenTheIdler) {
    const OfferTable table({offer("a", "1", "4"), offer("b", "1", "4")});
    const auto plan_with = [&](const Health& health) {
        return order(make_plan(chat(), table, {.health = &health}, kNow), table);
    };
    Health health(table);
    EXPECT_EQ(plan_with(health), "a b") << "as configured";
    health.began(0, kNow.steady);
    EXPECT_EQ(plan_with(health), "b a") << "a has one in flight";
    health.ended(0, Outcome::kServed, milliseconds(900), {}, kNow.steady);
    health.began(1, kNow.steady);
    health.ended(1, Outcome::kServed, milliseconds(200), {}, kNow.steady);
    EXPECT_EQ(plan_with(health), "b a") << "b answers sooner";
    fail_times(health, 1, 2, kNow.steady);
    EXPECT_EQ(plan_with(health), "a b") << "b fails";
}

TEST(Plan, ABrokenOfferIsLeftOutWhileAnotherServesAndProbedWhenItsTimeIsUp) {
    const OfferTable table({offer("cheap", "1", "4"), offer("dear", "2", "8")});
    Health health(table);
    fail_times(health, 0, 5, kNow.steady);
    const Memory memory{.health = &health};
    EXPECT_EQ(order(make_plan(chat(), table, memory, kNow), table), "dear -cheap:breaker_open");
    const Now later{kNow.wall, kNow.steady + seconds(5)};
    EXPECT_EQ(order(make_plan(chat(), table, memory, later), table), "cheap:probe dear");
    health.began(0, later.steady);  // the probe is on its way: nobody else may follow it
    EXPECT_EQ(order(make_plan(chat(), table, memory, later), table), "dear -cheap:breaker_open");
    health.ended(0, Outcome::kServed, milliseconds(100), {}, later.steady);
    EXPECT_EQ(order(make_plan(chat(), table, memory, later), table), "cheap dear");
}

TEST(Plan, WhenNothingIsFitTheSoonestToRecoverIsTheLastResort) {
    const OfferTable table({offer("a", "1", "4"), offer("b", "2", "8")});
    Health health(table);
    fail_times(health, 0, 5, kNow.steady);
    health.began(1, kNow.steady);
    health.ended(1, Outcome::kRateLimited, {}, seconds(2), kNow.steady);
    const auto plan = make_plan(chat(), table, {.health = &health}, kNow);
    EXPECT_EQ(order(plan, table), "b:last_resort a:last_resort");
    EXPECT_EQ(plan->attempts[0].not_before, kNow.steady + seconds(2));
    const std::string text = explain_text(*plan, table, kNow);
    EXPECT_NE(text.find("available in 2.0 s"), std::string::npos) << text;
}

// An EU key never reaches a US endpoint, also not when everything in the EU is down.
TEST(Plan, ARegionThatIsNotAllowedIsNoLastResort) {
    const OfferTable table({offer("eu", "2", "8", "swedencentral"), offer("us", "1", "4", "eastus"),
        offer("anywhere", "1", "4", "global"), offer("unknown", "1", "4", "")});
    Reach reach;
    reach.restrict_regions({"eu"});
    RequestFacts facts = chat();
    facts.reach = &reach;
    const std::string others =
        " -us:region_not_allowed -anywhere:region_not_allowed -unknown:region_not_allowed";
    EXPECT_EQ(order(make_plan(facts, table, {}, kNow), table), "eu" + others);
    Health health(table);
    fail_times(health, 0, 5, kNow.steady);
    EXPECT_EQ(order(make_plan(facts, table, {.health = &health}, kNow), table),
        "eu:last_resort" + others);
    Reach none;
    none.restrict_regions({"jp"});
    facts.reach = &none;
    EXPECT_EQ(order(make_plan(facts, table, {}, kNow), table), "forbidden");
}

TEST(Plan, AKeyReachesOnlyWhatItsTeamReachesToo) {
    const OfferTable table(
        {offer("azure-se", "1", "4"), offer("azure-us", "1", "4"), offer("aws", "1", "4")});
    Reach reach;
    reach.restrict_clouds({"azure-*"});          // the team
    reach.restrict_clouds({"aws", "azure-us"});  // the key cannot widen it
    RequestFacts facts = chat();
    facts.reach = &reach;
    EXPECT_EQ(order(make_plan(facts, table, {}, kNow), table),
        "azure-us -azure-se:cloud_not_allowed -aws:cloud_not_allowed");
}

TEST(Plan, AnUnknownModelNamesTheNearest) {
    const OfferTable table({offer("a", "1", "4")});
    RequestFacts facts = chat();
    facts.model = "mm";
    const auto plan = make_plan(facts, table, {}, kNow);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(plan.error().field, "model");
    EXPECT_NE(plan.error().message.find("'m'"), std::string::npos);
}

TEST(Plan, WhatCannotBePricedServesOnlyKeysWithoutABudget) {
    Offer unpriced = offer("lab", "1", "1");
    unpriced.card = nullptr;
    const OfferTable table({unpriced, offer("dear", "20", "80")});
    RequestFacts facts = chat();
    EXPECT_EQ(order(make_plan(facts, table, {}, kNow), table), "dear -lab:price_unknown");
    facts.needs_bound = false;
    const auto plan = make_plan(facts, table, {}, kNow);
    EXPECT_EQ(order(plan, table), "dear lab");
    EXPECT_FALSE(plan->attempts[1].is_priced);
    EXPECT_EQ(plan->attempts[1].reason, Reason::kUnpriced);
    facts.needs_bound = true;
    const OfferTable alone({unpriced});
    EXPECT_EQ(order(make_plan(facts, alone, {}, kNow), alone), "unbounded");
}

TEST(Plan, AFeatureOrAWindowThatIsMissingExcludes) {
    Offer plain = offer("plain", "1", "4");
    plain.features = static_cast<Features>(kAllFeatures & ~static_cast<unsigned>(Feature::kTools));
    Offer small = offer("small", "1", "4");
    small.limits.context_tokens = 900;
    const OfferTable table({plain, small, offer("big", "2", "8")});
    RequestFacts facts = chat();
    facts.needs = static_cast<Features>(Feature::kTools);
    EXPECT_EQ(order(make_plan(facts, table, {}, kNow), table),
        "big -plain:feature_missing -small:context_too_small");
    const OfferTable only_plain({plain});
    const auto refused = make_plan(facts, only_plain, {}, kNow);
    EXPECT_EQ(order(refused, only_plain), "unsupported");
    EXPECT_NE(refused.error().message.find("tools"), std::string::npos);
}

TEST(Plan, TheDialectOfTheClientWinsATie) {
    Offer foreign = offer("foreign", "1", "4");
    foreign.dialect = 3;
    Offer native = offer("native", "1", "4");
    native.dialect = 1;
    const OfferTable table({foreign, native});
    RequestFacts facts = chat();
    facts.dialect = 1;
    EXPECT_EQ(order(make_plan(facts, table, {}, kNow), table), "native foreign");
}

TEST(Plan, ManyOffersKeepTheirOrderBeyondTheInlineRoom) {
    std::vector<Offer> offers;
    for (int i = 0; i < 12; ++i)
        offers.push_back(offer(fmt::format("c{:02}", i), fmt::format("{}", 12 - i), "4"));
    const OfferTable table(std::move(offers));
    EXPECT_EQ(order(make_plan(chat(), table, {}, kNow), table),
        "c11 c10 c09 c08 c07 c06 c05 c04 c03 c02 c01 c00");
}

TEST(Plan, AHoldCoversTheDearerTierThatTheSupplierMayServe) {
    const catalog::Catalog& book = catalog::Catalog::embedded();
    Offer listed = offer("openai", "1", "1");
    listed.card = std::make_shared<const pricing::RateCard>(pricing::RateCard::compile(
        book, *book.find_offer_id("openai:api:global:openai.gpt-5.6-luna")));
    const OfferTable table({listed});
    RequestFacts facts = chat();
    const Money standard = make_plan(facts, table, {}, kNow)->attempts[0].hold;
    facts.tier = catalog::Tier::kPriority;
    EXPECT_GT(make_plan(facts, table, {}, kNow)->attempts[0].hold, standard);
}

TEST(Explain, ShowsEveryOfferWithItsReasonAsTextAndJson) {
    const OfferTable table(
        {offer("azure-se", "1", "4", "swedencentral"), offer("aws", "1.5", "4", "us-east-1")});
    Reach reach;
    reach.restrict_regions({"eu"});
    RequestFacts facts = chat();
    facts.reach = &reach;
    const auto plan = survey(facts, table, {}, kNow);
    const std::string text = explain_text(*plan, table, kNow);
    EXPECT_NE(text.find("1  m/azure-se  swedencentral  0.002025 USD  0.006097 USD  1.00"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("m/aws"), std::string::npos) << text;
    const std::string json = explain_json(*plan, table, kNow);
    EXPECT_NE(
        json.find(
            R"("offer":"m/azure-se","cloud":"azure-se","model_id":"m-1","region":"swedencentral","reason":"only")"),
        std::string::npos)
        << json;
    EXPECT_NE(json.find(R"("hold":"0.006097")"), std::string::npos) << json;
    EXPECT_NE(json.find(R"("excluded":[{"offer":"m/aws","cloud":"aws")"), std::string::npos)
        << json;
    EXPECT_NE(json.find(R"("reason":"region_not_allowed")"), std::string::npos) << json;
}

}  // namespace
}  // namespace entrepot::routing
