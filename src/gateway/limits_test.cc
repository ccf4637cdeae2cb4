#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

class LimitsTest : public GatewayTest {
protected:
    /// Two keys of one team, a third of another; all of one org.
    void start_limited(std::string_view org, std::string_view team, std::string_view key) {
        start(kBudget,
            fmt::format(R"(
  one: {{team: small, secret: sk-one, limits: {}}}
  two: {{team: small, secret: sk-two}}
  other: {{team: large, secret: sk-other}}
)",
                key),
            fmt::format("  bound: {{limits: {}}}\n", org),
            fmt::format("  small: {{org: bound, limits: {}}}\n  large: {{org: bound}}\n", team));
    }
};

TEST_F(LimitsTest, ATeamsRequestsAreCountedOverAllItsKeysAndNoOtherTeams) {
    start_limited("{}", "{requests_per_minute: 2}", "{}");
    EXPECT_EQ(ask(kAsk, "sk-one").status, 200);
    EXPECT_EQ(ask(kAsk, "sk-two").status, 200);
    const Reply refused = ask(kAsk, "sk-one");
    EXPECT_EQ(refused.status, 429);
    EXPECT_NE(
        refused.body.find("The team 'small' may make 2 requests per minute"), std::string::npos)
        << refused.body;
    EXPECT_NE(refused.body.find("rate_limit_exceeded"), std::string::npos);
    EXPECT_EQ(refused.headers.at("retry-after"), "30");
    EXPECT_EQ(ask(kAsk, "sk-other").status, 200);
}

TEST_F(LimitsTest, AnOrgsLimitBindsEveryTeamAndARefusalTakesNothingFromTheKey) {
    start_limited("{requests_per_minute: 2}", "{}", "{requests_per_minute: 2}");
    EXPECT_EQ(ask(kAsk, "sk-other").status, 200);
    EXPECT_EQ(ask(kAsk, "sk-one").status, 200);
    for (int i = 0; i < 3; ++i) {
        const Reply refused = ask(kAsk, "sk-one");
        EXPECT_EQ(refused.status, 429);
        EXPECT_NE(refused.body.find("The org 'bound'"), std::string::npos) << refused.body;
    }
    EXPECT_EQ(ask(kAsk, "sk-two").status, 429);
}

TEST_F(LimitsTest, TokensOfATeamAreGivenBackWhenTheTrueNumberIsKnown) {
    start_limited("{}", "{tokens_per_minute: 1100}", "{}");
    // Each may use some 1000 tokens and uses 15.
    constexpr std::string_view kCapped =
        R"({"model":"tiny","max_tokens":1000,"messages":[{"role":"user","content":"hi"}]})";
    for (int i = 0; i < 4; ++i) {
        // They are given back just after the answer; in that time a minute's bucket refills by few.
        int status = 0;
        for (int tries = 0; tries < 100 && status != 200; ++tries) {
            status = ask(kCapped, "sk-one").status;
            if (status != 200) std::this_thread::sleep_for(5ms);
        }
        EXPECT_EQ(status, 200) << i;
    }
    const Reply never =
        ask(R"({"model":"tiny","max_tokens":9000,"messages":[{"role":"user","content":"hi"}]})",
            "sk-two");
    EXPECT_EQ(never.status, 429);
    EXPECT_NE(never.body.find("can never be admitted"), std::string::npos) << never.body;
    EXPECT_EQ(never.headers.at("x-should-retry"), "false");
    EXPECT_FALSE(never.headers.contains("retry-after"));
}

TEST_F(LimitsTest, RequestsInFlightAreCountedOverTheWholeOrg) {
    start_limited("{concurrent: 1}", "{}", "{}");
    Script slow;
    slow.before = 400ms;
    first.plan(slow);
    Reply held;
    std::thread other([&] { held = ask(kAsk, "sk-other"); });
    Reply refused;
    for (int tries = 0; tries < 50 && refused.status != 429; ++tries) {
        std::this_thread::sleep_for(5ms);
        if (first.last_body().empty()) continue;
        refused = ask(kAsk, "sk-one");
    }
    other.join();
    EXPECT_EQ(held.status, 200);
    EXPECT_EQ(refused.status, 429);
    EXPECT_NE(refused.body.find("The org 'bound' has 1 requests in flight"), std::string::npos)
        << refused.body;
    EXPECT_EQ(ask(kAsk, "sk-one").status, 200);
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
