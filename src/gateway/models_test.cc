// `GET /v1/models` for clients of every dialect.
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

class ModelsTest : public GatewayTest {
protected:
    void SetUp() override {
        data_ = std::filesystem::temp_directory_path() /
            fmt::format("entrepot-models-{}-{}", getpid(), counter_++);
        start_with(fmt::format(R"(clouds:
  first: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1", region: eu-west-1}}
  second: {{kind: anthropic, endpoint: "http://127.0.0.1:{}", api_key: k, region: us-east-1}}
models:
  claude-sonnet-4-5:
    offers: {{second: {{cloud: second, id: claude-sonnet-4-5-20250929}}}}
  house/tiny:
    offers:
      first: {{cloud: first, id: tiny, context_tokens: 8000, max_output_tokens: 1000}}
      second: {{cloud: second, id: tiny, context_tokens: 9000, max_output_tokens: 900}}
)",
            first.port, second.port));
    }
    json::Document get(std::string_view path, std::string_view headers = "",
        std::string_view key = "sk-test", int status = 200) {
        const Reply reply =
            call(gateway_->port(), "GET", path, "", fmt::format("{}\r\n{}", key, headers));
        EXPECT_EQ(reply.status, status) << reply.body;
        return *json::Document::parse(reply.body);
    }
};

TEST_F(ModelsTest, OpenAiClientsSeeWhoMadeAModelAndHowLargeItIs) {
    const json::Document list = get("/v1/models");
    ASSERT_EQ(list.root()["data"].items().size(), 2u);
    const json::Value& claude = list.root()["data"].items()[0];
    EXPECT_EQ(claude["id"].string(), "claude-sonnet-4-5");
    EXPECT_EQ(claude["owned_by"].string(), "anthropic");
    EXPECT_EQ(claude["created"].raw(), "1759104000");
    EXPECT_GE(claude["context_window"].raw().size(), 6u) << claude.raw();
    const json::Value& tiny = list.root()["data"].items()[1];
    EXPECT_EQ(tiny["context_window"].raw(), "9000");
    EXPECT_EQ(tiny["max_completion_tokens"].raw(), "1000");
    EXPECT_EQ(get("/v1/models/house%2Ftiny").root()["id"].string(), "house/tiny");
    EXPECT_EQ(get("/openai/models?api-version=2024-10-21").root()["data"].items().size(), 2u);
    EXPECT_EQ(get("/openai/v1/models/claude-sonnet-4-5").root()["status"].string(), "succeeded");
}

TEST_F(ModelsTest, TheHeadersOfAnthropicsAndGooglesClientsChooseTheForm) {
    const std::string_view version = "anthropic-version: 2023-06-01\r\n";
    EXPECT_EQ(
        get("/v1/models?limit=1000", version).root()["first_id"].string(), "claude-sonnet-4-5");
    EXPECT_EQ(get("/v1/models/house%2Ftiny", version).root()["type"].string(), "model");
    const json::Document unknown = get("/v1/models/nothing", version, "sk-test", 404);
    EXPECT_EQ(unknown.root()["type"].string(), "error");
    EXPECT_EQ(get("/v1/models", "x-goog-api-client: x\r\n").root()["models"].items().size(), 2u);
}

TEST_F(ModelsTest, GooglesPathsListTooAndRefuseInTheirForm) {
    const json::Document page = get("/v1beta/models?pageSize=1");
    EXPECT_EQ(page.root()["models"].items()[0]["name"].string(), "models/claude-sonnet-4-5");
    const std::string next = fmt::format(
        "/v1beta/models?pageSize=1&pageToken={}", page.root()["nextPageToken"].string());
    EXPECT_EQ(get(next).root()["models"].items()[0]["name"].string(), "models/house/tiny");
    EXPECT_EQ(get("/v1beta/models/house/tiny").root()["name"].string(), "models/house/tiny");
    const json::Document unknown = get("/v1beta/models/nothing", "", "sk-test", 404);
    EXPECT_EQ(unknown.root()["error"]["status"].string(), "NOT_FOUND");
    const json::Document vertex = get("/v1beta1/publishers/google/models?pageSize=100");
    EXPECT_EQ(vertex.root()["publisherModels"].items().size(), 2u);
    EXPECT_EQ(get("/v1beta1/publishers/google/models/claude-sonnet-4-5").root()["name"].string(),
        "publishers/google/models/claude-sonnet-4-5");
    EXPECT_EQ(
        get("/v1beta/models?pageSize=x", "", "sk-test", 400).root()["error"]["status"].string(),
        "INVALID_ARGUMENT");
}

TEST_F(ModelsTest, AModelIsAsLargeAsWhatTheKeyMayReach) {
    const json::Document list = get("/v1/models", "", "sk-eu");
    ASSERT_EQ(list.root()["data"].items().size(), 1u);
    EXPECT_EQ(list.root()["data"].items()[0]["context_window"].raw(), "8000");
    get("/v1/models/claude-sonnet-4-5", "", "sk-eu", 404);
}

}  // namespace
}  // namespace entrepot::gateway
