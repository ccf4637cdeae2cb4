// Browsers, and methods that a path does not take.
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

class CorsTest : public GatewayTest {
protected:
    Reply send(std::string_view method, std::string_view path, std::string_view lines,
        std::string_view body = "", std::string_view key = "sk-test") {
        return call(gateway_->port(), method, path, body, key, 0, lines);
    }
    static constexpr std::string_view kPreflight =
        "origin: https://app.example\r\naccess-control-request-method: POST\r\n"
        "access-control-request-headers: authorization,content-type,x-stainless-os\r\n";
};

TEST_F(CorsTest, AMethodThatAPathDoesNotTakeIsToldTheOnesItDoes) {
    for (const std::string_view method : {"GET", "PUT", "DELETE", "OPTIONS"}) {
        const Reply reply = send(method, "/v1/chat/completions", "");
        EXPECT_EQ(reply.status, 405) << method;
        EXPECT_EQ(reply.headers.at("allow"), "POST") << method;
    }
    EXPECT_EQ(send("POST", "/v1/models", "").headers.at("allow"), "GET, HEAD");
    EXPECT_EQ(send("OPTIONS", "/v1/models/tiny", "").headers.at("allow"), "GET, HEAD");
    EXPECT_EQ(send("DELETE", "/nowhere", "").headers.count("allow"), 0u);
    EXPECT_EQ(send("POST", "/v1/messages", "", "{").headers.count("allow"), 0u);
}

TEST_F(CorsTest, NothingIsSaidToBrowsersUntilTheConfigurationDoes) {
    EXPECT_EQ(send("OPTIONS", "/v1/chat/completions", kPreflight).status, 405);
    const Reply reply =
        send("POST", "/v1/chat/completions", "origin: https://app.example\r\n", kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.count("access-control-allow-origin"), 0u);
}

TEST_F(CorsTest, APageOfTheListMayAskReadAndSeeItsErrors) {
    start(kBudget, "cors_origins: ['https://app.example', 'http://localhost:5173']\n");
    const Reply asked = send("OPTIONS", "/v1/chat/completions", kPreflight, "", "");
    EXPECT_EQ(asked.status, 204);
    EXPECT_EQ(asked.headers.at("access-control-allow-origin"), "https://app.example");
    EXPECT_EQ(asked.headers.at("access-control-allow-methods"), "POST");
    EXPECT_EQ(asked.headers.at("access-control-allow-headers"),
        "authorization,content-type,x-stainless-os");
    EXPECT_EQ(asked.headers.at("vary"), "origin");
    const auto ask_from = [&](std::string_view key) {
        return send("POST", "/v1/chat/completions", "origin: https://app.example\r\n", kAsk, key);
    };
    const Reply whole = ask_from("sk-test");
    EXPECT_EQ(whole.status, 200);
    const Reply refused = ask_from("sk-wrong");
    EXPECT_EQ(refused.status, 401);
    for (const Reply& reply : {whole, refused}) {
        EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "https://app.example");
        EXPECT_EQ(reply.headers.at("access-control-expose-headers"), "*");
    }
}

TEST_F(CorsTest, APageOfNoListMayNot) {
    start(kBudget, "cors_origins: ['https://app.example']\n");
    for (const std::string_view origin : {"https://evil.example", "https://app.example.evil",
             "http://app.example", "null", "https://app.example:444"}) {
        const std::string lines =
            fmt::format("origin: {}\r\naccess-control-request-method: POST\r\n", origin);
        const Reply reply = send("OPTIONS", "/v1/chat/completions", lines);
        EXPECT_EQ(reply.status, 405) << origin;
        EXPECT_EQ(reply.headers.count("access-control-allow-origin"), 0u) << origin;
    }
}

TEST_F(CorsTest, AStarIsEveryPageAndOnlyNamesAreSaidBack) {
    start(kBudget, "cors_origins: ['*']\n");
    const Reply reply = send("OPTIONS", "/v1/chat/completions",
        "origin: null\r\naccess-control-request-method: POST\r\n"
        "access-control-request-headers: x-a;<script>\r\n");
    EXPECT_EQ(reply.status, 204);
    EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "*");
    EXPECT_EQ(reply.headers.count("vary"), 0u);
    EXPECT_EQ(reply.headers.count("access-control-allow-headers"), 0u);
}

}  // namespace
}  // namespace entrepot::gateway
