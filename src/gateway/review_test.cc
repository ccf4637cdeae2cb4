// What a hostile reading of the money path found, one test to a finding.
#include "gateway/testing.h"
#include "net/testing.h"

namespace entrepot::gateway {
namespace {

class ReviewTest : public GatewayTest {
protected:
    /// An offer of `lab`, which speaks the client's dialect, and one of `claude`, which is
    /// translated to; the one at the port that comes first is the cheaper one.
    void start_two(bool is_claude_cheaper, std::string_view budget = kBudget) {
        const std::string_view cheap = R"({input: "1.00", output: "2.00", currency: USD})";
        const std::string_view dear = R"({input: "3.00", output: "6.00", currency: USD})";
        const std::string suppliers = fmt::format(R"(clouds:
  claude: {{kind: anthropic, endpoint: "http://127.0.0.1:{}", api_key: k}}
  lab: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1"}}
models:
  tiny:
    offers:
      claude: {{cloud: claude, id: claude-sonnet-4-5-20250929, context_tokens: 8000,
        max_output_tokens: 1000, price: {}}}
      lab: {{cloud: lab, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000, price: {}}}
)",
            is_claude_cheaper ? first.port : second.port,
            is_claude_cheaper ? second.port : first.port, is_claude_cheaper ? cheap : dear,
            is_claude_cheaper ? dear : cheap);
        start_with(suppliers, budget);
    }
    /// One offer, at `first`.
    void start_lab(std::string_view timeouts = "{}") {
        const std::string suppliers = fmt::format(R"(clouds:
  lab: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1", timeouts: {}}}
models:
  tiny:
    offers:
      lab: {{cloud: lab, id: t, context_tokens: 8000, max_output_tokens: 1000,
        price: {{input: "1.00", output: "2.00", currency: USD}}}}
)",
            first.port, timeouts);
        start_with(suppliers);
    }
    static Script refusing(int status, std::string body) {
        Script script;
        script.status = status;
        script.pieces = {std::move(body)};
        return script;
    }
    static Script answering(std::string body) { return refusing(200, std::move(body)); }
    static Script busy() { return refusing(503, R"({"error":{"message":"busy"}})"); }
    /// A whole reply of 'hello' with the usage given.
    static Script answering_with_usage(std::string_view usage) {
        return answering(fmt::format(R"({{"id":"c","object":"chat.completion","created":1,)"
                                     R"("model":"t","choices":[{{"index":0,"message":)"
                                     R"({{"role":"assistant","content":"hello"}},)"
                                     R"("finish_reason":"stop"}}],"usage":{}}})",
            usage));
    }
};

constexpr std::string_view kAskTwo =
    R"({"model":"tiny","n":2,"messages":[{"role":"user","content":"hi"}]})";

TEST_F(ReviewTest, AnOfferThatCannotCarryTheRequestLeavesItToTheNext) {
    start_two(true);
    const Reply reply = ask(kAskTwo);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(second.served(), 1u);
    expect_books_in_order();
}

TEST_F(ReviewTest, ASuppliersFailureOutlivesTheRefusalOfAnotherOffer) {
    start_two(false);
    first.plan(busy());
    const Reply reply = ask(kAskTwo);
    EXPECT_GE(reply.status, 500) << reply.body;
    expect_books_in_order();
}

TEST_F(ReviewTest, WhatAFailedAttemptDroppedIsNotSaidOfTheOneThatAnswered) {
    start_two(true);
    first.plan(busy());
    const Reply reply =
        ask(R"({"model":"tiny","seed":1,"user":"u","messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.headers.count("x-entrepot-dropped"), 0u);
}

// message_start states a provisional output of 1: a floor, and no usage.
TEST_F(ReviewTest, ATranslatedStreamThatWasCutIsBookedAsAnEstimateAboveItsBeginning) {
    start_two(true);
    Script cut = stream_of({
        "event: message_start\ndata: "
        R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
        R"("model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,)"
        R"("stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}})"
        "\n\n",
        "event: content_block_start\ndata: "
        R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"
        "\n\n",
        "event: content_block_delta\ndata: "
        R"({"type":"content_block_delta","index":0,)"
        R"("delta":{"type":"text_delta","text":"a word of forty bytes, more or less, ok."}})"
        "\n\n",
    });
    cut.breaks_off = true;
    first.plan(cut);
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_NE(reply.body.find("data: {\"error\":"), std::string::npos) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    EXPECT_EQ(report.attempts.at(0).usage[canon::Meter::kInput], 10);
    EXPECT_EQ(report.attempts.at(0).usage[canon::Meter::kOutput], 10);
    expect_books_in_order();
}

TEST_F(ReviewTest, ABatchTierThatTheDialectDropsIsBilledAtStandard) {
    const std::string suppliers = fmt::format(R"(clouds:
  claude: {{kind: anthropic, endpoint: "http://127.0.0.1:{}", api_key: k}}
models:
  tiny: {{offers: {{claude: {{cloud: claude, id: claude-sonnet-4-5-20250929}}}}}}
)",
        first.port);
    start_with(suppliers);
    first.plan(answering(
        R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",)"
        R"("content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn",)"
        R"("stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":5,)"
        R"("service_tier":"standard"}})"));
    const Reply plain = ask(kAsk);
    ASSERT_EQ(plain.status, 200) << plain.body;
    const Reply reply = ask(R"({"model":"tiny","service_tier":"batch",)"
                            R"("messages":[{"role":"user","content":"hi"}]})");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(first.last_body().find("batch"), std::string::npos);
    EXPECT_FALSE(report_of(plain).cost.is_zero());
    EXPECT_EQ(report_of(reply).cost, report_of(plain).cost);
}

TEST_F(ReviewTest, ASupplierThatGoesBeyondTheCapIsTakenOutOfUseOnEveryCore) {
    first.plan(answering_with_usage(
        R"({"prompt_tokens":10,"completion_tokens":1000,"total_tokens":1010})"));
    (void)ask(R"({"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hi"}]})");
    // Each connection is new, so that both cores serve some.
    for (int i = 0; i < 20; ++i) {
        const Reply again = ask(kAsk);
        ASSERT_EQ(again.headers.at("x-entrepot-offer"), "tiny/second") << i;
    }
    expect_books_in_order();
}

TEST_F(ReviewTest, AUsageThatStatesNothingIsNoUsage) {
    first.plan(answering_with_usage("{}"));
    const store::ExchangeReport report = report_of(ask(kAsk));
    EXPECT_FALSE(report.cost.is_zero());
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
}

TEST_F(ReviewTest, WebSearchesHaveNoBoundThatABudgetCouldHold) {
    const Reply reply = ask(R"({"model":"tiny","web_search_options":{},)"
                            R"("messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_NE(reply.body.find("web_search_options"), std::string::npos);
    EXPECT_EQ(first.served(), 0u);
}

// One reader takes the first of two members, another the last.
TEST_F(ReviewTest, APartThatStatesItsTypeTwiceIsRefused) {
    const std::string_view video = R"("type":"video_url","video_url":{"url":"https://x/y"})";
    const auto asking = [](std::string_view part) {
        return fmt::format(
            R"({{"model":"tiny","messages":[{{"role":"user","content":[{{{}}}]}}]}})", part);
    };
    EXPECT_EQ(ask(asking(video)).status, 400);
    EXPECT_EQ(ask(asking(fmt::format(R"("type":"text",{})", video))).status, 400);
    EXPECT_EQ(first.served(), 0u);
}

TEST_F(ReviewTest, AnEarlierAnswersAudioIsNobodysWhoeverNamesIt) {
    const Reply reply = ask(R"({"model":"tiny","messages":[{"role":"assistant",)"
                            R"("audio":{"id":"audio_abc"}},{"role":"user","content":"hi"}]})");
    EXPECT_EQ(reply.status, 404) << reply.body;
    EXPECT_EQ(first.served(), 0u);
}

TEST_F(ReviewTest, AStreamEndsWhenTheTimeForAllOfItIsUp) {
    start_lab("{total_ms: 500, idle_ms: 400}");
    std::vector<std::string> pieces(25, chunk("a"));
    pieces.insert(pieces.end(), {kFinish, kDone});
    Script slow = stream_of(pieces);
    slow.between = 100ms;
    first.plan(slow);
    const auto began = std::chrono::steady_clock::now();
    const Reply reply = ask(kAskStream);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
    EXPECT_NE(reply.body.find("data: {\"error\":"), std::string::npos) << reply.body;
}

TEST_F(ReviewTest, ContentBesideAnErrorInTheFirstEventIsBooked) {
    first.plan(stream_of({chunk("hello hello hello") +
        "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n"}));
    second.plan(stream_of({chunk("hello"), kFinish, kUsage, kDone}));
    const store::ExchangeReport report = report_of(ask(kAskStream));
    ASSERT_EQ(report.attempts.size(), 2u);
    EXPECT_EQ(report.attempts[0].state, store::AttemptFacts::State::kSettled);
    expect_books_in_order();
}

TEST_F(ReviewTest, OurAccountRunDryIsAnAlarmAndNotTheClientsFault) {
    start_lab();
    first.plan(refusing(429,
        R"({"error":{"message":"You exceeded your current quota, please check your plan and )"
        R"(billing details.","type":"insufficient_quota","param":null,)"
        R"("code":"insufficient_quota"}})"));
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 502) << reply.body;
    EXPECT_EQ(reply.body.find("billing"), std::string::npos) << reply.body;
    EXPECT_NE(gateway_->metrics().find("entrepot_alarms_total 1"), std::string::npos);
}

// It would send the client, and the client's key, to a place of the supplier's choice.
TEST_F(ReviewTest, ASuppliersRedirectIsA502) {
    start_lab();
    Script moved = refusing(302, "<html>moved</html>");
    moved.headers = "location: https://login.example/acme\r\n";
    first.plan(moved);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 502) << reply.body;
    EXPECT_EQ(reply.headers.count("location"), 0u);
    expect_books_in_order();
}

// They leave while the gateway waits for more of the reply: small pieces block no write.
TEST_F(ReviewTest, ClientsThatLeaveALargeReplySayNothingOfTheSupplier) {
    start(kBudget, "reply_buffer_bytes: 100\n");
    Script slow = answering(
        R"({"id":"c","choices":[{"index":0,"message":{"content":")" + std::string(200, 'x'));
    slow.pieces.insert(slow.pieces.end(), 30, "x");
    slow.between = 50ms;
    first.plan(slow);
    for (int i = 0; i < 6; ++i) (void)ask(kAsk, "sk-test", 1);
    for (int tries = 0; tries < 300 && first.cancelled < 6; ++tries)
        std::this_thread::sleep_for(10ms);
    EXPECT_EQ(first.cancelled, 6);
    EXPECT_EQ(gateway_->metrics().find("outcome=\"failed\""), std::string::npos);
}

TEST_F(ReviewTest, TheAnswerNamesTheOfferThatWasTriedAndNotOneThatWasRefused) {
    start_two(false, "0.004");  // the worst case of lab fits, that of claude does not
    first.plan(busy());
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 503) << reply.body;
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/lab");
    expect_books_in_order();
}

TEST_F(ReviewTest, AUsageOfTheBeginningIsAFloorOnceTheStreamIsCut) {
    const std::string begin =
        R"(data: {"id":"c","object":"chat.completion.chunk","model":"t","choices":[{"index":0,)"
        R"("delta":{"role":"assistant"},"finish_reason":null}],"usage":{"prompt_tokens":10,)"
        R"("completion_tokens":0,"total_tokens":10}})"
        "\n\n";
    Script cut = stream_of({begin, chunk("hello hello hello hello hello hello hello")});
    cut.breaks_off = true;
    cut.between = 30ms;
    first.plan(cut);
    const store::ExchangeReport report = report_of(ask(kAskStream));
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    EXPECT_GT(report.cost.to_decimal(), "0.00002");  // the prompt alone is 0.00001
}

// Go's encoding/json matches keys ignoring case, and takes the last one.
TEST_F(ReviewTest, AFieldThatDiffersFromAKnownOneByCaseAloneIsRefused) {
    for (const std::string_view field : {"Max_Tokens", "MODEL",
             "max_to\xE2\x84\xAA"
             "ens",
             "meSSages",
             "u\xC5\xBF"
             "er",
             "\\u004e"}) {
        const Reply reply = ask(fmt::format(R"({{"model":"tiny","max_tokens":5,"{}":100000,)"
                                            R"("messages":[{{"role":"user","content":"hi"}}]}})",
            field));
        EXPECT_EQ(reply.status, 400) << field;
        EXPECT_NE(reply.body.find("is not a field"), std::string::npos) << reply.body;
    }
    EXPECT_EQ(first.served(), 0u);
    EXPECT_EQ(
        ask(R"({"model":"tiny","X_Own":1,"messages":[{"role":"user","content":"hi"}]})").status,
        200);
}

TEST_F(ReviewTest, AWriteThatOurDrainEndsIsNotTheClientsDoing) {
    const std::string large(60'000, 'x');
    std::vector<std::string> pieces(400, chunk(large));
    pieces.insert(pieces.end(), {kFinish, kUsage, kDone});
    first.plan(stream_of(pieces));
    net::testing::RawClient slow(gateway_->port(), 4096);
    slow.send(
        fmt::format("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
                    "authorization: Bearer sk-test\r\ncontent-length: {}\r\n\r\n{}",
            kAskStream.size(), kAskStream));
    Reply reply;
    const std::string head = slow.read_until("\r\n\r\n");
    const std::size_t at = head.find("x-entrepot-exchange: ");
    ASSERT_NE(at, std::string::npos) << head;
    reply.headers["x-entrepot-exchange"] = head.substr(at + 21, 36);
    // tidy: what is waited for, that every buffer on the way is full, shows nowhere
    std::this_thread::sleep_for(300ms);
    gateway_->drain(0ms);
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.close.ended_by, ledger::EndedBy::kGateway);
    EXPECT_FALSE(report.attempts.at(0).flags & ledger::settle_flag::kClientGone);
    expect_books_in_order();
}

// Else anybody could make us keep bodies of 64 MiB by the thousand.
TEST_F(ReviewTest, WhoIsNotKnownIsToldSoBeforeTheBodyIsRead) {
    const auto head = [](std::string_view path, std::string_view key) {
        return fmt::format(
            "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n"
            "content-length: 1000000\r\n\r\n{{",
            path, key);
    };
    net::testing::RawClient stranger(gateway_->port());
    stranger.send(head("/v1/chat/completions", "sk-wrong"));
    const std::string refused = stranger.read_answer();
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 401 ")) << refused;
    EXPECT_NE(refused.find("connection: close"), std::string::npos);
    EXPECT_NE(refused.find("invalid_api_key"), std::string::npos) << refused;
    EXPECT_TRUE(stranger.ended());

    net::testing::RawClient lost(gateway_->port());
    lost.send(head("/nowhere", "sk-test"));
    EXPECT_TRUE(lost.read_answer().starts_with("HTTP/1.1 404 "));

    // Who is known is listened to, also after `Expect: 100-continue`.
    net::testing::RawClient known(gateway_->port());
    known.send(
        fmt::format("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
                    "authorization: Bearer sk-test\r\nexpect: 100-continue\r\n"
                    "content-length: {}\r\n\r\n",
            kAsk.size()));
    EXPECT_TRUE(known.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 "));
    known.send(kAsk);
    EXPECT_TRUE(known.read_answer().starts_with("HTTP/1.1 200 "));
    net::testing::RawClient unknown(gateway_->port());
    unknown.send(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        "content-length: 5\r\n\r\n");
    EXPECT_TRUE(unknown.read_answer().starts_with("HTTP/1.1 401 "));
}

// OpenAI's own API would answer up to its model's cap, not up to the configured one.
TEST_F(ReviewTest, AConfiguredCapBelowTheModelsIsStatedToEverySupplierTheHoldRestsOn) {
    const std::string suppliers = fmt::format(R"(clouds:
  maker: {{kind: openai, endpoint: "http://127.0.0.1:{0}/v1", api_key: k}}
models:
  tiny: {{offers: {{o: {{cloud: maker, id: gpt-4o-mini, max_output_tokens: 1000}}}}}}
  full: {{offers: {{o: {{cloud: maker, id: gpt-4o-mini}}}}}}
)",
        first.port);
    start_with(suppliers);
    (void)ask(kAsk);
    EXPECT_NE(first.last_body().find("\"max_completion_tokens\":1000"), std::string::npos)
        << first.last_body();
    // The maker enforces its own by itself: nothing is edited.
    (void)ask(R"({"model":"full","messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(first.last_body().find("max_completion_tokens"), std::string::npos)
        << first.last_body();
}

// A client's JSON parser would throw in the middle of the answer, and nobody could say why.
TEST_F(ReviewTest, AnEventThatIsNoJsonEndsTheStreamInAnErrorAndNeverReachesTheClient) {
    for (const bool wants_usage : {false, true}) {
        start_lab();
        Script script = stream_of({chunk("hel"), "data: {\"choices\":[{\n\n", kFinish + kDone});
        script.between = 20ms;
        first.plan(script);
        const Reply reply =
            ask(wants_usage ? R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],)"
                              R"("stream":true,"stream_options":{"include_usage":true}})"
                            : std::string(kAskStream));
        EXPECT_EQ(reply.status, 200);
        EXPECT_NE(reply.body.find("hel"), std::string::npos);
        EXPECT_EQ(reply.body.find("[{\n"), std::string::npos) << reply.body;
        EXPECT_NE(reply.body.find("data: {\"error\":"), std::string::npos) << reply.body;
        EXPECT_EQ(reply.body.find("[DONE]"), std::string::npos) << reply.body;
        EXPECT_EQ(report_of(reply).attempts.at(0).flags, ledger::settle_flag::kEstimated);
    }
    expect_books_in_order();
}

TEST_F(ReviewTest, AReplyWithoutChoicesIsNoAnswerButItsUsageIsBooked) {
    start_lab();
    first.plan(answering(
        R"({"id":"c","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})"));
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 502) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.attempts.at(0).flags, 0);
    EXPECT_EQ(report.attempts.at(0).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(ReviewTest, AStatusThatNoClientCanReadIsA502) {
    start_lab();
    first.plan(refusing(700, R"({"error":{"message":"odd"}})"));
    EXPECT_EQ(ask(kAsk).status, 502);
}

TEST_F(ReviewTest, AFractionOfASecondToWaitIsRoundedUp) {
    start_lab();
    Script script = refusing(429, R"({"error":{"message":"slow"}})");
    script.headers = "retry-after: 0.5\r\n";
    first.plan(script);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 429);
    EXPECT_EQ(reply.headers.at("retry-after"), "1");
    EXPECT_EQ(reply.headers.at("retry-after-ms"), "500");
}

TEST_F(ReviewTest, ACompressedAnswerIsNamedAsWhatItIs) {
    start_lab();
    Script script = answering("\x1f\x8b");
    script.headers = "content-encoding: gzip\r\n";
    first.plan(script);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 502);
    EXPECT_NE(reply.body.find("compressed ('gzip')"), std::string::npos) << reply.body;
}

TEST_F(ReviewTest, ASlashTooManyLeadsToTheSamePlace) {
    for (const std::string_view path :
        {"/v1/chat/completions/", "/v1//chat/completions", "//v1/chat/completions"})
        EXPECT_EQ(call(gateway_->port(), "POST", path, kAsk).status, 200) << path;
    for (const std::string_view path :
        {"/v1/chat", "/v1/chat/completionsx", "/v1/chatcompletions", "/", "/v1/chat/completion/s"})
        EXPECT_EQ(call(gateway_->port(), "POST", path, kAsk).status, 404) << path;
    EXPECT_EQ(
        call(gateway_->port(), "POST", "//v1/chat/completions", kAsk, "sk-other").status, 401);
}

// The SDKs' models.retrieve escapes a name's slashes and colons.
TEST_F(ReviewTest, AModelIsFoundByItsEscapedName) {
    start_with(fmt::format(R"(clouds:
  lab: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1"}}
models:
  "meta/llama:8b": {{offers: {{o: {{cloud: lab, id: t, context_tokens: 8000,
    max_output_tokens: 1000, price: {{input: "1.00", output: "2.00", currency: USD}}}}}}}}
)",
        first.port));
    const Reply reply = call(gateway_->port(), "GET", "/v1/models/meta%2Fllama%3a8b", "");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.body.find("\"id\":\"meta/llama:8b\""), std::string::npos) << reply.body;
}

}  // namespace
}  // namespace entrepot::gateway
