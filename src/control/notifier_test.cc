#include "control/notifier.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "config/load.h"
#include "json/value.h"
#include "net/http_server.h"
#include "runtime/cores.h"
#include "runtime/scope.h"
#include "store/books.h"

namespace entrepot::control {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kSigningKey = "0123456789abcdef0123456789abcdef";

/// Takes notices, with the statuses it was told; 0: says nothing for as long as it is let.
class Receiver final : public net::Handler {
public:
    struct Got {
        std::string id, timestamp, signature, body, target;
    };

    Receiver() : cores_(1) {
        net::Listener listener = *net::Listener::bind("127.0.0.1:0");
        port = listener.port();
        std::promise<void> ready;
        cores_.start([&](Core& core) {
            server_ = std::make_unique<net::HttpServer>(core, std::move(listener), *this);
            EXPECT_TRUE(server_->start());
            ready.set_value();
        });
        ready.get_future().wait();
    }
    ~Receiver() override {
        std::promise<void> gone;
        cores_[0].post([&] { cores_[0].spawn(drain(gone), [](void*) {}, nullptr); });
        gone.get_future().wait();
        cores_.stop();
    }

    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override {
        int status = 204;
        {
            const std::lock_guard lock(mutex_);
            const auto header = [&](std::string_view name) {
                return std::string(request.headers.find(name).value_or(""));
            };
            got_.push_back({header("webhook-id"), header("webhook-timestamp"),
                header("webhook-signature"), request.body, std::string(request.target)});
            if (!statuses_.empty()) {
                status = statuses_.front();
                statuses_.pop_front();
            }
        }
        if (status == 0) {
            const Until until{cores_[0].after(30s), request.cancel};
            (void)co_await cores_[0].sleep(until);
            co_return;
        }
        (void)co_await response.send(status, "", "");
    }

    void answer_with(std::deque<int> statuses) {
        const std::lock_guard lock(mutex_);
        statuses_ = std::move(statuses);
    }
    std::vector<Got> got() {
        const std::lock_guard lock(mutex_);
        return got_;
    }

    std::uint16_t port = 0;

private:
    Co<void> drain(std::promise<void>& gone) {
        co_await server_->drain(cores_[0].after(0ms));
        server_.reset();
        gone.set_value();
    }
    std::mutex mutex_;
    std::deque<int> statuses_;
    std::vector<Got> got_;
    Cores cores_;
    std::unique_ptr<net::HttpServer> server_;
};

class NotifierTest : public testing::Test {
protected:
    NotifierTest()
        : folder_(std::filesystem::temp_directory_path() /
              ("entrepot-notifier-" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
        store::BooksOptions options;
        options.data = folder_;
        books_ = *store::Books::open(options, wall_now());
        const std::vector<ledger::BudgetSpec> budgets{
            {ledger::OwnerKind::kTeam, "search", *Money::parse("10.00"), PeriodKind::kTotal,
                TimeZone::utc()},
            {ledger::OwnerKind::kKey, "k", *Money::parse("10.00"), PeriodKind::kTotal,
                TimeZone::utc()}};
        EXPECT_TRUE(books_->set_budgets(budgets));
        options_.data = folder_;
        options_.look_every = 5ms;
        options_.retry_first = 20ms;
        options_.timeout = 300ms;
        start();
    }
    ~NotifierTest() override {
        notifier_.reset();
        books_.reset();
        std::filesystem::remove_all(folder_);
    }

    void start() {
        notifier_.reset();
        notifier_ = *Notifier::start(options_);
        watch(receiver_.port);
    }

    void watch(std::uint16_t port) {
        const std::string yaml = fmt::format(
            "webhooks:\n"
            "  ops: {{url: 'http://127.0.0.1:{}/hook?x=1', secret: 'whsec_{}'}}\n"
            "  other: {{url: 'http://127.0.0.1:{}/other', secret: '{}'}}\n"
            "orgs: {{o: {{}}}}\n"
            "teams: {{search: {{org: o, budgets: [{{limit: 10, period: total, notify: {{at: [50, "
            "80], webhook: ops}}}}]}}}}\n"
            "keys: {{k: {{team: search, secret: s, budgets: [{{limit: 10, period: total, notify: "
            "{{at: [50], webhook: other}}}}]}}}}\n",
            port, base64_encode(kSigningKey), receiver_.port, kSigningKey);
        config::Loaded loaded =
            config::load_text(yaml, "test.yaml", config::Environment::of_process());
        ASSERT_TRUE(loaded.ok()) << config::format_problems(loaded.problems);
        notifier_->watch(*loaded.settings, {});
    }

    void spend(const char* amount, const char* key = "nobody") {
        const Instant now = wall_now();
        const ledger::PathId path = *books_->path(key, "search", "o");
        const ExchangeId id = ExchangeId::make(now, {++exchanges_, 7});
        ledger::HoldRequest hold;
        hold.exchange = id;
        hold.path = path;
        hold.amount = *Money::parse(amount);
        hold.dispatch = now;
        ASSERT_TRUE(books_->hold(hold));
        ledger::SettleRequest settle;
        settle.cost = settle.list_cost = *Money::parse(amount);
        settle.at = now;
        ASSERT_TRUE(books_->settle(id, 1, settle));
        ledger::ExchangeClose close;
        close.exchange = id;
        close.at = now;
        ASSERT_TRUE(books_->close(close));
        ASSERT_TRUE(books_->checkpoint());
    }

    /// What came, once it is at least `count`.
    std::vector<Receiver::Got> await(std::size_t count) {
        for (int tries = 0; tries < 1000 && receiver_.got().size() < count; ++tries)
            std::this_thread::sleep_for(10ms);
        return receiver_.got();
    }

    bool comes_to(std::string_view line) {
        for (int tries = 0; tries < 500; ++tries) {
            if (notifier_->metrics().find(line) != std::string::npos) return true;
            std::this_thread::sleep_for(10ms);
        }
        return false;
    }

    static void expect_signed(const Receiver::Got& got) {
        std::int64_t at = 0;
        std::from_chars(got.timestamp.data(), got.timestamp.data() + got.timestamp.size(), at);
        EXPECT_LT(std::abs(at - wall_now().ns / 1'000'000'000), 60);
        EXPECT_EQ(got.signature, "v1," + notice_signature(kSigningKey, got.id, at, got.body));
    }

    std::filesystem::path folder_;
    Receiver receiver_;
    NotifierOptions options_;
    std::unique_ptr<store::Books> books_;
    std::unique_ptr<Notifier> notifier_;
    std::uint64_t exchanges_ = 0;
};

// Made by: printf '%s' 'ntc_1.1700000000.{"a":1}' | openssl dgst -sha256 -hmac KEY -binary | base64
TEST(NoticeSignature, IsHmacSha256OverIdTimeAndBody) {
    EXPECT_EQ(notice_signature("0123456789abcdef", "ntc_1", 1'700'000'000, R"({"a":1})"),
        "67mI8kNvkh84BXI/LIBG0+5g/0hofduDxCt9zIIveC0=");
}

TEST_F(NotifierTest, EachShareIsToldOnceSignedAndWithWhatIsLeft) {
    spend("5.00");
    spend("0.50");
    const auto got = await(1);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].target, "/hook?x=1");
    expect_signed(got[0]);
    const auto body = json::Document::parse(got[0].body);
    ASSERT_TRUE(body) << got[0].body;
    const json::Value& data = body->root()["data"];
    EXPECT_EQ(body->root()["type"].string(), "budget.threshold");
    EXPECT_EQ(body->root()["id"].string(), got[0].id);
    EXPECT_EQ(data["owner_kind"].string(), "team");
    EXPECT_EQ(data["owner"].string(), "search");
    EXPECT_EQ(data["percent"].as_int(), 50);
    EXPECT_EQ(data["limit"].string(), "10.00");
    EXPECT_EQ(data["currency"].string(), "USD");
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"taken\"} 1"));
    spend("3.00");
    EXPECT_EQ(await(2).size(), 2U);
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"taken\"} 2"));
    start();
    EXPECT_TRUE(comes_to("entrepot_notices_pending 0"));
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(receiver_.got().size(), 2U) << "a restart tells nothing twice";
}

TEST_F(NotifierTest, WhatIsNotTakenIsSentAgainUnderTheSameIdAndSignedAnew) {
    receiver_.answer_with({500, 302, 200});
    spend("5.00");
    const auto got = await(3);
    ASSERT_EQ(got.size(), 3U);
    for (const auto& one : got) {
        EXPECT_EQ(one.id, got[0].id);
        EXPECT_EQ(one.body, got[0].body);
        expect_signed(one);
    }
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"failed\"} 2"));
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"taken\"} 1"));
}

TEST_F(NotifierTest, AStalledReceiverIsLetGoOfAndHoldsUpNoOther) {
    receiver_.answer_with({0, 204});
    spend("5.00");
    ASSERT_EQ(await(1).size(), 1U);
    spend("5.00", "k");  // the key's own, at the other webhook
    const auto got = await(2);
    ASSERT_GE(got.size(), 2U);
    EXPECT_EQ(got[1].target, "/other") << "while the first is still stalled";
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"failed\"} 1"));
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"taken\"} 2"));
}

TEST_F(NotifierTest, AStalledReceiverDoesNotHoldUpTheEnd) {
    options_.timeout = 60s;
    start();
    receiver_.answer_with({0});
    spend("5.00");
    ASSERT_EQ(await(1).size(), 1U);
    const MonotonicTime before = monotonic_now();
    notifier_.reset();
    EXPECT_LT(monotonic_now() - before, 5s);
    options_.timeout = 300ms;
    start();
    EXPECT_EQ(await(2).size(), 2U) << "the next start sends it again";
    EXPECT_EQ(receiver_.got()[0].id, receiver_.got()[1].id);
}

TEST_F(NotifierTest, AReceiverThatIsGoneOrNeverAnswersIsGivenUp) {
    receiver_.answer_with({410});
    spend("5.00");
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"given_up\"} 1"));
    EXPECT_TRUE(comes_to("entrepot_notices_pending 0"));
    options_.retry_for = seconds(0);
    start();
    watch(1);  // nobody listens there
    spend("3.00");
    EXPECT_TRUE(comes_to("entrepot_notices_total{webhook=\"ops\",outcome=\"given_up\"} 1"));
    EXPECT_EQ(receiver_.got().size(), 1U);
}

TEST_F(NotifierTest, ShowsWhatTeamsBudgetsStandAtAndNoKeys) {
    spend("2.50", "k");
    EXPECT_TRUE(
        comes_to("entrepot_budget_settled{owner_kind=\"team\",owner=\"search\",period="
                 "\"total\",timezone=\"UTC\"} 2.5"))
        << notifier_->metrics();
    EXPECT_TRUE(comes_to("entrepot_budget_limit{owner_kind=\"team\""));
    EXPECT_EQ(notifier_->metrics().find("owner_kind=\"key\""), std::string::npos);
}

}  // namespace
}  // namespace entrepot::control
