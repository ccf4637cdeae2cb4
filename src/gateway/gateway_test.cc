#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

TEST_F(GatewayTest, AWholeAnswerComesByteForByteAndIsBookedAtWhatTheSupplierReported) {
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, kAnswer);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/first");
    EXPECT_EQ(reply.headers.at("x-entrepot-attempts"), "1");
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00002 USD");
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.00002");
    EXPECT_EQ(report.attempts.at(0).flags, 0);
    expect_books_in_order();
}

TEST_F(GatewayTest, OnlyTheModelIsEditedInTheBodyThatGoesUpstream) {
    (void)ask(R"({ "model" : "tiny", "messages":[{"role":"user","content":"hi"}], )"
              R"("max_tokens" :7, "x_own": [1, 2.50] })");
    EXPECT_EQ(first.last_body(),
        R"({ "model" : "tiny-2026", "messages":[{"role":"user","content":"hi"}], )"
        R"("max_tokens" :7, "x_own": [1, 2.50] })");
}

// Else it would answer up to its context window, far beyond the hold.
TEST_F(GatewayTest, AServerOfUnknownMakeIsToldTheCapThatTheHoldRestsOn) {
    (void)ask(kAsk);
    EXPECT_NE(first.last_body().find("\"max_tokens\":1000"), std::string::npos);
    (void)ask(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],)"
              R"("max_completion_tokens":5})");
    EXPECT_NE(first.last_body().find("\"max_tokens\":5"), std::string::npos);
}

TEST_F(GatewayTest, UsageIsAskedForUpstreamAndStrippedForTheClientThatDidNotAsk) {
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_NE(first.last_body().find("include_usage"), std::string::npos);
    EXPECT_EQ(reply.body.find("usage"), std::string::npos) << reply.body;
    EXPECT_NE(reply.body.find("hel"), std::string::npos);
    EXPECT_TRUE(reply.body.ends_with(kDone));
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(GatewayTest, AClientThatAskedForUsageGetsTheStreamUntouched) {
    first.plan(stream_of({chunk("hello"), kFinish, kUsage, kDone}));
    const Reply reply =
        ask(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true,)"
            R"("stream_options":{"include_usage":true}})");
    EXPECT_EQ(reply.body, chunk("hello") + kFinish + kUsage + kDone);
}

TEST_F(GatewayTest, AFailureBeforeTheFirstByteMovesToTheNextOffer) {
    for (const int status : {500, 503, 429, 401}) {
        Script script;
        script.status = status;
        script.pieces = {R"({"error":{"message":"no"}})"};
        first.plan(script);
        const Reply reply = ask(kAsk);
        EXPECT_EQ(reply.status, 200) << status;
        EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second") << status;
    }
    expect_books_in_order();
}

TEST_F(GatewayTest, AStreamThatBreaksBeforeItsFirstEventMovesToTheNextOffer) {
    Script broken = stream_of({": wait\n\n"});
    broken.pieces.clear();
    broken.breaks_off = true;
    first.plan(broken);
    second.plan(stream_of({chunk("hello"), kFinish, kUsage, kDone}));
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    EXPECT_EQ(reply.headers.at("x-entrepot-attempts"), "2");
    expect_books_in_order();
}

TEST_F(GatewayTest, AStreamCutAfterContentEndsInTheDialectsErrorAndIsBookedAsAnEstimate) {
    Script cut = stream_of({chunk("hello"), chunk(" world")});
    cut.breaks_off = true;
    first.plan(cut);
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_FALSE(reply.truncated);
    EXPECT_NE(reply.body.find("data: {\"error\":"), std::string::npos) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    EXPECT_FALSE(report.cost.is_zero());
    EXPECT_LE(report.cost, report.attempts.at(0).held);
    expect_books_in_order();
}

TEST_F(GatewayTest, AClientThatHangsUpCancelsUpstreamAndIsStillBooked) {
    Script slow = stream_of({chunk("a"), chunk("b"), chunk("c"), chunk("d"), chunk("e")});
    slow.between = 100ms;
    first.plan(slow);
    const Reply reply = ask(kAskStream, "sk-test", 1);
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kClientGone);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    for (int tries = 0; tries < 200 && first.cancelled == 0; ++tries)
        std::this_thread::sleep_for(10ms);
    EXPECT_EQ(first.cancelled, 1);
    expect_books_in_order();
}

TEST_F(GatewayTest, ASupplierThatSaysNothingTimesOutAndTheNextOneAnswers) {
    Script silent;
    silent.before = 2s;
    first.plan(silent);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    // The first attempt was sent, so it may have been billed: it is in the books, as an estimate.
    const store::ExchangeReport report = report_of(reply);
    ASSERT_EQ(report.attempts.size(), 2u);
    EXPECT_TRUE(report.attempts[0].flags & ledger::settle_flag::kEstimated);
    expect_books_in_order();
}

TEST_F(GatewayTest, AKeyOfTheEuNeverReachesTheUsAlsoNotOnFailover) {
    Script down;
    down.status = 500;
    first.plan(down);
    const Reply reply = ask(kAsk, "sk-eu");
    EXPECT_GE(reply.status, 500);
    EXPECT_EQ(second.served(), 0u);
    expect_books_in_order();
}

TEST_F(GatewayTest, ARefusalByTheBudgetSaysWhatIsLeftAndWhatWouldFit) {
    start("0.001");  // the worst case is about 0.002: a thousand tokens of output
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 429);
    const auto document = json::Document::parse(reply.body);
    ASSERT_TRUE(document) << reply.body;
    const std::string message((*document).root()["error"]["message"].string());
    EXPECT_NE(message.find("0.001 USD left"), std::string::npos) << message;
    EXPECT_NE(message.find("max_tokens up to "), std::string::npos) << message;
    EXPECT_NE(message.find("renews at"), std::string::npos) << message;
    EXPECT_EQ(first.served(), 0u);
    expect_books_in_order();
}

TEST_F(GatewayTest, BadInputIsRefusedInTheClientsDialectAndBilledNothing) {
    struct Case {
        std::string_view body;
        int status;
        std::string_view says;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"{", 400, "JSON"},
             {R"({"messages":[{"role":"user","content":"hi"}]})", 400, "model"},
             {R"({"model":"tny","messages":[{"role":"user","content":"hi"}]})", 404, "tiny"},
             {R"({"model":"tiny","messages":"hi"})", 400, "messages"},
             {R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],)"
              R"("temperature":"hot"})",
                 400, "temperature"},
             {R"({"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url",)"
              R"("image_url":{"url":"nonsense"}}]}]})",
                 400, "image_url"},
         }) {
        const Reply reply = ask(c.body);
        EXPECT_EQ(reply.status, c.status) << c.body;
        EXPECT_NE(reply.body.find(c.says), std::string::npos) << reply.body;
        EXPECT_TRUE(reply.body.starts_with("{\"error\":")) << reply.body;
    }
    EXPECT_EQ(first.served(), 0u);
    EXPECT_EQ(call(gateway_->port(), "POST", "/v1/chat/completions", kAsk, "sk-wrong").status, 401);
    EXPECT_EQ(call(gateway_->port(), "GET", "/v1/chat/completions", "").status, 405);
    EXPECT_EQ(call(gateway_->port(), "GET", "/nowhere", "").status, 404);
    expect_books_in_order();
}

TEST_F(GatewayTest, ASuppliers400BelongsToTheClientWithoutOurAccount) {
    Script refused;
    refused.status = 400;
    refused.pieces = {R"({"error":{"message":"bad seed for org-abcdefgh123",)"
                      R"("type":"invalid_request_error","param":"seed","code":null}})"};
    first.plan(refused);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("bad seed"), std::string::npos);
    EXPECT_EQ(reply.body.find("abcdefgh123"), std::string::npos) << reply.body;
    EXPECT_EQ(second.served(), 0u);
    expect_books_in_order();
}

TEST_F(GatewayTest, ModelsListsWhatTheKeyMayUse) {
    const Reply reply = call(gateway_->port(), "GET", "/v1/models", "");
    EXPECT_EQ(reply.status, 200);
    EXPECT_NE(reply.body.find("\"id\":\"tiny\""), std::string::npos) << reply.body;
    EXPECT_EQ(call(gateway_->port(), "GET", "/v1/models", "", "nobody").status, 401);
}

}  // namespace
}  // namespace entrepot::gateway
