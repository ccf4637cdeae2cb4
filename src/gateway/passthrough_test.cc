// What passes, what of it goes on, and what it costs.
#include "gateway/passthrough.h"

#include <gtest/gtest.h>

#include <array>
#include <map>

#include "gateway/kept_door.h"
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

TEST(PassPaths, WhatCouldBeReadInTwoWaysDoesNotPass) {
    for (const std::string_view path : {"/passthrough/a/b", "/passthrough/a/b/c:verb",
             "/passthrough/a/b%2Dc", "/passthrough/a/v1.5/x"})
        EXPECT_TRUE(read_pass_path(path)) << path;
    for (const std::string_view path : {"/passthrough/", "/passthrough/a", "/passthrough/a/",
             "/passthrough//b", "/passthrough/a/b/../c", "/passthrough/a/./b",
             "/passthrough/a/%2e%2e/b", "/passthrough/a/.%2E/b", "/passthrough/a/b%2fc",
             "/passthrough/a/b%5Cc", "/passthrough/a/b\\c", "/passthrough/a//b",
             "/passthrough/a/b/", "/passthrough/a/b;c", "/passthrough/a/b%3Bc",
             "/passthrough/a/%252e", "/passthrough/a/%", "/passthrough/a/%zz", "/passthrough/a/%00",
             "/passthrough/a/b%0d%0ax", "/passthrough/a/\xc3\xa4"})
        EXPECT_FALSE(read_pass_path(path)) << path;
}

TEST(PassPaths, AStarIsOneSegmentAndTwoAreTheRest) {
    EXPECT_TRUE(pass_path_fits("/a/*/c", "/a/b/c"));
    EXPECT_FALSE(pass_path_fits("/a/*/c", "/a/b/b/c"));
    EXPECT_FALSE(pass_path_fits("/a/*", "/a"));
    EXPECT_TRUE(pass_path_fits("/a/**", "/a/b/c"));
    EXPECT_FALSE(pass_path_fits("/a/**", "/a"));
    EXPECT_FALSE(pass_path_fits("/a", "/A"));
    EXPECT_FALSE(pass_path_fits("/a", "/a/b"));
}

TEST(PassPaths, CredentialsInTheQueryStayBehind) {
    EXPECT_EQ(pass_query("key=sk-1&a=b&k%65y=x&API-Key=y", ""), "?a=b");
    EXPECT_EQ(pass_query("", "api-version=2025-04-01"), "?api-version=2025-04-01");
    EXPECT_EQ(pass_query("api-version=x&a=b", "api-version=2025-04-01"), "?api-version=x&a=b");
    EXPECT_EQ(pass_query("api-version=x&a=b&k%65y=x", "api-version=preview", Versions::kOurs),
        "?a=b&api-version=preview");
    EXPECT_EQ(pass_query("Api-Version=x&api_key=x", "", Versions::kOurs), "");
}

// In any version of the API, and however it is spelled.
TEST(PassPaths, WhatTheGatewayKeepsBookOfHasItsOwnPaths) {
    using enum upstream::KeepingStyle;
    for (const std::string_view path : {"/files", "/openai/v1/files/file-1", "/v1/fil%65s",
             "/Responses/resp_1", "/openai/batches", "/cachedContents/a", "/v1/messages/batches"})
        EXPECT_FALSE(kept_collection_of(kOpenai, path).empty()) << path;
    EXPECT_TRUE(kept_collection_of(kOpenai, "/vector_stores/vs_1/files").empty());
    EXPECT_TRUE(kept_collection_of(kNone, "/files").empty());
}

class PassthroughTest : public GatewayTest {
protected:
    void SetUp() override {
        GatewayTest::SetUp();
        serve();
    }

    /// `more`: models.
    void serve(std::string_view more = "") {
        start_with(fmt::format(R"(clouds:
  first: {{kind: openai, endpoint: "http://127.0.0.1:{}/v1", api_key: sk-up-first}}
  second: {{kind: anthropic, endpoint: "http://127.0.0.1:{}", api_key: sk-up-second}}
models:
  tiny:
    offers:
      first: {{cloud: first, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {{input: "1.00", output: "2.00", currency: USD}}}}
{})",
                       first.port, second.port, more),
            "1.00", kPassing);
    }

    static constexpr std::string_view kPassing = R"(  pass:
    team: search
    secret: sk-pass
    passthrough:
      - {cloud: first, methods: [GET, POST], path: /vector_stores/**, ceiling: "0.10"}
      - {cloud: first, methods: POST, path: /vector_stores, ceiling: "0.10"}
      - {cloud: first, methods: POST, path: /chat/completions, ceiling: "0.20"}
      - {cloud: first, methods: [GET], path: /files/**, ceiling: "0"}
      - {cloud: second, methods: [GET], path: /v1/organizations/me, ceiling: "0"}
)";

    Reply pass(std::string_view method, std::string_view path, std::string_view body = "",
        std::string_view key = "sk-pass") {
        return call(gateway_->port(), method, path, body, key);
    }
    static Script whole(std::string body, int status = 200) {
        Script script;
        script.status = status;
        script.pieces = {std::move(body)};
        return script;
    }
};

TEST_F(PassthroughTest, IsOffUnlessARuleOfTheKeyOpensIt) {
    for (const std::string_view path :
        {"/passthrough/first/vector_stores", "/passthrough/none/vector_stores"})
        EXPECT_EQ(pass("POST", path, "{}", "sk-test").status, 404) << path;
    EXPECT_EQ(pass("DELETE", "/passthrough/first/vector_stores/vs_1").status, 404);
    EXPECT_EQ(pass("GET", "/passthrough/second/v1/vector_stores/x").status, 404);
    EXPECT_EQ(pass("POST", "/passthrough/first/vector_stores", "{}", "sk-wrong").status, 401);
    EXPECT_EQ(pass("GET", "/passthrough/first/vector_stores/../models").status, 400);
    const Reply kept = pass("GET", "/passthrough/first/files/file-1");
    EXPECT_EQ(kept.status, 404);
    EXPECT_NE(kept.body.find("belongs to who made it"), std::string::npos) << kept.body;
    EXPECT_EQ(first.served() + second.served(), 0u);
    expect_books_in_order();
}

TEST_F(PassthroughTest, GoesOnWithOurCredentialsAndComesBackWithoutOurNames) {
    std::string seen;
    first.on_request = [&](const net::ServerRequest& request) {
        seen = fmt::format("{} {}", request.method, request.target);
        EXPECT_EQ(request.headers.find("authorization"), "Bearer sk-up-first");
        EXPECT_EQ(request.headers.find("x-api-key"), std::nullopt);
        EXPECT_EQ(request.headers.find("cookie"), std::nullopt);
    };
    first.plan(whole(R"({"id":"vs_1","owner":"org-abcdefghijkl"})"));
    const Reply reply = pass(
        "POST", "/passthrough/first/vector_stores?key=sk-pass&order=asc", R"({"name":"docs"})");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(seen, "POST /v1/vector_stores?order=asc");
    EXPECT_EQ(first.last_body(), R"({"name":"docs"})");
    EXPECT_EQ(reply.body, R"({"id":"vs_1","owner":"org-[removed]"})");
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.10");
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    expect_books_in_order();
}

TEST_F(PassthroughTest, CostsWhatTheAnswerStatesWhereThatIsPriced) {
    first.plan(whole(R"({"id":"c","object":"chat.completion","model":"tiny-2026","choices":[)"
                     R"({"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":)"
                     R"("stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,)"
                     R"("total_tokens":15}})"));
    const Reply reply = pass("POST", "/passthrough/first/chat/completions", "{}");
    EXPECT_EQ(reply.status, 200);
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.00002");
    EXPECT_FALSE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    EXPECT_EQ(report.attempts.at(0).usage[canon::Meter::kOutput], 5);
    expect_books_in_order();
}

TEST_F(PassthroughTest, CostsWhatItsTierDoes) {
    serve(R"(  mini: {offers: {first: {cloud: first, id: gpt-4o-mini}}}
)");
    const auto reply = [](std::string_view tier) {
        return whole(fmt::format(
            R"({{"id":"c","object":"chat.completion","model":"gpt-4o-mini","choices":[{{"index":0,)"
            R"("message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],{}"usage":)"
            R"({{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}}})",
            tier.empty() ? "" : fmt::format(R"("service_tier":"{}",)", tier)));
    };
    constexpr std::string_view kStandard = "0.0000045", kPriority = "0.0000075";
    for (const auto& [asked, said, cost] : {std::tuple{"{}", "priority", kPriority},
             std::tuple{R"({"service_tier":"priority"})", "", kPriority},
             std::tuple{R"({"service_tier":"priority"})", "default", kStandard},
             std::tuple{R"({"service_tier":"flex"})", "", kStandard}}) {
        first.plan(reply(said));
        const Reply passed = pass("POST", "/passthrough/first/chat/completions", asked);
        EXPECT_EQ(report_of(passed).cost.to_decimal(), cost) << asked << said;
    }
    expect_books_in_order();
}

// Its usage does not count them.
TEST_F(PassthroughTest, WhatMayBeBilledApartCostsTheCeiling) {
    first.plan(whole(R"({"id":"c","object":"chat.completion","model":"tiny-2026","choices":[)"
                     R"({"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":)"
                     R"("stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,)"
                     R"("total_tokens":15}})"));
    for (const auto& [asked, cost] : {std::pair{R"({"web_search_options":{}})", "0.20"},
             std::pair{R"({"tools":[{"type":)"
                       R"("web_search"}]})",
                 "0.20"},
             std::pair{R"({"tools":[{"googleSearch":{}}]})", "0.20"},
             std::pair{R"({"web_search_options":null,"tools":[{"type":"function"},{"type":)"
                       R"("custom"},{"name":"a","input_schema":{}},{"functionDeclarations":[]}]})",
                 "0.00002"}}) {
        const Reply passed = pass("POST", "/passthrough/first/chat/completions", asked);
        EXPECT_EQ(report_of(passed).cost.to_decimal(), cost) << asked;
    }
    expect_books_in_order();
}

TEST_F(PassthroughTest, TheCeilingIsHeldInTheBudgetAndWhatIsRefusedCostsNothing) {
    first.plan(whole(R"({"error":{"message":"no such org-abcdefghijkl","type":"x"}})", 400));
    const Reply refused = pass("POST", "/passthrough/first/vector_stores", "{}");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.body.find("abcdefghijkl"), std::string::npos) << refused.body;
    EXPECT_TRUE(report_of(refused).cost.is_zero());
    first.plan(whole("{}"));
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(pass("GET", "/passthrough/first/vector_stores/vs_1").status, 200) << i;
    const std::size_t before = first.served();
    const Reply broke = pass("GET", "/passthrough/first/vector_stores/vs_1");
    EXPECT_EQ(broke.status, 429) << broke.body;
    EXPECT_NE(broke.body.find("ceiling"), std::string::npos) << broke.body;
    EXPECT_EQ(first.served(), before);
    expect_books_in_order();
}

TEST_F(PassthroughTest, OurOwnTroubleIsNotTheClients) {
    first.plan(whole(R"({"error":{"message":"Incorrect API key provided: sk-up-first"}})", 401));
    const Reply reply = pass("POST", "/passthrough/first/vector_stores", "{}");
    EXPECT_EQ(reply.status, 502);
    EXPECT_EQ(reply.body.find("sk-up"), std::string::npos) << reply.body;
    expect_books_in_order();
}

// An id of somebody else is none here either.
TEST_F(PassthroughTest, FilesThatItNamesAreTheirMakers) {
    const Reply reply =
        pass("POST", "/passthrough/first/vector_stores/vs_1/files", R"({"file_id":"file-1"})");
    EXPECT_EQ(reply.status, 404) << reply.body;
    EXPECT_EQ(first.served(), 0u);
}

/// Every kind that is shown a key, all at one server.
TEST_F(PassthroughTest, EveryKindIsShownItsKey) {
    struct Kind {
        std::string_view name, settings, header, value;
    };
    constexpr std::string_view kBearer = "Bearer sk-up";
    constexpr std::array kKinds{Kind{"openai", "", "authorization", kBearer},
        Kind{"openai_compatible", "", "authorization", kBearer},
        Kind{"azure", "", "api-key", "sk-up"}, Kind{"anthropic", "", "x-api-key", "sk-up"},
        Kind{"gemini", "", "x-goog-api-key", "sk-up"},
        Kind{"vertex", "", "x-goog-api-key", "sk-up"}, Kind{"cohere", "", "authorization", kBearer},
        Kind{"bedrock", "region: us-east-1, ", "authorization", kBearer},
        Kind{"oci", "region: eu-frankfurt-1, compartment: ocid1.c, ", "authorization", kBearer}};
    std::string clouds = "clouds:\n";
    std::string rules = "  pass:\n    team: search\n    secret: sk-pass\n    passthrough:\n";
    for (const Kind& kind : kKinds) {
        clouds += fmt::format(
            "  my_{0}: {{kind: {0}, {1}endpoint: \"http://127.0.0.1:{2}\", api_key: sk-up}}\n",
            kind.name, kind.settings, first.port);
        rules += fmt::format(
            "      - {{cloud: my_{}, methods: [GET], path: /things, ceiling: \"0\"}}\n", kind.name);
    }
    clouds += R"(models:
  tiny:
    offers:
      first: {cloud: my_openai, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {input: "1.00", output: "2.00", currency: USD}}
)";
    start_with(clouds, "1.00", rules);
    std::map<std::string, std::string> seen;
    first.on_request = [&](const net::ServerRequest& request) {
        seen.clear();
        for (std::size_t i = 0; i < request.headers.size(); ++i)
            seen.emplace(request.headers[i].name, request.headers[i].value);
    };
    first.plan(whole("{}"));
    for (const Kind& kind : kKinds) {
        const Reply reply = pass("GET", fmt::format("/passthrough/my_{}/things", kind.name));
        EXPECT_EQ(reply.status, 200) << kind.name << reply.body;
        EXPECT_EQ(seen[std::string(kind.header)], kind.value) << kind.name;
        EXPECT_FALSE(seen.contains("content-type")) << kind.name;
    }
    expect_books_in_order();
}

TEST_F(PassthroughTest, ErrorsAreInTheWordsOfTheCloud) {
    const Reply reply = pass("GET", "/passthrough/second/v1/models");
    EXPECT_EQ(reply.status, 404);
    EXPECT_TRUE(reply.body.starts_with(R"({"type":"error")")) << reply.body;
}

}  // namespace
}  // namespace entrepot::gateway
