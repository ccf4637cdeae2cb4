// Who stands behind a request, and what it is for: headers that a key lets its clients set.
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

constexpr std::string_view kProjects = R"(
  shop:
    team: search
    project: checkout
    secret: sk-shop
    tags: {cost_center: "4711", stage: prod}
    tag_headers: {stage: x-stage}
    end_users: {header: X-End-User, budgets: [{limit: "0.0025", period: day}]}
  known:
    team: search
    secret: sk-known
    end_users: {header: x-end-user, required: true}
  bodies:
    team: search
    secret: sk-bodies
    end_users: {header: x-end-user, body: true, required: true}
projects:
  checkout: {team: search, budgets: [{limit: "1.00", period: month}], limits: {requests_per_minute: 100}}
)";

class AttributionTest : public GatewayTest {
protected:
    void SetUp() override {
        GatewayTest::SetUp();
        start(kBudget, kProjects);
    }
    Reply ask_as(std::string_view key, std::string_view header_lines) {
        return call(gateway_->port(), "POST", "/v1/chat/completions", kAsk, key, 0, header_lines);
    }
    std::string spent(store::UsageColumn column, const std::string& value) {
        store::UsageQuery query;
        query.filters.push_back({column, value});
        std::string out;
        gateway_->with_books([&](store::Books& books) {
            const auto table = books.usage(query);
            out = table ? table->total.cost.to_decimal() : table.error().message;
        });
        return out;
    }
};

TEST_F(AttributionTest, EndUserProjectAndTagsStandInTheBooks) {
    const Reply reply = ask_as("sk-shop", "X-END-USER: ann\r\nx-stage: canary\r\n");
    ASSERT_EQ(reply.status, 200) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.end_user, "ann");
    EXPECT_EQ(report.project, "checkout");
    EXPECT_EQ(report.tags, "cost_center=4711;stage=canary");
    const Reply plain = ask_as("sk-shop", "");
    ASSERT_EQ(plain.status, 200);
    EXPECT_EQ(report_of(plain).tags, "cost_center=4711;stage=prod");
    EXPECT_EQ(report_of(plain).end_user, "");
    using store::UsageColumn;
    EXPECT_EQ(spent(UsageColumn::kEndUser, "ann"), "0.00002");
    EXPECT_EQ(spent(UsageColumn::kProject, "checkout"), "0.00004");
    EXPECT_EQ(spent(UsageColumn::kTags, "cost_center=4711;stage=prod"), "0.00002");
    expect_books_in_order();
}

TEST_F(AttributionTest, EachEndUserHasABudgetOfHisOwn) {
    // Each request may cost some 0.001 and costs 0.00002: what is held at once is what binds.
    ASSERT_EQ(ask_as("sk-shop", "x-end-user: ann\r\n").status, 200);
    Script slow;
    slow.before = 200ms;
    first.plan(slow);
    first.plan(slow);
    std::vector<std::thread> held;
    for (int i = 0; i < 2; ++i)
        held.emplace_back([&] { (void)ask_as("sk-shop", "x-end-user: ann\r\n"); });
    Reply refused;
    for (int tries = 0; tries < 60 && refused.status != 429 && refused.status != 402; ++tries) {
        std::this_thread::sleep_for(5ms);
        refused = ask_as("sk-shop", "x-end-user: ann\r\n");
    }
    EXPECT_EQ(ask_as("sk-shop", "x-end-user: bob\r\n").status, 200);
    for (std::thread& one : held) one.join();
    EXPECT_NE(refused.body.find("budget of end user 'ann'"), std::string::npos) << refused.body;
    expect_books_in_order();
}

TEST_F(AttributionTest, AHeaderThatIsMissingOrNoNameIsRefused) {
    const Reply missing = ask_as("sk-known", "");
    EXPECT_EQ(missing.status, 400);
    EXPECT_NE(missing.body.find("'x-end-user' is missing"), std::string::npos) << missing.body;
    const Reply odd = ask_as("sk-known", "x-end-user: a;b\r\n");
    EXPECT_EQ(odd.status, 400);
    const Reply longer = ask_as("sk-known", "x-end-user: " + std::string(257, 'a') + "\r\n");
    EXPECT_EQ(longer.status, 400);
    EXPECT_NE(longer.body.find("257 bytes"), std::string::npos) << longer.body;
    EXPECT_EQ(ask_as("sk-known", "x-end-user: carol\r\n").status, 200);
}

TEST_F(AttributionTest, TheBodysOwnFieldSaysWhoWhereTheKeyLetsIt) {
    struct Case {
        std::string path, body, header, who;
    };
    const std::string ask = R"({"model":"tiny","messages":[{"role":"user","content":"hi"}])";
    const std::string named = R"({"model":"tiny","max_tokens":9,)"
                              R"("messages":[{"role":"user","content":"hi"}],)";
    for (const Case& one :
        {Case{"/v1/chat/completions", ask + R"(,"user":"ann"})", "", "ann"},
            Case{"/v1/chat/completions", ask + R"(,"user":"x","safety_identifier":"b\u00f6b"})", "",
                "b\xc3\xb6"
                "b"},
            Case{"/v1/chat/completions", ask + R"(,"user":"ann"})", "x-end-user: dan\r\n", "dan"},
            Case{"/v1/responses", R"({"model":"tiny","input":"hi","user":"eve"})", "", "eve"},
            Case{"/v1/messages", named + R"("metadata":{"user_id":"fay"}})", "", "fay"}}) {
        const Reply reply =
            call(gateway_->port(), "POST", one.path, one.body, "sk-bodies", 0, one.header);
        ASSERT_EQ(reply.status, 200) << one.path << reply.body;
        EXPECT_EQ(report_of(reply).end_user, one.who) << one.path;
    }
    const auto refused = [&](const std::string& body) {
        const Reply reply =
            call(gateway_->port(), "POST", "/v1/chat/completions", body, "sk-bodies");
        EXPECT_EQ(reply.status, 400) << reply.body;
        return reply.body;
    };
    EXPECT_NE(refused(ask + "}").find("is missing"), std::string::npos);
    EXPECT_NE(refused(ask + R"(,"user":"a;b"})").find("the field 'user'"), std::string::npos);
    // A key that does not say so reads none of it.
    const Reply other = call(
        gateway_->port(), "POST", "/v1/chat/completions", ask + R"(,"user":"ann"})", "sk-test");
    EXPECT_EQ(report_of(other).end_user, "");
}

}  // namespace
}  // namespace entrepot::gateway
