#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

// Ten tokens in, five out: 0.00006 at the list of the second supplier, 0.00002 at that of the
// first.
constexpr std::string_view kThreeQuartersOff = R"(contracts:
  acme-2026:
    clouds: [second]
    from: 2020-01-01
    to: 2200-01-01
    discounts: [{off: "75%"}]
)";

TEST_F(GatewayTest, TheRequestGoesWhereItCostsLeastUnderContract) {
    start(kBudget, kThreeQuartersOff);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.000015 USD");
    const store::AttemptFacts attempt = report_of(reply).attempts.at(0);
    EXPECT_EQ(attempt.cost.to_decimal(), "0.000015");
    EXPECT_EQ(attempt.list_cost.to_decimal(), "0.00006");
    EXPECT_FALSE(attempt.rate_version.empty());
    expect_books_in_order();
}

TEST_F(GatewayTest, TheBooksNameTheContract) {
    start(kBudget, kThreeQuartersOff);
    (void)ask(kAsk);
    store::UsageQuery query;
    query.group_by = {store::UsageColumn::kContract, store::UsageColumn::kTier};
    std::optional<Result<store::UsageTable>> table;
    gateway_->with_books([&](store::Books& books) { table.emplace(books.usage(query)); });
    ASSERT_TRUE(*table) << table->error().message;
    ASSERT_EQ((*table)->rows.size(), 1u);
    EXPECT_EQ((*table)->rows[0].group, (std::vector<std::string>{"acme-2026", "standard"}));
}

// Ten tokens in and five out are 0.00002 at the list; the second exchange crosses the step.
TEST_F(GatewayTest, AVolumeStepIsReachedWithinAnExchangeAndStaysSoAfterARestart) {
    constexpr std::string_view kSteps = R"(contracts:
  acme-2026:
    clouds: [first, second]
    from: 2020-01-01
    to: 2200-01-01
    volume: [{per: year, measure: units, steps: [{over: "20", off: "50%"}]}]
)";
    start(kBudget, kSteps);
    EXPECT_EQ(ask(kAsk).headers.at("x-entrepot-cost"), "0.00002 USD");
    // Units 16 to 20 of its prompt at 1.00, all beyond at half of it.
    EXPECT_EQ(ask(kAsk).headers.at("x-entrepot-cost"), "0.0000125 USD");
    EXPECT_EQ(ask(kAsk).headers.at("x-entrepot-cost"), "0.00001 USD");
    gateway_.reset();
    start(kBudget, kSteps);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00001 USD");
    EXPECT_EQ(report_of(reply).attempts.at(0).list_cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

// The hold is bound by what is paid: a budget that the list would overrun has room.
TEST_F(GatewayTest, AHoldRestsOnContractedRates) {
    // 1000 tokens of answer at the list of 2.00 alone are 0.002.
    start("0.0019", R"(contracts:
  cheap: {clouds: ["*"], from: 2020-01-01, to: 2200-01-01, discounts: [{off: "50%"}]}
)");
    EXPECT_EQ(ask(kAsk).status, 200);
    expect_books_in_order();
}

TEST_F(GatewayTest, ARoundedContractIsBookedAsItRounds) {
    start(kBudget, R"(contracts:
  round:
    clouds: [first]
    from: 2020-01-01
    to: 2200-01-01
    prices: [{price: {input: "1.11", output: "2.22"}}]
    rounding: {mode: up, decimals: 5}
)");
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00004 USD");
    EXPECT_EQ(report_of(reply).attempts.at(0).list_cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

// The hours are paid whether or not it serves, so it goes first, holds nothing and costs nothing.
TEST_F(GatewayTest, CapacityThatIsPaidByTheHourServesFirst) {
    start("0.00", R"(contracts:
  hours:
    clouds: [second]
    from: 2020-01-01
    to: 2200-01-01
    provisioned:
      ptu: {offers: [tiny/second], units: 1, hourly: "2.00", tokens_per_minute: 1000}
)");
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00 USD");
    EXPECT_EQ(report_of(reply).attempts.at(0).list_cost.to_decimal(), "0.00006");
    expect_books_in_order();
}

TEST_F(GatewayTest, AContractThatHasEndedChangesNothing) {
    start(kBudget, R"(contracts:
  past: {clouds: ["*"], from: 2020-01-01, to: 2021-01-01, discounts: [{off: "50%"}]}
)");
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/first");
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00002 USD");
}

}  // namespace
}  // namespace entrepot::gateway
