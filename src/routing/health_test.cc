#include "routing/health.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "routing/memory.h"

namespace entrepot::routing {
namespace {

OfferTable table_of(std::initializer_list<const char*> ids) {
    std::vector<Offer> offers;
    for (const char* id : ids) {
        Offer offer;
        offer.id = OfferId(id);
        offer.model = ModelId("m");
        offers.push_back(std::move(offer));
    }
    return OfferTable(std::move(offers));
}

/// A clock that moves when told, and one offer.
struct Scene {
    OfferTable table = table_of({"m/a"});
    Health health{table};
    MonotonicTime now{1'000'000'000};

    void call(Outcome outcome, std::optional<nanoseconds> retry_after = {}) {
        health.began(0, now);
        health.ended(0, outcome, milliseconds(100), retry_after, now);
    }
    std::string state() const {
        return fmt::format(
            "{}{}", breaker_name(health.breaker(0, now)), health.is_available(0, now) ? "" : "!");
    }
};

TEST(Health, FiveFailuresInARowOpenTheBreakerAndAProbeClosesIt) {
    Scene scene;
    for (int i = 0; i < 4; ++i) scene.call(Outcome::kFailed);
    EXPECT_EQ(scene.state(), "closed");
    scene.call(Outcome::kFailed);
    EXPECT_EQ(scene.state(), "open!");
    scene.now = scene.now + milliseconds(4999);
    EXPECT_EQ(scene.state(), "open!");
    scene.now = scene.now + milliseconds(1);
    EXPECT_EQ(scene.state(), "half_open");
    scene.call(Outcome::kServed);
    EXPECT_EQ(scene.state(), "closed");
    EXPECT_EQ(scene.health.of(0).error_ppm, 0);
}

TEST(Health, EachFailedProbeDoublesTheWaitUpToAMinute) {
    Scene scene;
    for (int i = 0; i < 5; ++i) scene.call(Outcome::kFailed);
    std::vector<std::int64_t> waits;
    for (int probe = 0; probe < 5; ++probe) {
        const MonotonicTime next = scene.health.available_at(0, scene.now);
        waits.push_back((next - scene.now).count() / 1'000'000'000);
        scene.now = next;
        scene.call(Outcome::kFailed);
    }
    EXPECT_EQ(waits, (std::vector<std::int64_t>{5, 10, 20, 40, 60}));
}

TEST(Health, OnlyOneProbeGoesOutAndAnAbandonedOneFreesThePlace) {
    Scene scene;
    for (int i = 0; i < 5; ++i) scene.call(Outcome::kFailed);
    scene.now = scene.now + seconds(5);
    scene.health.began(0, scene.now);
    EXPECT_EQ(scene.state(), "half_open!");
    scene.health.ended(0, Outcome::kAbandoned, {}, {}, scene.now);
    EXPECT_EQ(scene.state(), "half_open");
}

TEST(Health, TwoCallsOfThreeFailingTripItInTheEndAndOneOfFourDoesNot) {
    Scene scene;
    int calls = 0;
    while (scene.state() == "closed" && calls < 200)
        scene.call(calls++ % 3 == 0 ? Outcome::kServed : Outcome::kFailed);
    EXPECT_GE(calls, 20);
    EXPECT_LT(calls, 60);
    Scene good;
    for (int i = 0; i < 1000; ++i) good.call(i % 4 == 0 ? Outcome::kFailed : Outcome::kServed);
    EXPECT_EQ(good.state(), "closed");
}

// A 429 says busy, not broken: it cools down for as long as it asked, and never opens the breaker.
TEST(Health, ARateLimitCoolsDownForAsLongAsItAsked) {
    Scene scene;
    for (int i = 0; i < 50; ++i) scene.call(Outcome::kRateLimited, seconds(3));
    EXPECT_EQ(scene.state(), "closed!");
    EXPECT_EQ(scene.health.available_at(0, scene.now), scene.now + seconds(3));
    scene.now = scene.now + seconds(3);
    EXPECT_EQ(scene.state(), "closed");
    scene.call(Outcome::kRateLimited);
    EXPECT_EQ(scene.health.available_at(0, scene.now), scene.now + seconds(1));
    scene.call(Outcome::kRateLimited, seconds(86'400));
    EXPECT_EQ(scene.health.available_at(0, scene.now), scene.now + seconds(300));
}

TEST(Health, TheErrorRateDecaysToZero) {
    Scene scene;
    scene.call(Outcome::kFailed);
    for (int i = 0; i < 300; ++i) scene.call(Outcome::kServed);
    EXPECT_EQ(scene.health.of(0).error_ppm, 0);
    EXPECT_EQ(scene.health.of(0).ttft_ns, 100'000'000);
}

TEST(Health, WhatIsKnownOfAnOfferSurvivesAReload) {
    const OfferTable before = table_of({"m/a", "m/b"});
    const OfferTable after = table_of({"m/new", "m/b"});
    Health health(before);
    const MonotonicTime now{1};
    for (int i = 0; i < 5; ++i) {
        health.began(1, now);
        health.ended(1, Outcome::kFailed, {}, {}, now);
    }
    health.began(1, now);
    Health carried = health.carried_to(before, after);
    EXPECT_EQ(carried.breaker(1, now), Breaker::kOpen);
    EXPECT_EQ(carried.of(1).in_flight, 0);
    EXPECT_EQ(carried.breaker(0, now), Breaker::kClosed);
    carried.ended(1, Outcome::kFailed, {}, {}, now);  // began before the reload
    EXPECT_EQ(carried.of(1).in_flight, 0);
}

TEST(Health, WhatWasTakenOutStaysOutUntilTheNextConfiguration) {
    Scene scene;
    scene.health.take_out(0);
    scene.call(Outcome::kServed);
    scene.now = scene.now + seconds(86'400);
    EXPECT_EQ(scene.state(), "closed!");
    EXPECT_TRUE(scene.health.carried_to(scene.table, scene.table).is_available(0, scene.now));
}

TEST(OutputLengths, FollowsTheMeanAndKeepsKeysApart) {
    OutputLengths lengths;
    EXPECT_EQ(lengths.expect(1, 256), 256);
    lengths.learn(1, 100);
    EXPECT_EQ(lengths.expect(1, 256), 100);
    lengths.learn(1, 200);
    EXPECT_EQ(lengths.expect(1, 256), 150);
    EXPECT_EQ(lengths.expect(2, 256), 256);
    for (int i = 0; i < 200; ++i) lengths.learn(1, 1000);
    EXPECT_NEAR(static_cast<int>(lengths.expect(1, 0)), 1000, 5);
}

TEST(WarmCaches, ForgetsTheLeastRecentlyUsedWhenFull) {
    WarmCaches caches(4);  // one set
    for (std::uint64_t prefix = 1; prefix <= 5; ++prefix)
        caches.learn(
            prefix, 9, 100, seconds(300), MonotonicTime{static_cast<std::int64_t>(prefix)});
    EXPECT_EQ(caches.expect(1, 9, MonotonicTime{6}), 0);
    EXPECT_EQ(caches.expect(2, 9, MonotonicTime{6}), 100);
    EXPECT_EQ(caches.expect(5, 9, MonotonicTime{6}), 100);
    EXPECT_EQ(caches.expect(5, 8, MonotonicTime{6}), 0) << "another offer";
}

}  // namespace
}  // namespace entrepot::routing
