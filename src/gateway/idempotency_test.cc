// What its client names is not done twice.
#include "base/text.h"
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

constexpr std::string_view kOther =
    R"({"model":"tiny","messages":[{"role":"user","content":"bye"}]})";

class IdempotencyTest : public GatewayTest {
protected:
    Reply ask_as(std::string_view name, std::string_view body = kAsk,
        std::string_view key = "sk-test", std::string_view path = "/v1/chat/completions") {
        return call(gateway_->port(), "POST", path, body, key, 0,
            fmt::format("idempotency-key: {}\r\n", name));
    }
    static std::string word_of(const Reply& reply, std::string_view field) {
        const auto document = json::Document::parse(reply.body);
        return document ? std::string(document->root()["error"][field].string()) : reply.body;
    }
};

TEST_F(IdempotencyTest, WhatWasDoneIsNotSentAgainAlsoAfterARestart) {
    const Reply done = ask_as("order-1");
    ASSERT_EQ(done.status, 200) << done.body;
    const std::string id = done.headers.at("x-entrepot-exchange");
    (void)report_of(done);
    for (int round = 0; round < 2; ++round) {
        const Reply again = ask_as("order-1");
        EXPECT_EQ(again.status, 409);
        EXPECT_EQ(again.headers.at("x-entrepot-original-exchange"), id);
        EXPECT_EQ(again.headers.at("x-should-retry"), "false");
        EXPECT_NE(again.headers.at("x-entrepot-exchange"), id);
        EXPECT_EQ(word_of(again, "code"), "idempotency_conflict");
        EXPECT_NE(again.body.find(id), std::string::npos) << again.body;
        EXPECT_NE(again.body.find("answered 200"), std::string::npos) << again.body;
        EXPECT_EQ(report_of(again).cost, Money());
        start(kBudget);
    }
    EXPECT_EQ(first.served(), 1u);
    EXPECT_EQ(ask_as("order-2").status, 200);
    EXPECT_EQ(ask(kAsk).status, 200) << "without a name it is another request";
    EXPECT_EQ(first.served(), 3u);
    expect_books_in_order();
}

TEST_F(IdempotencyTest, WhatIsUnderWayIsNotSentAgainAndMayBeAskedForLater) {
    Script slow;
    slow.before = 200ms;
    first.plan(slow);
    auto running = std::async(std::launch::async, [&] { return ask_as("slow"); });
    while (first.served() == 0) std::this_thread::sleep_for(1ms);
    const Reply meanwhile = ask_as("slow");
    EXPECT_EQ(meanwhile.status, 409);
    EXPECT_EQ(meanwhile.headers.at("retry-after-ms"), "1000");
    EXPECT_FALSE(meanwhile.headers.contains("x-should-retry"));
    const Reply done = running.get();
    EXPECT_EQ(done.status, 200);
    EXPECT_EQ(meanwhile.headers.at("x-entrepot-original-exchange"),
        done.headers.at("x-entrepot-exchange"));
    EXPECT_EQ(first.served(), 1u);
    expect_books_in_order();
}

TEST_F(IdempotencyTest, OfManyAtOnceOnAllCoresOneIsSent) {
    Script slow;
    slow.before = 150ms;
    first.plan(slow);
    std::vector<std::future<Reply>> all;
    for (int i = 0; i < 16; ++i)
        all.push_back(std::async(std::launch::async, [&] { return ask_as("one"); }));
    std::map<int, int> statuses;
    for (auto& one : all) ++statuses[one.get().status];
    EXPECT_EQ(statuses[200], 1);
    EXPECT_EQ(statuses[409], 15);
    EXPECT_EQ(first.served(), 1u);
    expect_books_in_order();
}

TEST_F(IdempotencyTest, AnotherBodyOrPathUnderItIsRefused) {
    EXPECT_EQ(ask_as("order").status, 200);
    const Reply other = ask_as("order", kOther);
    EXPECT_EQ(other.status, 422);
    EXPECT_EQ(word_of(other, "code"), "idempotency_mismatch");
    EXPECT_TRUE(other.headers.contains("x-entrepot-original-exchange"));
    const Reply elsewhere = ask_as("order",
        R"({"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hi"}]})", "sk-test",
        "/v1/messages");
    EXPECT_EQ(elsewhere.status, 422);
    EXPECT_EQ(first.served(), 1u);
}

TEST_F(IdempotencyTest, TheSameWordOfAnotherClientIsAnotherName) {
    EXPECT_EQ(ask_as("order").status, 200);
    const Reply theirs = ask_as("order", kAsk, "sk-mate");
    EXPECT_EQ(theirs.status, 200) << theirs.body;
    EXPECT_EQ(ask_as("order", kOther, "sk-mate").status, 422);
    EXPECT_EQ(first.served(), 2u);
}

TEST_F(IdempotencyTest, WhatCostNothingGivesItsNameBack) {
    Script refusing;
    refusing.status = 400;
    refusing.pieces = {R"({"error":{"message":"no such thing","type":"invalid_request_error"}})"};
    first.plan(refusing);
    const Reply refused = ask_as("order");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(report_of(refused).attempts.at(0).state, store::AttemptFacts::State::kReleased);
    first.plan({});
    EXPECT_EQ(ask_as("order", kOther).status, 200);
    // One that never held has no name to give back.
    start("0.000001");
    EXPECT_EQ(ask_as("poor").status, 429);
    start(kBudget);
    EXPECT_EQ(ask_as("poor").status, 200);
    expect_books_in_order();
}

TEST_F(IdempotencyTest, WhatBrokeOffMayHaveBeenBilledAndKeepsIt) {
    Script broken = stream_of({chunk("hel")});
    broken.breaks_off = true;
    first.plan(broken);
    const Reply cut = ask_as("order", kAskStream);
    EXPECT_EQ(cut.status, 200);
    EXPECT_GT(report_of(cut).cost, Money());
    EXPECT_EQ(ask_as("order", kAskStream).status, 409);
    EXPECT_EQ(first.served(), 1u);
}

TEST_F(IdempotencyTest, AClientThatHungUpIsToldWhatBecameOfIt) {
    Script slow = stream_of({chunk("a"), chunk("b"), chunk("c"), kFinish, kUsage, kDone});
    slow.between = 30ms;
    first.plan(slow);
    const Reply gone = call(gateway_->port(), "POST", "/v1/chat/completions", kAskStream, "sk-test",
        1, "idempotency-key: gone\r\n");
    (void)report_of(gone);
    const Reply again = ask_as("gone", kAskStream);
    EXPECT_EQ(again.status, 409);
    EXPECT_EQ(
        again.headers.at("x-entrepot-original-exchange"), gone.headers.at("x-entrepot-exchange"));
    EXPECT_EQ(first.served(), 1u);
}

TEST_F(IdempotencyTest, ANameThatIsNoneIsRefused) {
    for (const std::string& name :
        {std::string(), std::string(256, 'x'), std::string("caf\xc3\xa9")}) {
        const Reply reply = ask_as(name);
        EXPECT_EQ(reply.status, 400) << name;
        EXPECT_NE(reply.body.find("1 to 255 printable"), std::string::npos) << reply.body;
    }
    EXPECT_EQ(ask_as(std::string(255, 'x')).status, 200);
    EXPECT_EQ(first.served(), 1u);
}

TEST_F(IdempotencyTest, EachDialectSaysItInItsOwnWords) {
    struct Case {
        std::string path, body, word;
    };
    const std::string anthropic =
        R"({"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hi"}]})";
    const std::string google = R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}]})";
    const std::string aws = R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})";
    int number = 0;
    for (const Case& one : {Case{"/v1/chat/completions", std::string(kAsk), "conflict"},
             Case{"/v1/responses", R"({"model":"tiny","input":"hi"})", "conflict"},
             Case{"/v1/messages", anthropic, "conflict_error"},
             Case{"/v1beta/models/tiny:generateContent", google, "ABORTED"},
             Case{"/model/tiny/converse", aws, "Idempotency-Key"}}) {
        const std::string name = fmt::format("d{}", ++number);
        const Reply served = ask_as(name, one.body, "sk-test", one.path);
        ASSERT_EQ(served.status, 200) << one.path << served.body;
        const Reply again = ask_as(name, one.body, "sk-test", one.path);
        EXPECT_EQ(again.status, 409) << one.path;
        EXPECT_NE(again.body.find(one.word), std::string::npos) << one.path << again.body;
        EXPECT_NE(again.body.find(served.headers.at("x-entrepot-exchange")), std::string::npos);
    }
    EXPECT_EQ(first.served(), 5u);
}

}  // namespace
}  // namespace entrepot::gateway
