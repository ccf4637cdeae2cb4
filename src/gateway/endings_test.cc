// Ways for an exchange to end that no other test is about; docs/reference/billing.md has them all.
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

class EndingsTest : public GatewayTest {
protected:
    void start_lab(std::string_view endpoint, std::string_view timeouts = "{}",
        std::string_view price = R"(price: {input: "1.00", output: "2.00", currency: USD})") {
        start_with(fmt::format(R"(clouds:
  lab: {{kind: openai_compatible, endpoint: "{}", timeouts: {}}}
models:
  tiny:
    offers:
      lab: {{cloud: lab, id: t, context_tokens: 8000, max_output_tokens: 1000, {}}}
)",
                       endpoint, timeouts, price),
            kBudget, "  poor: {team: free, secret: sk-free, models: [\"*\"]}\n");
    }
    std::string at_first() { return fmt::format("http://127.0.0.1:{}/v1", first.port); }
    /// Asks, and hangs up after that time, with or without an answer.
    void ask_for(milliseconds patience, std::string_view key = "sk-test") {
        Core core;
        net::HttpClient client(core);
        net::OriginPool* pool =
            *client.origin(net::Origin{false, "127.0.0.1", gateway_->port(), "", ""});
        const std::string lines = fmt::format("authorization: Bearer {}\r\n", key);
        const auto run = [&]() -> Co<void> {
            net::ClientRequest request;
            request.method = "POST";
            request.target = "/v1/chat/completions";
            request.header_lines = lines;
            request.body = kAsk;
            net::ExchangeLimits limits;
            limits.deadline = core.after(patience);
            const Result<net::ClientExchange> exchange =
                co_await client.exchange(*pool, request, limits);
            EXPECT_FALSE(exchange) << "it was answered in time";
        };
        core.run_until_done(run());
    }
    store::UsageRow total() {
        store::UsageRow row;
        gateway_->with_books([&](store::Books& books) {
            const auto table = books.usage({});
            ASSERT_TRUE(table) << table.error().message;
            row = table->total;
        });
        return row;
    }
    bool becomes_quiet() {
        for (int tries = 0; tries < 500; ++tries) {
            std::size_t open = 1;
            gateway_->with_books([&](store::Books& books) { open = books.stats().open_attempts; });
            if (open == 0) return true;
            std::this_thread::sleep_for(5ms);
        }
        return false;
    }
};

TEST_F(EndingsTest, ASupplierThatCannotBeReachedCostsNothing) {
    start_lab("http://127.0.0.1:1/v1");
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 502) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    ASSERT_FALSE(report.attempts.empty());
    for (const store::AttemptFacts& attempt : report.attempts)
        EXPECT_EQ(attempt.state, store::AttemptFacts::State::kReleased);
    EXPECT_EQ(report.cost, Money());
    expect_books_in_order();
}

TEST_F(EndingsTest, AStreamThatFallsSilentEndsInAnErrorAndIsAnEstimate) {
    start_lab(at_first(), "{idle_ms: 200}");
    Script silent = stream_of({chunk("hello"), chunk("there")});
    silent.between = 1500ms;
    first.plan(silent);
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_NE(reply.body.find("hello"), std::string::npos);
    EXPECT_EQ(reply.body.find("there"), std::string::npos);
    EXPECT_NE(reply.body.find(R"("error":)"), std::string::npos) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    ASSERT_EQ(report.attempts.size(), 1u);
    EXPECT_NE(report.attempts[0].flags & ledger::settle_flag::kEstimated, 0);
    EXPECT_GT(report.cost, Money());
    EXPECT_EQ(report.close.error, 1 + static_cast<int>(ErrorCode::kUpstreamTimeout));
    expect_books_in_order();
}

TEST_F(EndingsTest, AnAnswerThatBrokeOffIsBookedBesideTheOneThatReplacedIt) {
    Script half;
    half.pieces = {std::string(kAnswer.substr(0, 120)), std::string(" ")};
    half.breaks_off = true;
    first.plan(half);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    const store::ExchangeReport report = report_of(reply);
    ASSERT_GE(report.attempts.size(), 2u);
    const store::AttemptFacts& broken = report.attempts.front();
    EXPECT_EQ(broken.state, store::AttemptFacts::State::kSettled);
    EXPECT_NE(broken.flags & ledger::settle_flag::kEstimated, 0);
    EXPECT_GT(broken.cost, Money());
    EXPECT_LE(broken.cost, broken.held);
    EXPECT_EQ(report.attempts.back().cost.to_decimal(), "0.00006");
    Money sum;
    for (const store::AttemptFacts& attempt : report.attempts) sum += attempt.cost;
    EXPECT_EQ(report.cost, sum);
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), sum.to_decimal() + " USD");
    expect_books_in_order();
}

TEST_F(EndingsTest, AClientThatHangsUpBeforeTheAnswerBeginsPaysWhatWasSent) {
    Script slow;
    slow.before = 3000ms;
    start_lab(at_first());
    first.plan(slow);
    ask_for(200ms);
    EXPECT_TRUE(becomes_quiet());
    EXPECT_EQ(first.served(), 1u);
    EXPECT_EQ(first.cancelled, 1) << "the supplier works on";
    const store::UsageRow row = total();
    EXPECT_EQ(row.attempts, 1u);
    EXPECT_EQ(row.estimated, 1u);
    EXPECT_GT(row.cost, Money());
    expect_books_in_order();
}

TEST_F(EndingsTest, AClientThatHangsUpWhileItWaitsForABudgetCostsNothing) {
    start("0.003", R"(  patient: {team: search, secret: sk-patient, models: ["*"],
    policy: {budget_wait_ms: 5000}}
)");
    Script slow;
    slow.before = 250ms;
    first.plan(slow);
    auto holder = std::async(std::launch::async, [&] { return ask(kAsk); });
    while (first.served() == 0) std::this_thread::sleep_for(1ms);
    ask_for(100ms, "sk-patient");
    const Reply held = holder.get();
    EXPECT_EQ(held.status, 200);
    (void)report_of(held);
    EXPECT_TRUE(becomes_quiet());
    EXPECT_EQ(first.served(), 1u);
    EXPECT_EQ(total().attempts, 1u);
    expect_books_in_order();
}

TEST_F(EndingsTest, WhatHasNoPriceIsBookedAsUnknownAndNeverAsNothing) {
    start_lab(at_first(), "{}", "");
    const Reply reply = ask(kAsk, "sk-free");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_FALSE(reply.headers.contains("x-entrepot-cost"));
    const store::ExchangeReport report = report_of(reply);
    ASSERT_EQ(report.attempts.size(), 1u);
    EXPECT_NE(report.attempts[0].flags & ledger::settle_flag::kUnpriced, 0);
    EXPECT_EQ(report.attempts[0].usage[canon::Meter::kInput], 10);
    EXPECT_NE(ask(kAsk).status, 200) << "under a budget it cannot be held";
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
