// Clouds whose credentials are fetched: what a request meets while they are there, and while not.
#include <gmock/gmock.h>

#include "gateway/testing.h"
#include "upstream/credentials/testing.h"

namespace entrepot::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using upstream::testing::Asked;
using upstream::testing::Endpoint;
using Answer = upstream::testing::Script;

Answer token(std::string_view value, int expires_s) {
    return {200,
        fmt::format(
            R"({{"access_token":"{}","expires_in":{},"token_type":"Bearer"}})", value, expires_s),
        "", false};
}

class CredentialsTest : public GatewayTest {
protected:
    void SetUp() override {
        data_ = std::filesystem::temp_directory_path() /
            fmt::format("entrepot-gateway-cred-{}-{}", getpid(), counter_++);
        first.on_request = [this](const net::ServerRequest& request) {
            seen_.emplace_back(request.headers.find("authorization").value_or("none"));
        };
    }

    /// `first` wants a managed identity's token; `second`, when it is there, nothing.
    void begin(bool has_second) {
        std::string yaml = fmt::format(R"(clouds:
  first:
    kind: openai_compatible
    endpoint: "http://127.0.0.1:{}/v1"
    credentials: {{from: managed_identity, endpoint: "{}"}}
  second: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1"}}
models:
  tiny:
    offers:
      first: {{cloud: first, context_tokens: 8000, max_output_tokens: 1000, price: {{input: "1", output: "2"}}}}
)",
            first.port, endpoint_.url(), second.port);
        if (has_second)
            yaml +=
                "      second: {cloud: second, context_tokens: 8000, max_output_tokens: 1000, "
                "price: {input: \"9\", output: \"9\"}}\n";
        start_with(yaml);
    }
    std::vector<std::string> seen() {
        (void)first.served();  // takes the lock that on_request is called under
        return seen_;
    }

    Endpoint endpoint_{[](const Asked&) { return token("tok-1", 3600); }};
    std::vector<std::string> seen_;
};

TEST_F(CredentialsTest, TheFirstRequestAlreadyBearsWhatWasFetched) {
    begin(false);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(ask(kAsk).status, 200);  // over both cores
    EXPECT_EQ(seen(), std::vector<std::string>(8, "Bearer tok-1"));
    EXPECT_EQ(endpoint_.count(), 1U);
    EXPECT_THAT(gateway_->metrics(),
        HasSubstr(R"(entrepot_credential_fetches_total{cloud="first",outcome="fetched"} 1)"));
    expect_books_in_order();
}

TEST_F(CredentialsTest, ACloudWithoutCredentialsIsOutAndTheNextOfferServes) {
    endpoint_.answer_with([](const Asked&) { return Answer{500, "", "", false}; });
    begin(true);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    // It was no attempt: nothing was held and nothing sent.
    EXPECT_EQ(reply.headers.at("x-entrepot-attempts"), "1");
    EXPECT_EQ(first.served(), 0U);
    EXPECT_THAT(gateway_->metrics(), Not(HasSubstr("entrepot_alarms_total 0")));

    endpoint_.answer_with([](const Asked&) { return token("tok-2", 3600); });
    std::string offer;
    for (int tries = 0; tries < 500 && offer != "tiny/first"; ++tries) {
        offer = ask(kAsk).headers["x-entrepot-offer"];
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_EQ(offer, "tiny/first");
    EXPECT_EQ(seen().front(), "Bearer tok-2");
    expect_books_in_order();
}

TEST_F(CredentialsTest, WithoutAnotherOfferTheClientHearsThatTheGatewayIsAtFault) {
    endpoint_.answer_with([](const Asked&) {
        return Answer{
            400, R"({"error":"invalid_request","error_description":"no identity"})", "", false};
    });
    begin(false);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 502);
    EXPECT_THAT(reply.body, HasSubstr("upstream_auth"));
    EXPECT_THAT(reply.body, Not(HasSubstr("no identity")));
    EXPECT_EQ(first.served(), 0U);
    EXPECT_EQ(report_of(reply).attempts.size(), 0U);
    expect_books_in_order();
}

TEST_F(CredentialsTest, AnExpiredTokenIsNeverShown) {
    endpoint_.answer_with([](const Asked&) { return token("short", 1); });
    begin(false);
    EXPECT_EQ(ask(kAsk).status, 200);
    endpoint_.answer_with([](const Asked&) { return Answer{503, "", "", false}; });
    int status = 200;
    for (int tries = 0; tries < 500 && status == 200; ++tries) {
        status = ask(kAsk).status;
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_EQ(status, 502);
    const std::size_t shown = seen().size();
    EXPECT_EQ(ask(kAsk).status, 502);
    EXPECT_EQ(seen().size(), shown);
    expect_books_in_order();
}

TEST_F(CredentialsTest, AReloadThatLeavesThemAloneFetchesNothing) {
    begin(false);
    ASSERT_EQ(endpoint_.count(), 1U);
    config::Settings settings;
    const std::string yaml = fmt::format(R"(
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
clouds:
  renamed:
    kind: openai_compatible
    endpoint: "http://127.0.0.1:{}/v1"
    credentials: {{from: managed_identity, endpoint: "{}"}}
models: {{tiny: {{offers: {{first: {{cloud: renamed, context_tokens: 8000, max_output_tokens: 1000, price: {{input: "1", output: "2"}}}}}}}}}}
orgs: {{acme: {{}}}}
teams: {{search: {{org: acme}}}}
keys: {{test: {{team: search, secret: sk-test, models: ["*"]}}}}
)",
        first.port, endpoint_.url());
    config::Loaded loaded = config::load_text(yaml, "t.yaml", config::Environment::of_process());
    ASSERT_TRUE(loaded.ok()) << config::format_problems(loaded.problems);
    ASSERT_TRUE(gateway_->reload(*loaded.settings, {}));
    EXPECT_EQ(ask(kAsk).status, 200);
    EXPECT_EQ(endpoint_.count(), 1U);
}

}  // namespace
}  // namespace entrepot::gateway
