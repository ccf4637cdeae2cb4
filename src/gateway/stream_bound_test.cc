// Streams and their holds: one that shrinks, one that is gone beyond, and those who wait for room.
#include "dialect/registry.h"
#include "gateway/lane.h"
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

/// A stream of that dialect that says so much and never ends; each event apart.
std::vector<std::string> endless(
    std::string_view dialect, const canon::Usage* prompt, int pieces, std::size_t piece_bytes) {
    dialect::ReplyContext context;
    context.model = "tiny-2026";
    context.id = "reply-1";
    const auto encoder =
        dialect::find_dialect(dialect)->reply_encoder(dialect::ReplyForm::kStream, context);
    std::vector<canon::Event> events;
    canon::Started started;
    started.id = "reply-1";
    started.model = "tiny-2026";
    events.push_back(started);
    if (prompt != nullptr) events.push_back(canon::UsageReported{*prompt});
    events.push_back(canon::PartStarted{});
    for (int i = 0; i < pieces; ++i)
        events.push_back(canon::PartDelta{0, 0, std::string(piece_bytes, 'x')});
    std::vector<std::string> out;
    for (const canon::Event& event : events) {
        std::string bytes;
        encoder->add(event, bytes);
        if (!bytes.empty()) out.push_back(bytes);
    }
    return out;
}

std::string_view dialect_at(std::string_view path) {
    const auto has = [&](std::string_view word) { return path.find(word) != path.npos; };
    return has("/chat/completions")           ? "openai-chat"
        : has("/responses")                   ? "openai-responses"
        : has("/messages")                    ? "anthropic-messages"
        : has("streamGenerateContent")        ? "gemini"
        : has("/invoke-with-response-stream") ? "bedrock-invoke"
                                              : "bedrock-converse";
}

struct Client {
    std::string_view dialect, path, body;
};
constexpr Client kClients[] = {
    {"openai-chat", "/v1/chat/completions",
        R"({"model":"tiny","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,)"
        R"("messages":[{"role":"user","content":"hi"}]})"},
    {"openai-responses", "/v1/responses",
        R"({"model":"tiny","stream":true,"max_output_tokens":16,"input":"hi","store":false})"},
    {"anthropic-messages", "/v1/messages",
        R"({"model":"tiny","stream":true,"max_tokens":5,)"
        R"("messages":[{"role":"user","content":"hi"}]})"},
    {"gemini", "/v1beta/models/tiny:streamGenerateContent?alt=sse",
        R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],)"
        R"("generationConfig":{"maxOutputTokens":5}})"},
    {"bedrock-converse", "/model/tiny/converse-stream",
        R"({"messages":[{"role":"user","content":[{"text":"hi"}]}],)"
        R"("inferenceConfig":{"maxTokens":5}})"},
};

class StreamBoundTest : public GatewayTest {
protected:
    void serve(std::string_view kind, std::string_view id = "tiny-2026",
        std::string_view budget = kBudget, std::string_view extra = "") {
        std::string settings =
            kind == "bedrock" ? "region: us-east-1, api_key: sk-up" : "api_key: sk-up";
        const std::string_view version =
            kind == "openai" || kind == "openai_compatible" ? "/v1" : "";
        start_with(fmt::format(R"(clouds:
  first: {{kind: {}, endpoint: "http://127.0.0.1:{}{}", {}}}
models:
  tiny:
    offers:
      first:
        cloud: first
        id: "{}"
        context_tokens: 8000
        max_output_tokens: 1000
        price: {{input: "1.00", output: "2.00", currency: USD}}
)",
                       kind, first.port, version, settings, id),
            budget, extra);
    }
    void run_away(int pieces, milliseconds between, const canon::Usage* prompt = nullptr) {
        std::optional<canon::Usage> usage;
        if (prompt != nullptr) usage = *prompt;
        first.by_request = [=](const net::ServerRequest& request) {
            const std::string_view dialect = dialect_at(request.path);
            Script script = stream_of(endless(dialect, usage ? &*usage : nullptr, pieces, 1000));
            script.content_type = dialect::find_dialect(dialect)->stream_content_type;
            script.between = between;
            return script;
        };
    }
    Money held_of_org() {
        Money held;
        gateway_->with_books([&](store::Books& books) {
            for (const store::BudgetStanding& one : books.budgets(wall_now()))
                if (one.owner == "acme") held = one.held;
        });
        return held;
    }
    template <typename Condition>
    static bool becomes(Condition condition) {
        for (int tries = 0; tries < 1000 && !condition(); ++tries) std::this_thread::sleep_for(2ms);
        return condition();
    }
};

TEST_F(StreamBoundTest, AnAnswerBeyondItsHoldIsCutInEveryDialectAndSettledAtTheHold) {
    constexpr std::string_view kKinds[] = {
        "openai_compatible", "openai", "anthropic", "gemini", "bedrock"};
    for (const std::string_view kind : kKinds) {
        serve(kind, kind == "bedrock" ? "amazon.nova-pro-v1:0" : "tiny-2026");
        run_away(60, 1ms);
        for (const Client& client : kClients) {
            SCOPED_TRACE(fmt::format("{} at {}", client.dialect, kind));
            const int cancelled = first.cancelled;
            const Reply reply = call(gateway_->port(), "POST", client.path, client.body, "sk-test");
            ASSERT_EQ(reply.status, 200) << reply.body;
            EXPECT_FALSE(reply.truncated);
            const store::ExchangeReport report = report_of(reply);
            ASSERT_EQ(report.attempts.size(), 1u);
            const store::AttemptFacts& attempt = report.attempts[0];
            EXPECT_EQ(attempt.cost, attempt.held);
            EXPECT_EQ(attempt.overdraft, Money());
            EXPECT_NE(attempt.flags & ledger::settle_flag::kEstimated, 0);
            EXPECT_EQ(report.close.ended_by, ledger::EndedBy::kGateway);
            EXPECT_TRUE(becomes([&] { return first.cancelled > cancelled; }))
                << "the supplier works on";

            // What the client got is a whole answer of its dialect, at its cap.
            const auto decoder =
                dialect::find_dialect(client.dialect)->reply_decoder(dialect::ReplyForm::kStream);
            std::vector<canon::Event> events;
            const Status fed = decoder->feed(reply.body, events);
            ASSERT_TRUE(fed) << fed.error().message << reply.body.substr(reply.body.size() - 600);
            const Status finished = decoder->finish(events);
            EXPECT_TRUE(finished) << finished.error().message << "\n"
                                  << reply.body.substr(reply.body.size() - 900);
            std::size_t text = 0;
            std::optional<canon::StopReason> reason;
            canon::Usage usage;
            bool has_ended = false;
            for (const canon::Event& event : events) {
                if (const auto* delta = std::get_if<canon::PartDelta>(&event))
                    text += delta->text.size();
                if (const auto* end = std::get_if<canon::Finished>(&event)) reason = end->reason;
                if (const auto* said = std::get_if<canon::UsageReported>(&event))
                    usage = said->usage;
                has_ended = has_ended || std::holds_alternative<canon::Ended>(event);
            }
            EXPECT_GE(text, 1'000u);
            EXPECT_LT(text, 55'000u) << "it was not cut";
            EXPECT_EQ(reason, canon::StopReason::kLength);
            EXPECT_TRUE(has_ended);
            EXPECT_EQ(usage[canon::Meter::kOutput], attempt.usage[canon::Meter::kOutput]);
        }
    }
    expect_books_in_order();
}

TEST_F(StreamBoundTest, WhatAResponsesClientGotIsRepeatedWhenItsAnswerIsCut) {
    serve("openai");
    run_away(60, 1ms);
    const Reply reply =
        call(gateway_->port(), "POST", kClients[1].path, kClients[1].body, "sk-test");
    const auto at = reply.body.find("event: response.incomplete\ndata: ");
    ASSERT_NE(at, std::string::npos) << reply.body.substr(reply.body.size() - 600);
    const std::string last = reply.body.substr(at + 33, reply.body.find('\n', at + 33) - at - 33);
    const auto document = json::Document::parse(last);
    ASSERT_TRUE(document) << last.substr(0, 200);
    const json::Value& response = document->root()["response"];
    EXPECT_EQ(response["incomplete_details"]["reason"].string(), "max_output_tokens");
    ASSERT_EQ(response["output"].items().size(), 1u);
    std::size_t deltas = 0;
    for (std::size_t i = 0;
        (i = reply.body.find("event: response.output_text.delta", i)) != std::string::npos; ++i)
        deltas += 1000;
    EXPECT_EQ(response["output"].items()[0]["content"].items()[0]["text"].string().size(), deltas);
}

TEST_F(StreamBoundTest, AnAnswerWithinItsHoldIsNotCutHoweverLongItsTokensAre) {
    serve("openai_compatible");
    // 5 tokens of 16 bytes, and one of a byte less each.
    first.plan(stream_of({chunk(std::string(80, 'x')), kFinish, kUsage, kDone}));
    const Reply reply =
        call(gateway_->port(), "POST", kClients[0].path, kClients[0].body, "sk-test");
    EXPECT_NE(reply.body.find(R"("finish_reason":"stop")"), std::string::npos);
    EXPECT_EQ(report_of(reply).close.ended_by, ledger::EndedBy::kSupplier);
}

const std::string kGooglesChunk =
    R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"index":0}],)"
    R"("usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":1,"totalTokenCount":1001},)"
    R"("modelVersion":"tiny","responseId":"r"})"
    "\n\n";

TEST_F(StreamBoundTest, AHoldShrinksWhenTheSupplierHasCountedThePrompt) {
    const std::string text(6'000, 'x');
    const std::string body = R"({"model":"tiny","stream":true,"max_tokens":5,)"
                             R"("messages":[{"role":"user","content":")" +
        text + R"("}]})";
    for (const std::string_view kind : {"anthropic", "gemini"}) {
        SCOPED_TRACE(kind);
        serve(kind);
        canon::Usage counted;
        counted[canon::Meter::kInput] = 1'000;
        counted[canon::Meter::kOutput] = 1;
        first.by_request = [&](const net::ServerRequest& request) {
            const std::string_view dialect = dialect_at(request.path);
            Script script = stream_of(endless(dialect, &counted, 3, 4));
            if (dialect == "gemini") script = stream_of(std::vector<std::string>(3, kGooglesChunk));
            script.content_type = dialect::find_dialect(dialect)->stream_content_type;
            script.before = 80ms;
            script.between = 100ms;
            return script;
        };
        auto running = std::async(std::launch::async,
            [&] { return call(gateway_->port(), "POST", "/v1/messages", body, "sk-test"); });
        EXPECT_TRUE(becomes([&] { return held_of_org() > *Money::parse("0.005"); }));
        // 1,000 tokens at the price of a cache write at most, and 5 of the answer.
        EXPECT_TRUE(becomes([&] {
            const Money held = held_of_org();
            return held > Money() && held <= *Money::parse("0.00201");
        })) << held_of_org().to_decimal();
        const Reply reply = running.get();
        const store::ExchangeReport report = report_of(reply);
        EXPECT_LE(report.attempts.at(0).held, *Money::parse("0.00201"));
        EXPECT_GE(report.attempts.at(0).held, report.cost);
        EXPECT_EQ(report.attempts.at(0).overdraft, Money());
        EXPECT_EQ(held_of_org(), Money());
        gateway_.reset();
    }
}

TEST_F(StreamBoundTest, ACountThatWasTooLowIsOverdraftAndDoesNotTakeTheOfferOut) {
    const std::string text(6'000, 'x');
    const std::string body = R"({"model":"tiny","stream":true,"max_tokens":5,)"
                             R"("messages":[{"role":"user","content":")" +
        text + R"("}]})";
    serve("anthropic");
    canon::Usage low, high;
    low[canon::Meter::kInput] = 10;
    high[canon::Meter::kInput] = 1'500;
    high[canon::Meter::kOutput] = 5;
    first.by_request = [&](const net::ServerRequest&) {
        dialect::ReplyContext context;
        const auto encoder = dialect::find_dialect("anthropic-messages")
                                 ->reply_encoder(dialect::ReplyForm::kStream, context);
        canon::Finished finished;
        std::string bytes;
        for (const canon::Event& event : std::vector<canon::Event>{canon::Started{},
                 canon::UsageReported{low}, canon::PartStarted{}, canon::PartDelta{0, 0, "hello"},
                 canon::PartEnded{}, finished, canon::UsageReported{high}, canon::Ended{}})
            encoder->add(event, bytes);
        const std::size_t half = bytes.find("event: content_block_stop");
        Script script = stream_of({bytes.substr(0, half), bytes.substr(half)});
        script.between = 30ms;
        return script;
    };
    for (int i = 0; i < 2; ++i) {
        const Reply reply = call(gateway_->port(), "POST", "/v1/messages", body, "sk-test");
        ASSERT_EQ(reply.status, 200) << "the offer is out: " << reply.body;
        const store::ExchangeReport report = report_of(reply);
        const store::AttemptFacts& attempt = report.attempts.at(0);
        EXPECT_EQ(attempt.cost.to_decimal(), "0.00151");
        EXPECT_EQ(attempt.overdraft, attempt.cost - attempt.held);
        EXPECT_GT(attempt.overdraft, Money());
        EXPECT_NE(attempt.flags & ledger::settle_flag::kOverdraft, 0);
    }
    expect_books_in_order();
}

constexpr std::string_view kPatient =
    R"(  patient: {team: search, secret: sk-patient, models: ["*"], policy: {budget_wait_ms: 5000}}
  hasty: {team: search, secret: sk-hasty, models: ["*"], policy: {budget_wait_ms: 120}}
)";

// The budget has room for one of these at a time.
TEST_F(StreamBoundTest, WhoWaitsForHoldsIsServedInTheOrderOfComing) {
    serve("openai_compatible", "tiny-2026", "0.003", kPatient);
    std::mutex mutex;
    std::vector<std::string> order;
    first.on_request = [&](const net::ServerRequest& request) {
        const std::lock_guard lock(mutex);
        order.push_back(request.body.substr(request.body.find("turn ") + 5, 1));
    };
    Script slow;
    slow.before = 250ms;
    first.plan(slow);
    std::vector<std::future<Reply>> all;
    for (char turn = '1'; turn <= '6'; ++turn) {
        all.push_back(std::async(std::launch::async, [this, turn] {
            return ask(fmt::format(R"({{"model":"tiny","messages":[{{"role":"user",)"
                                   R"("content":"turn {}"}}]}})",
                           turn),
                "sk-patient");
        }));
        std::this_thread::sleep_for(50ms);
    }
    for (auto& one : all) EXPECT_EQ(one.get().status, 200);
    EXPECT_EQ(order, (std::vector<std::string>{"1", "2", "3", "4", "5", "6"}));
    expect_books_in_order();
}

TEST_F(StreamBoundTest, AWaitForHoldsIsBoundedAndEndsWithItsClient) {
    start("0.003", kPatient);
    Script slow;
    slow.before = 250ms;
    first.plan(slow);
    auto holder = std::async(std::launch::async, [&] { return ask(kAsk); });
    EXPECT_TRUE(becomes([&] { return first.served() == 1; }));
    const MonotonicTime begin = monotonic_now();
    const Reply hasty = ask(kAsk, "sk-hasty");
    const auto waited = std::chrono::duration_cast<milliseconds>(monotonic_now() - begin);
    EXPECT_EQ(hasty.status, 429);
    EXPECT_NE(hasty.body.find("requests under way hold the rest"), std::string::npos) << hasty.body;
    EXPECT_GE(waited, 100ms);
    EXPECT_LT(waited, 230ms);
    const Reply never = ask(kAsk);
    EXPECT_EQ(never.status, 429) << "its key does not wait";
    EXPECT_EQ(holder.get().status, 200);
    EXPECT_EQ(first.served(), 1u);
    EXPECT_EQ(ask(kAsk, "sk-hasty").status, 200);
    expect_books_in_order();
}

TEST_F(StreamBoundTest, AHoldThatShrinksLetsTheNextGoOn) {
    const std::string text(6'000, 'x');
    const std::string body = R"({"model":"tiny","stream":true,"max_tokens":5,)"
                             R"("messages":[{"role":"user","content":")" +
        text + R"("}]})";
    serve("anthropic", "tiny-2026", "0.009", kPatient);
    canon::Usage counted;
    counted[canon::Meter::kInput] = 1'000;
    counted[canon::Meter::kOutput] = 1;
    std::atomic<int> asked = 0;
    first.by_request = [&](const net::ServerRequest& request) {
        Script script = stream_of(endless(dialect_at(request.path), &counted, 3, 4));
        script.content_type = "text/event-stream";
        script.between = asked++ == 0 ? 500ms : 1ms;
        return script;
    };
    auto running = std::async(std::launch::async,
        [&] { return call(gateway_->port(), "POST", "/v1/messages", body, "sk-patient"); });
    EXPECT_TRUE(becomes([&] { return asked == 1; }));
    const MonotonicTime begin = monotonic_now();
    const Reply next = call(gateway_->port(), "POST", "/v1/messages", body, "sk-patient");
    EXPECT_EQ(next.status, 200) << next.body;
    EXPECT_LT(monotonic_now() - begin, 1'200ms) << "it waited for the other's end";
    EXPECT_EQ(running.get().status, 200);
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
