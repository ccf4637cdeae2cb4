// `durability: power`: what a supplier has seen, the disk has had first. Each client has a
// connection of its own, so that the core that owns the books serves some and the other one some.
#include <condition_variable>

#include "gateway/testing.h"
#include "ledger/record.h"
#include "store/file_ops.h"
#include "store/journal.h"

namespace entrepot::gateway {
namespace {

/// A disk that can be made to take its time over a sync, or to refuse it.
class Disk final : public store::FileOps {
public:
    int before(store::Step step) override {
        if (step != store::Step::kSegmentSync) return 0;
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !is_slow_; });
        return refuses_ ? EIO : 0;
    }
    void set_slow(bool is_slow) {
        const std::lock_guard lock(mutex_);
        is_slow_ = is_slow;
        changed_.notify_all();
    }
    void set_refusing(bool refuses) {
        const std::lock_guard lock(mutex_);
        refuses_ = refuses;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_slow_ = false;
    bool refuses_ = false;
};

class DurabilityTest : public GatewayTest {
protected:
    static constexpr std::size_t kClients = 16;

    void SetUp() override {
        GatewayTest::SetUp();
        books_options_.files = &disk_;
        start(kBudget, "durability: power\n");
    }
    void TearDown() override {
        disk_.set_slow(false);
        GatewayTest::TearDown();
    }

    std::vector<std::future<Reply>> ask_at_once() {
        std::vector<std::future<Reply>> replies;
        for (std::size_t i = 0; i < kClients; ++i)
            replies.push_back(std::async(std::launch::async, [this] { return ask(kAsk); }));
        return replies;
    }
    std::size_t open_attempts() {
        std::size_t open = 0;
        gateway_->with_books([&](store::Books& books) { open = books.stats().open_attempts; });
        return open;
    }
    std::size_t served() { return first.served() + second.served(); }

    Disk disk_;
};

TEST_F(DurabilityTest, NoByteLeavesWhileTheDiskIsStillWritingTheHold) {
    disk_.set_slow(true);
    std::vector<std::future<Reply>> replies = ask_at_once();
    for (int i = 0; i < 500 && open_attempts() < kClients; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(open_attempts(), kClients) << "each has its hold";
    for (int i = 0; i < 20 && served() == 0; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(served(), 0u);

    disk_.set_slow(false);
    for (std::future<Reply>& reply : replies) EXPECT_EQ(reply.get().status, 200);
    EXPECT_EQ(served(), kClients);
    expect_books_in_order();
}

// Also the second attempt of an exchange, whose hold is another one.
TEST_F(DurabilityTest, WhatASupplierSeesTheDiskHasHad) {
    struct Seen {
        std::string exchange;
        std::uint64_t durable = 0;
    };
    std::mutex mutex;
    std::vector<Seen> seen;
    const auto note = [&](const net::ServerRequest& request) {
        const std::uint64_t durable = gateway_->books().durable_up_to();
        const std::lock_guard lock(mutex);
        seen.push_back({std::string(*request.headers.find("x-entrepot-exchange")), durable});
    };
    first.on_request = second.on_request = note;
    Script busy;
    busy.status = 503;
    busy.pieces = {R"({"error":{"message":"busy"}})"};
    first.plan(busy);
    EXPECT_EQ(ask(kAsk).status, 200);
    first.plan({});
    for (std::size_t i = 0; i < kClients; ++i) EXPECT_EQ(ask(kAsk).status, 200);
    gateway_.reset();

    std::map<std::string, std::vector<std::uint64_t>> holds;  // where the record of each one ends
    const auto visit = [&](std::uint64_t end, std::string_view payload) -> Status {
        ENTREPOT_TRY(const ledger::Record record, ledger::decode(payload));
        if (const auto* hold = std::get_if<ledger::HoldRecord>(&record))
            holds[hold->exchange.to_string()].push_back(end);
        return {};
    };
    store::JournalOptions options;
    options.folder = data_ / "journal";
    options.segment_bytes = books_options_.segment_bytes;
    const auto journal = store::Journal::open(options, 0, wall_now(), visit);
    ASSERT_TRUE(journal) << journal.error().message;

    EXPECT_GE(seen.size(), kClients + 2);
    std::map<std::string, std::size_t> attempts;
    for (const Seen& one : seen) {
        const std::size_t attempt = attempts[one.exchange]++;
        ASSERT_LT(attempt, holds[one.exchange].size()) << one.exchange;
        EXPECT_GE(one.durable, holds[one.exchange][attempt]) << one.exchange << " " << attempt;
    }
}

TEST_F(DurabilityTest, ADiskThatRefusesTheHoldCostsNothingAndIsSaid) {
    disk_.set_refusing(true);
    for (std::future<Reply>& pending : ask_at_once()) {
        const Reply reply = pending.get();
        EXPECT_EQ(reply.status, 503) << reply.body;
        EXPECT_NE(reply.body.find("not_durable"), std::string::npos) << reply.body;
        EXPECT_NE(reply.body.find("nothing is billed"), std::string::npos) << reply.body;
        const store::ExchangeReport report = report_of(reply);
        ASSERT_EQ(report.attempts.size(), 1u);
        EXPECT_EQ(report.attempts[0].state, store::AttemptFacts::State::kReleased);
        EXPECT_TRUE(report.cost.is_zero());
    }
    EXPECT_EQ(served(), 0u);
    EXPECT_EQ(open_attempts(), 0u);

    disk_.set_refusing(false);
    EXPECT_EQ(ask(kAsk).status, 200) << "and goes on once the disk works";
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
