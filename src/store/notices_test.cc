#include "store/notices.h"

#include <gtest/gtest.h>

#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::kNow;
using test::usd;

class NoticesTest : public testing::Test {
protected:
    NoticesTest() : folder_("notices") { open(); }

    void open() {
        notices_.reset();
        books_.reset();
        books_ = Books::open(test::small_books(folder_.path()), kNow).value();
        const std::vector<ledger::BudgetSpec> budgets{
            {ledger::OwnerKind::kKey, "key", usd("10.00"), PeriodKind::kDay, TimeZone::utc()},
            {ledger::OwnerKind::kOrg, "org", usd("100.00"), PeriodKind::kMonth, TimeZone::utc()}};
        EXPECT_TRUE(books_->set_budgets(budgets));
        notices_ = NoticeStore::open(folder_.path()).value();
        EXPECT_TRUE(notices_->watch(watched_));
    }

    void spend(const char* amount, Instant at = kNow) {
        const ledger::PathId path = books_->path("key", "team", "org").value();
        const ExchangeId id = test::exchange_id(++exchanges_);
        ASSERT_TRUE(
            books_->hold({.exchange = id, .path = path, .amount = usd(amount), .dispatch = at}));
        ledger::SettleRequest settle;
        settle.cost = settle.list_cost = usd(amount);
        settle.at = at;
        ASSERT_TRUE(books_->settle(id, 1, settle));
        ledger::ExchangeClose close;
        close.exchange = id;
        close.at = at;
        ASSERT_TRUE(books_->close(close));
        ASSERT_TRUE(books_->checkpoint());
    }

    std::vector<std::string> found(Instant now = kNow) {
        std::vector<std::string> names;
        const std::vector<Crossing> crossings = notices_->crossings(now).value();
        for (const Crossing& crossing : crossings)
            names.push_back(fmt::format("{} {}", crossing.budget.owner, crossing.share));
        return names;
    }

    void note_all(Instant now = kNow) {
        std::vector<Notice> notices;
        const std::vector<Crossing> crossings = notices_->crossings(now).value();
        for (const Crossing& crossing : crossings)
            notices.push_back(
                {crossing.budget.name(), crossing.at.period.begin, crossing.at.period.end,
                    crossing.share, crossing.id, crossing.budget.webhook, "{}", now});
        EXPECT_EQ(notices_->note(notices).value(), 0U);
    }

    using Names = std::vector<std::string>;
    const std::vector<WatchedBudget> watched_{
        {ledger::OwnerKind::kKey, "key", PeriodKind::kDay, "UTC", {50, 80, 100}, "ops"},
        {ledger::OwnerKind::kOrg, "org", PeriodKind::kMonth, "UTC", {10}, "cfo"},
        {ledger::OwnerKind::kTeam, "nobody", PeriodKind::kDay, "UTC", {50}, "ops"}};
    test::Folder folder_;
    std::unique_ptr<Books> books_;
    std::unique_ptr<NoticeStore> notices_;
    std::uint64_t exchanges_ = 0;
};

TEST_F(NoticesTest, AShareIsFoundWhenItIsReachedToTheLastPicoUnitAndOnceItIsNotedNoMore) {
    spend("4.999999999999");
    EXPECT_EQ(found(), Names{});
    spend("0.000000000001");
    EXPECT_EQ(found(), Names{"key 50"});
    EXPECT_EQ(found(), Names{"key 50"}) << "nobody was told";
    note_all();
    EXPECT_EQ(found(), Names{});
    spend("5.00");
    EXPECT_EQ(found(), (Names{"key 80", "key 100", "org 10"}));
}

TEST_F(NoticesTest, WhatWasNotedHoldsOverARestartAndTheNextPeriodBeginsAnew) {
    spend("6.00");
    note_all();
    open();
    EXPECT_EQ(found(), Names{});
    const Instant tomorrow = kNow + seconds(24 * 3600);
    spend("5.00", tomorrow);
    EXPECT_EQ(found(tomorrow), (Names{"key 50", "org 10"}));
}

TEST_F(NoticesTest, APeriodThatEndedBeforeAnybodyLookedIsStillTold) {
    spend("9.00");
    EXPECT_EQ(found(kNow + seconds(20 * 3600)), (Names{"key 50", "key 80"}));
    EXPECT_EQ(found(kNow + seconds(72 * 3600)), Names{});
}

TEST_F(NoticesTest, TheIdIsTheSameForTheSameNoticeAndNoOther) {
    spend("9.00");
    const auto first = notices_->crossings(kNow).value();
    open();
    const auto again = notices_->crossings(kNow).value();
    ASSERT_EQ(first.size(), 2U);
    EXPECT_EQ(first[0].id, again[0].id);
    EXPECT_NE(first[0].id, first[1].id);
    EXPECT_TRUE(first[0].id.starts_with("ntc_"));
}

TEST_F(NoticesTest, WaitsUntilItIsTakenOrGivenUp) {
    spend("5.00");
    note_all();
    auto due = notices_->due("ops", kNow, 10).value();
    ASSERT_EQ(due.size(), 1U);
    EXPECT_TRUE(notices_->due("cfo", kNow, 10).value().empty());
    ASSERT_TRUE(notices_->tried(due[0], NoticeState::kPending, kNow + seconds(5), "status 500"));
    EXPECT_TRUE(notices_->due("ops", kNow, 10).value().empty());
    open();
    due = notices_->due("ops", kNow + seconds(5), 10).value();
    ASSERT_EQ(due.size(), 1U);
    EXPECT_EQ(due[0].tries, 1);
    EXPECT_EQ(due[0].body, "{}");
    EXPECT_EQ(notices_->pending().value(), 1);
    ASSERT_TRUE(notices_->tried(due[0], NoticeState::kTaken, {}, ""));
    EXPECT_EQ(notices_->pending().value(), 0);
    EXPECT_EQ(found(), Names{});
    ASSERT_TRUE(notices_->forget_before(kNow + seconds(24 * 3600)));
    EXPECT_EQ(found(), Names{"key 50"}) << "forgotten only when its period is long over";
}

TEST_F(NoticesTest, WhatNoWebhookTakesAnyMoreIsGivenUp) {
    spend("5.00");
    note_all();
    const std::vector<std::string> known{"cfo"};
    EXPECT_EQ(notices_->give_up_others(known).value(), 1);
    EXPECT_EQ(notices_->pending().value(), 0);
}

TEST_F(NoticesTest, OnlyOthersWritesAreChanges) {
    EXPECT_TRUE(notices_->has_changed().value());
    EXPECT_FALSE(notices_->has_changed().value());
    spend("5.00");
    EXPECT_TRUE(notices_->has_changed().value());
    note_all();
    EXPECT_FALSE(notices_->has_changed().value());
}

TEST_F(NoticesTest, BudgetsOfOrgsAndTeamsAreShownAndThoseOfKeysAreNot) {
    spend("5.00");
    const auto rows = notices_->shared_budgets(kNow, 10).value();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].budget.owner, "org");
    EXPECT_EQ(rows[0].at.limit, usd("100.00"));
    EXPECT_EQ(rows[0].at.settled, usd("5.00"));
    const auto later = notices_->shared_budgets(kNow + seconds(40LL * 86'400), 10).value();
    EXPECT_EQ(later[0].at.settled, Money()) << "a new month";
    EXPECT_EQ(later[0].at.limit, usd("100.00"));
}

}  // namespace
}  // namespace entrepot::store
