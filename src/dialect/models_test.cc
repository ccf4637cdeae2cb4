// Lists of models in every form that has one.
#include <gtest/gtest.h>

#include "dialect/registry.h"

namespace entrepot::dialect {
namespace {

const std::vector<canon::ListedModel> kModels{
    {"claude-sonnet-4-5", "anthropic", 1'759'104'000, 200'000, 64'000},
    {"gpt-5", "openai", 0, 400'000, 128'000}, {"house-model", "", 0, 0, 0}};

json::Document list(std::string_view dialect, std::string_view query,
    std::span<const canon::ListedModel> models = kModels) {
    return *json::Document::parse(*find_dialect(dialect)->write_models(models, query));
}
json::Document one(std::string_view dialect, const canon::ListedModel& model) {
    return *json::Document::parse(find_dialect(dialect)->write_model(model));
}

TEST(Models, OpenAiListsAllOfThemWithTheirMakerAndDay) {
    const json::Document document = list("openai-chat", "");
    const json::Value& body = document.root();
    EXPECT_EQ(body["object"].string(), "list");
    ASSERT_EQ(body["data"].items().size(), 3u);
    const json::Value& claude = body["data"].items()[0];
    EXPECT_EQ(claude["id"].string(), "claude-sonnet-4-5");
    EXPECT_EQ(claude["object"].string(), "model");
    EXPECT_EQ(claude["owned_by"].string(), "anthropic");
    EXPECT_EQ(claude["created"].raw(), "1759104000");
    EXPECT_EQ(claude["context_window"].raw(), "200000");
    EXPECT_EQ(claude["max_completion_tokens"].raw(), "64000");
    const json::Value& house = body["data"].items()[2];
    EXPECT_EQ(house["created"].raw(), "0");
    EXPECT_EQ(house["owned_by"].string(), "entrepot");
    EXPECT_EQ(house.find("context_window"), nullptr);
}

TEST(Models, AzuresFormAddsWhatItsLibrariesRead) {
    const json::Document document = one("azure-openai", kModels[0]);
    EXPECT_EQ(document.root()["id"].string(), "claude-sonnet-4-5");
    EXPECT_EQ(document.root()["created"].raw(), "1759104000");
    EXPECT_EQ(document.root()["created_at"].raw(), "1759104000");
    EXPECT_EQ(document.root()["status"].string(), "succeeded");
    EXPECT_EQ(document.root()["capabilities"]["inference"].raw(), "true");
}

TEST(Models, AnthropicsFormSaysNullForWhatIsNotKnown) {
    const json::Document claude = one("anthropic-messages", kModels[0]);
    EXPECT_EQ(claude.root()["type"].string(), "model");
    EXPECT_EQ(claude.root()["display_name"].string(), "claude-sonnet-4-5");
    EXPECT_EQ(claude.root()["created_at"].string(), "2025-09-29T00:00:00Z");
    EXPECT_EQ(claude.root()["max_input_tokens"].raw(), "200000");
    EXPECT_EQ(claude.root()["max_tokens"].raw(), "64000");
    const json::Document house = one("anthropic-messages", kModels[2]);
    EXPECT_EQ(house.root()["created_at"].string(), "1970-01-01T00:00:00Z");
    EXPECT_TRUE(house.root()["max_input_tokens"].is_null());
    EXPECT_TRUE(house.root()["capabilities"].is_null());
}

TEST(Models, AnthropicsPagesRunForwardsAndBackwards) {
    const json::Document first = list("anthropic-messages", "limit=2");
    EXPECT_EQ(first.root()["data"].items().size(), 2u);
    EXPECT_EQ(first.root()["has_more"].raw(), "true");
    EXPECT_EQ(first.root()["first_id"].string(), "claude-sonnet-4-5");
    EXPECT_EQ(first.root()["last_id"].string(), "gpt-5");
    const json::Document second = list("anthropic-messages", "limit=2&after_id=gpt-5");
    EXPECT_EQ(second.root()["data"].items().size(), 1u);
    EXPECT_EQ(second.root()["data"].items()[0]["id"].string(), "house-model");
    EXPECT_EQ(second.root()["has_more"].raw(), "false");
    const json::Document back = list("anthropic-messages", "limit=1&before_id=house-model");
    EXPECT_EQ(back.root()["data"].items()[0]["id"].string(), "gpt-5");
    EXPECT_EQ(back.root()["has_more"].raw(), "true");
    const json::Document behind = list("anthropic-messages", "after_id=z");
    EXPECT_TRUE(behind.root()["first_id"].is_null());
    EXPECT_EQ(behind.root()["has_more"].raw(), "false");
}

TEST(Models, AnthropicsPagesGoOnWhereAModelWasThatIsGone) {
    const json::Document page = list("anthropic-messages", "after_id=gpt-4");
    EXPECT_EQ(page.root()["data"].items()[0]["id"].string(), "gpt-5");
}

TEST(Models, AnImpossiblePageIsRefusedByItsName) {
    for (const std::string_view query :
        {"limit=0", "limit=1001", "limit=x", "limit=-1", "limit="}) {
        const auto refused = find_dialect("anthropic-messages")->write_models(kModels, query);
        ASSERT_FALSE(refused) << query;
        EXPECT_EQ(refused.error().field, "limit");
    }
    EXPECT_FALSE(
        find_dialect("anthropic-messages")->write_models(kModels, "after_id=a&before_id=b"));
    EXPECT_FALSE(find_dialect("gemini")->write_models(kModels, "pageSize=-1"));
}

TEST(Models, GeminiNamesMethodsAndLimitsAndPages) {
    const json::Document first = list("gemini", "pageSize=2");
    const json::Value& claude = first.root()["models"].items()[0];
    EXPECT_EQ(claude["name"].string(), "models/claude-sonnet-4-5");
    EXPECT_EQ(claude["inputTokenLimit"].raw(), "200000");
    EXPECT_EQ(claude["outputTokenLimit"].raw(), "64000");
    EXPECT_EQ(claude["supportedGenerationMethods"].items()[0].string(), "generateContent");
    const std::string token(first.root()["nextPageToken"].string());
    const json::Document second = list("gemini", "pageSize=2&pageToken=" + token);
    ASSERT_EQ(second.root()["models"].items().size(), 1u);
    EXPECT_EQ(second.root()["models"].items()[0]["name"].string(), "models/house-model");
    EXPECT_EQ(second.root().find("nextPageToken"), nullptr);
    EXPECT_EQ(second.root()["models"].items()[0].find("inputTokenLimit"), nullptr);
    EXPECT_EQ(list("gemini", "pageSize=5000").root()["models"].items().size(), 3u);
}

TEST(Models, VertexListsThemUnderAPublisher) {
    const json::Document page = list("vertex", "pageSize=1");
    EXPECT_EQ(page.root()["publisherModels"].items()[0]["name"].string(),
        "publishers/google/models/claude-sonnet-4-5");
    EXPECT_EQ(page.root()["nextPageToken"].string(), "claude-sonnet-4-5");
}

TEST(Models, AnEmptyListIsAListInEveryForm) {
    for (const std::string_view name :
        {"openai-chat", "azure-openai", "anthropic-messages", "gemini", "vertex"})
        EXPECT_TRUE(json::Document::parse(*find_dialect(name)->write_models({}, ""))) << name;
}

}  // namespace
}  // namespace entrepot::dialect
