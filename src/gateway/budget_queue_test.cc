#include "gateway/budget_queue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include <fmt/format.h>

namespace entrepot::gateway {
namespace {

/// An org with 10.00, keys `a` and `b` of it, and `rich`, which has 1.00 of its own besides.
class BudgetQueueTest : public testing::Test {
protected:
    BudgetQueueTest() {
        folder_ =
            std::filesystem::temp_directory_path() / fmt::format("entrepot-queue-{}", getpid());
        std::filesystem::remove_all(folder_);
        store::BooksOptions options;
        options.data = folder_;
        options.segment_bytes = 1 << 20;
        books_ = store::Books::open(options, now_).value();
        std::vector<ledger::BudgetSpec> budgets(2);
        budgets[0].owner_kind = ledger::OwnerKind::kOrg;
        budgets[0].owner = "acme";
        budgets[0].limit = *Money::parse("10.00");
        budgets[1].owner = "tight";
        budgets[1].limit = *Money::parse("1.00");
        EXPECT_TRUE(books_->set_budgets(budgets));
    }
    ~BudgetQueueTest() override {
        books_.reset();
        std::filesystem::remove_all(folder_);
    }
    struct One {
        BudgetQueue::Entry entry;
        ExchangeId id;
        bool is_answered = false;
        [[nodiscard]] bool is_held() const { return entry.outcome && *entry.outcome; }
    };
    One& ask(const std::string& key, const std::string& amount, bool may_wait = true) {
        One& one = *all_.emplace_back(std::make_unique<One>());
        one.id = ExchangeId::make(now_, {all_.size(), 1});
        one.entry.may_wait = may_wait;
        one.entry.budgets = {BudgetQueue::place_of(ledger::OwnerKind::kKey, key),
            BudgetQueue::place_of(ledger::OwnerKind::kOrg, "acme")};
        one.entry.ask = [this, id = one.id, key, amount](
                            store::Books& books, ledger::Refusal& refusal) {
            ledger::HoldRequest request;
            request.exchange = id;
            request.path = books.path(key, "team", "acme").value();
            request.amount = *Money::parse(amount);
            request.dispatch = now_;
            return books.hold(request, &refusal);
        };
        one.entry.answered = [&one] { one.is_answered = true; };
        one.is_answered = queue_.begin(*books_, one.entry);
        return one;
    }
    void end(const One& one) {
        ASSERT_TRUE(books_->release(one.id, 1, now_));
        queue_.go_on(*books_);
    }

    Instant now_ = parse_instant("2026-11-23T10:00:00Z").value();
    std::filesystem::path folder_;
    std::unique_ptr<store::Books> books_;
    BudgetQueue queue_;
    std::vector<std::unique_ptr<One>> all_;
};

TEST_F(BudgetQueueTest, NobodyOvertakesWhoWaitsForTheSameBudget) {
    One& first = ask("a", "9.00");
    EXPECT_TRUE(first.is_held());
    One& large = ask("a", "8.00");
    One& small = ask("b", "0.50");  // would fit, and came later
    EXPECT_FALSE(large.is_answered);
    EXPECT_FALSE(small.is_answered);
    queue_.go_on(*books_);
    EXPECT_EQ(queue_.size(), 2u);
    One& hasty = ask("b", "0.50", false);
    EXPECT_TRUE(hasty.is_held()) << "who cannot wait is not refused what is there";
    end(first);
    EXPECT_TRUE(large.is_held());
    EXPECT_TRUE(small.is_held()) << "there was room for both";
    EXPECT_TRUE(queue_.empty());
}

TEST_F(BudgetQueueTest, WhoWaitsForAnotherBudgetIsInNobodysWay) {
    One& first = ask("tight", "0.90");
    One& second = ask("tight", "0.90");
    EXPECT_FALSE(second.is_answered);
    EXPECT_EQ(second.entry.waits_for, "key tight");
    EXPECT_TRUE(ask("a", "5.00").is_held());
    end(first);
    EXPECT_TRUE(second.is_held());
}

TEST_F(BudgetQueueTest, WhatIsSpentIsNotWaitedForAndWhoLeavesIsGone) {
    EXPECT_TRUE(ask("a", "11.00").is_answered) << "no hold that ends makes room for it";
    One& first = ask("a", "9.00");
    One& second = ask("a", "2.00");
    One& third = ask("a", "3.00");
    EXPECT_TRUE(queue_.leave(second.entry));
    EXPECT_FALSE(queue_.leave(second.entry));
    end(first);
    EXPECT_FALSE(second.is_answered);
    EXPECT_TRUE(third.is_held());
    EXPECT_FALSE(queue_.leave(third.entry));
    EXPECT_TRUE(queue_.empty());
}

TEST_F(BudgetQueueTest, IsBounded) {
    One& first = ask("a", "9.00");
    for (std::size_t i = 0; i < BudgetQueue::kWaitingMax; ++i)
        EXPECT_FALSE(ask("a", "2.00").is_answered);
    One& late = ask("a", "2.00");
    EXPECT_TRUE(late.is_answered);
    EXPECT_FALSE(late.is_held());
    end(first);
    EXPECT_EQ(queue_.size(), BudgetQueue::kWaitingMax - 5);
}

}  // namespace
}  // namespace entrepot::gateway
