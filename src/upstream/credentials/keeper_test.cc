#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "runtime/cores.h"
#include "upstream/credentials/testing.h"

namespace entrepot::upstream {
namespace {

using config::CredentialsFrom;
using testing::Asked;
using testing::Endpoint;
using ::testing::HasSubstr;
using testing::Script;

/// Keys that are named after their number and live that long.
Script keys(int number, milliseconds lifetime) {
    return {200,
        fmt::format(R"({{"AccessKeyId":"KEY{}","SecretAccessKey":"s","Token":"t",)"
                    R"("Expiration":"{}"}})",
            number, to_rfc3339(wall_now() + lifetime)),
        "", false};
}

std::string held(const CredentialCell& cell) {
    const auto state = cell.load();
    return state->held ? std::string(state->held->access_key_id.reveal()) : "nothing";
}

/// Until `holds`, at most ten seconds.
template <typename Holds>
bool eventually(const Holds& holds) {
    const MonotonicTime end = monotonic_now() + seconds(10);
    while (!holds()) {
        if (monotonic_now() > end) return false;
        std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
}

struct Told {
    bool is_fetched, is_live;
    int failures;
    MonotonicTime at;
};

class Keeper : public ::testing::Test {
protected:
    Keeper() : cores_(4) {
        cores_.start([](Core&) {});
        KeeperOptions options;
        options.backoff_first = milliseconds(40);
        options.backoff_max = milliseconds(160);
        options.interval_min = milliseconds(20);
        options.doubt_interval = milliseconds(100);
        keeper_ = std::make_unique<CredentialKeeper>(
            cores_[0],
            [this](const CredentialEvent& event) {
                const std::lock_guard lock(mutex_);
                told_.push_back({event.is_fetched, event.is_live, event.failures, monotonic_now()});
            },
            options);
    }
    ~Keeper() override {
        std::promise<void> stopped;
        const auto stop = [&]() -> Co<void> {
            co_await keeper_->stop();
            stopped.set_value();
        };
        cores_[0].post([&] { cores_[0].spawn(stop(), [](void*) {}, nullptr); });
        stopped.get_future().wait();
        cores_.stop();
    }

    std::shared_ptr<const CredentialCell> keep(const Endpoint& endpoint) {
        config::CloudSettings cloud;
        cloud.id = CloudId("c");
        cloud.credentials = {
            .from = CredentialsFrom::kContainer, .endpoint = endpoint.url("/keys")};
        return keeper_->keep("c", *make_credential_source(cloud));
    }
    std::vector<Told> told() {
        const std::lock_guard lock(mutex_);
        return told_;
    }

    std::mutex mutex_;
    std::vector<Told> told_;
    Cores cores_;
    std::unique_ptr<CredentialKeeper> keeper_;
};

TEST_F(Keeper, FetchesAnewAheadOfTheEndAndTheOldOneServesUntilThen) {
    std::atomic<int> number{0};
    Endpoint endpoint([&](const Asked&) { return keys(++number, milliseconds(400)); });
    const auto cell = keep(endpoint);
    ASSERT_TRUE(keeper_->wait_first(seconds(10)));
    // Never is there a moment at which nothing could be shown to the cloud.
    bool was_always_live = true;
    EXPECT_TRUE(eventually([&] {
        was_always_live = was_always_live && cell->load()->is_live(wall_now());
        return number >= 4;
    }));
    EXPECT_TRUE(was_always_live);
    // Ahead, and not at once: between a half and three quarters of the 400 ms.
    const std::vector<Told> events = told();
    for (std::size_t i = 1; i < events.size(); ++i)
        EXPECT_GE(events[i].at - events[i - 1].at, milliseconds(200));
}

TEST_F(Keeper, AFleetOfCoresFetchesOnce) {
    std::atomic<int> number{0};
    Endpoint endpoint([&](const Asked&) { return keys(++number, seconds(3600)); });
    const auto cell = keep(endpoint);
    const auto same = keep(endpoint);
    EXPECT_EQ(cell, same);
    ASSERT_TRUE(keeper_->wait_first(seconds(10)));
    std::atomic<int> seen{0};
    for (std::size_t i = 0; i < cores_.size(); ++i) {
        cores_[i].post([&, i] {
            CredentialReader reader(cell);
            const auto live = reader.live(cores_[i].wall());
            if (live && (*live)->access_key_id.reveal() == "KEY1") ++seen;
        });
    }
    EXPECT_TRUE(eventually([&] { return seen == 4; }));
    EXPECT_EQ(endpoint.count(), 1U);
}

TEST_F(Keeper, BacksOffWithJitterAndComesBackWhenTheEndpointDoes) {
    Endpoint endpoint([](const Asked&) { return Script{503, "", "", false}; });
    const auto cell = keep(endpoint);
    ASSERT_TRUE(keeper_->wait_first(seconds(10)));
    EXPECT_FALSE(cell->load()->is_live(wall_now()));
    EXPECT_THAT(cell->load()->trouble, HasSubstr("it answered 503"));
    ASSERT_TRUE(eventually([&] { return told().size() >= 5; }));
    const std::vector<Told> events = told();
    // 40, 80, 160, 160 ms, each by half certain.
    const std::array<int, 4> least{20, 40, 80, 80};
    for (std::size_t i = 0; i < least.size(); ++i) {
        EXPECT_FALSE(events[i].is_live);
        EXPECT_EQ(events[i].failures, static_cast<int>(i) + 1);
        EXPECT_GE(events[i + 1].at - events[i].at, milliseconds(least[i]));
    }
    endpoint.answer_with([](const Asked&) { return keys(1, seconds(60)); });
    EXPECT_TRUE(eventually([&] { return cell->load()->is_live(wall_now()); }));
    EXPECT_TRUE(cell->load()->trouble.empty());
}

TEST_F(Keeper, WhatIsHeldServesUntilItExpiresWhileTheEndpointIsDead) {
    Endpoint endpoint([](const Asked&) { return keys(1, milliseconds(1500)); });
    const auto cell = keep(endpoint);
    ASSERT_TRUE(keeper_->wait_first(seconds(10)));
    CredentialReader reader(cell);
    const Instant expires = cell->load()->held->expires;
    endpoint.answer_with([](const Asked&) { return Script{500, "", "", false}; });
    ASSERT_TRUE(eventually([&] { return told().back().failures > 0; }));
    EXPECT_TRUE(told().back().is_live);
    EXPECT_TRUE(reader.live(expires - milliseconds(1)));
    const auto after = reader.live(expires);
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().code, ErrorCode::kUpstreamAuth);
    EXPECT_THAT(after.error().cause, HasSubstr("have expired: 127.0.0.1"));
    EXPECT_TRUE(eventually([&] { return !told().back().is_live; }));
    endpoint.answer_with([](const Asked&) { return keys(2, seconds(60)); });
    EXPECT_TRUE(eventually([&] { return held(*cell) == "KEY2"; }));
    EXPECT_TRUE(reader.live(wall_now()));
}

TEST_F(Keeper, WhatTheIssuerGivesAgainUnchangedIsNotAskedForInALoop) {
    const Instant expires = wall_now() + seconds(2);
    Endpoint endpoint([&](const Asked&) {
        return Script{200,
            fmt::format(R"({{"AccessKeyId":"SAME","SecretAccessKey":"s","Token":"t",)"
                        R"("Expiration":"{}"}})",
                to_rfc3339(expires)),
            "", false};
    });
    const auto cell = keep(endpoint);
    ASSERT_TRUE(eventually([&] { return wall_now() > expires - milliseconds(50); }));
    // Each look leaves a quarter to a third of the rest: 2000, 700, 240, 85 ms.
    EXPECT_LE(endpoint.count(), 6U);
    EXPECT_GE(endpoint.count(), 3U);
}

TEST_F(Keeper, ADoubtedCredentialIsFetchedAnewOnceAndNotAtEveryRefusal) {
    std::atomic<int> number{0};
    Endpoint endpoint([&](const Asked&) { return keys(++number, seconds(3600)); });
    const auto cell = keep(endpoint);
    ASSERT_TRUE(keeper_->wait_first(seconds(10)));
    for (int i = 0; i < 100; ++i) keeper_->doubt(cell);
    EXPECT_TRUE(eventually([&] { return held(*cell) == "KEY2"; }));
    EXPECT_GE(told().at(1).at - told().at(0).at, milliseconds(100));
    EXPECT_EQ(endpoint.count(), 2U);
}

TEST_F(Keeper, WhatNobodyHoldsAnyMoreIsNotFetchedAnyMore) {
    std::atomic<int> number{0};
    Endpoint endpoint([&](const Asked&) { return keys(++number, milliseconds(200)); });
    auto cell = keep(endpoint);
    ASSERT_TRUE(keeper_->wait_first(seconds(10)));
    cell.reset();
    ASSERT_TRUE(eventually([&] { return wall_now().ns != 0 && endpoint.count() >= 1; }));
    const std::size_t before = endpoint.count();
    const MonotonicTime until = monotonic_now() + milliseconds(500);
    EXPECT_TRUE(eventually([&] { return monotonic_now() > until; }));
    EXPECT_LE(endpoint.count(), before + 1);  // one may have been under way
    // Whoever comes next begins anew.
    cell = keep(endpoint);
    EXPECT_TRUE(eventually([&] { return cell->load()->held.has_value(); }));
}

TEST_F(Keeper, AnEndpointThatHangsHoldsUpNeitherTheCoreNorTheStop) {
    Endpoint endpoint([](const Asked&) { return Script{200, "", "", true}; });
    const auto cell = keep(endpoint);
    ASSERT_TRUE(eventually([&] { return endpoint.count() == 1; }));
    std::promise<void> answered;
    cores_[0].post([&] { answered.set_value(); });
    EXPECT_EQ(answered.get_future().wait_for(seconds(5)), std::future_status::ready);
    EXPECT_FALSE(keeper_->wait_first(milliseconds(20)));
    EXPECT_EQ(held(*cell), "nothing");
}  // its destructor stops the keeper while the fetch hangs

}  // namespace
}  // namespace entrepot::upstream
