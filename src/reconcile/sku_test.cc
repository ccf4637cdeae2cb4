#include "reconcile/sku.h"

#include <gtest/gtest.h>

#include "reconcile/names.h"

namespace entrepot::reconcile {
namespace {

std::string told(const Sku& sku) {
    if (sku.is_consumption_unit) return "ccu";
    if (!sku.is_model_use) return "other";
    std::string out = sku.model + " ";
    out += sku.meter ? canon::meter_name(*sku.meter) : "-";
    out += sku.tier ? " " + std::string(catalog::tier_name(*sku.tier)) : " ?";
    if (sku.is_long) out += *sku.is_long ? " long" : "";
    if (!sku.region.empty()) out += " " + sku.region;
    return out + " " + std::to_string(sku.unit);
}

std::string aws(std::string_view usage, std::string_view unit, std::string_view product = "",
    std::string_view description = "") {
    return told(aws_sku({usage, product, "AmazonBedrock", description, unit, ""}));
}

TEST(ModelNames, SellersNamesOfOneModelAgree) {
    const ModelNames& names = ModelNames::embedded();
    for (const std::string_view name : {"anthropic.claude-sonnet-4-5-20250929-v1:0",
             "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Claude Sonnet 4.5",
             "claude-sonnet-4-5", "claude-sonnet-4-5@20250929", "Claude4.5Sonnet"})
        EXPECT_EQ(names.canonical(name), "anthropic/claude-sonnet-4.5") << name;
    EXPECT_EQ(names.canonical("NovaLite"), "amazon/nova-lite");
    EXPECT_EQ(names.canonical("Nova2.0Lite"), names.canonical("amazon.nova-2-lite-v1:0"));
    EXPECT_EQ(names.canonical("gpt-4.1-2025-04-14"), "openai/gpt-4.1");
    EXPECT_EQ(names.canonical("Gemini 2.5 Flash"), "google/gemini-2.5-flash");
    EXPECT_EQ(names.canonical("gemini 2.5 flash lite"), "google/gemini-2.5-flash-lite");
    EXPECT_EQ(names.canonical("Our Own Model"), "our own model");
    EXPECT_NE(names.canonical("gpt-4.1"), names.canonical("gpt-4.1-mini"));
}

TEST(ModelNames, EveryCloudHasASellerThatTheCatalogueKnows) {
    for (const auto kind :
        {catalog::CloudKind::kOpenai, catalog::CloudKind::kAzure, catalog::CloudKind::kAnthropic,
            catalog::CloudKind::kBedrock, catalog::CloudKind::kVertex, catalog::CloudKind::kGemini,
            catalog::CloudKind::kOci, catalog::CloudKind::kCohere})
        EXPECT_FALSE(catalog::Catalog::embedded().search({{}, seller_of(kind), {}}).empty());
    EXPECT_EQ(seller_of(catalog::CloudKind::kOpenaiCompatible), "");
}

TEST(Sku, UnitsAreCounted) {
    EXPECT_EQ(unit_of("1K tokens"), 1000);
    EXPECT_EQ(unit_of("1m tokens"), 1'000'000);
    EXPECT_EQ(unit_of("1M"), 1'000'000);
    EXPECT_EQ(unit_of("10K"), 10'000);
    EXPECT_EQ(unit_of("1,000,000 Tokens"), 1'000'000);
    EXPECT_EQ(unit_of("Tokens"), 1);
    EXPECT_EQ(unit_of("count"), 1);
    EXPECT_EQ(unit_of("1 Hour"), 0);
    EXPECT_EQ(unit_of("1/Day"), 0);
    EXPECT_EQ(unit_of("1 Second"), 0);
    EXPECT_EQ(unit_of(""), 0);
    EXPECT_EQ(unit_of("99999999999999999999K"), 0);
}

TEST(Sku, UsageTypesOfBedrockAreRead) {
    EXPECT_EQ(aws("USE1-MP:USE1_InputTokenCount-Units", "Units",
                  "Claude Sonnet 4.5 (Amazon Bedrock Edition)"),
        "anthropic/claude-sonnet-4.5 input standard us-east-1 1000000");
    EXPECT_EQ(aws("USE2-MP:USE2_CacheReadInputTokenCount_Global-Units", "1M tokens",
                  "Claude Haiku 4.5 (Amazon Bedrock Edition)"),
        "anthropic/claude-haiku-4.5 cache_read standard global 1000000");
    EXPECT_EQ(aws("MP:APN1_cache_write_tokens_1h_global_standard-Units", "Units",
                  "Claude Opus 5 (Amazon Bedrock Edition)"),
        "anthropic/claude-opus-5 cache_write_long standard global 1000000");
    EXPECT_EQ(aws("EUW1-MP:EUW1_output_tokens_long_ctx_standard-Units", "Units",
                  "Claude Sonnet 4.5 (Amazon Bedrock Edition)"),
        "anthropic/claude-sonnet-4.5 output standard long eu-west-1 1000000");
    EXPECT_EQ(aws("USE1-MP:USE1_InputTokenCount_Batch-Units", "Units",
                  "Claude Haiku 4.5 (Amazon Bedrock Edition)", "AWS Marketplace per 1K tokens"),
        "anthropic/claude-haiku-4.5 input batch us-east-1 1000");
    EXPECT_EQ(aws("USE1-NovaLite-input-tokens", "1K tokens"),
        "amazon/nova-lite input standard us-east-1 1000");
    EXPECT_EQ(aws("USW2-NovaLite-cache-read-input-token-count", "1K tokens"),
        "amazon/nova-lite cache_read standard us-west-2 1000");
    EXPECT_EQ(aws("USE1-zai.glm-5-mantle-output-tokens-priority", "1M tokens"),
        "zai/glm-5 output priority us-east-1 1000000");
    EXPECT_EQ(aws("USE1-Claude4Sonnet-input-tokens-cross-region-global-batch", "1K tokens"),
        "anthropic/claude-sonnet-4 input batch global 1000");
    EXPECT_EQ(told(aws_sku({"BoxUsage:m5.large", "", "AmazonEC2", "", "Hrs", ""})), "other");
    EXPECT_EQ(aws("USE1-ClaudeConsumptionUnits-CCU", "Units"), "ccu");
    EXPECT_EQ(aws("USE1-Guardrail-ContentPolicyUnitsConsumed", "1K text units"),
        " - standard us-east-1 1000");
}

TEST(Sku, MetersOfAzureAreReadFromTheCatalogue) {
    const auto azure = [](std::string_view meter, std::string_view unit,
                           std::string_view category = "Azure OpenAI") {
        return told(azure_sku({meter, unit, category, "swedencentral"}));
    };
    EXPECT_EQ(
        azure("gpt 4.1 Batch Inp glbl Tokens", "1K"), "openai/gpt-4.1 input batch global 1000");
    EXPECT_EQ(azure("gpt 4.1 Outp regnl Tokens", "1K"),
        "openai/gpt-4.1 output standard swedencentral 1000");
    EXPECT_EQ(azure("Hot LRS Data Stored", "1 GB/Month", "Storage"), "other");
    EXPECT_EQ(azure("Claude Consumption Units", "1", "SaaS"), "ccu");
    EXPECT_EQ(azure("Provisioned Managed Global Unit", "1/Hour"), " - ? swedencentral 0");
}

TEST(Sku, DescriptionsOfGoogleAreRead) {
    const auto google = [](std::string_view description, std::string_view unit = "count") {
        return told(google_sku({description, "Vertex AI", unit, "europe-west4"}));
    };
    EXPECT_EQ(google("Gemini 2.5 Flash GA Text Input - Predictions"),
        "google/gemini-2.5-flash input standard europe-west4 1");
    EXPECT_EQ(google("Gemini 2.5 Pro Thinking Text Output - Predictions"),
        "google/gemini-2.5-pro output standard europe-west4 1");
    EXPECT_EQ(google("Gemini 2.5 Flash GA Input Text Caching (Long)"),
        "google/gemini-2.5-flash cache_read standard long europe-west4 1");
    EXPECT_EQ(google("Gemini 2.5 Flash Text Input - Batch Predictions"),
        "google/gemini-2.5-flash input batch europe-west4 1");
    EXPECT_EQ(google("Gemini 2.5 Flash GA Audio Input - Predictions"),
        "google/gemini-2.5-flash audio_in standard europe-west4 1");
    EXPECT_EQ(google("Generate content output token count gemini 2.5 flash lite short output text "
                     "non-thinking"),
        "google/gemini-2.5-flash-lite output standard europe-west4 1");
    EXPECT_EQ(
        google("Gemini 2.5 Flash Input Text Caching Storage", "h"), " - standard europe-west4 0");
    EXPECT_EQ(google("Claude Sonnet 4.5 - 5m Cache Write Input Tokens"),
        "anthropic/claude-sonnet-4.5 cache_write standard europe-west4 1");
    EXPECT_EQ(google("Claude Sonnet 4.5 - 1h Cache Write Input Tokens"),
        "anthropic/claude-sonnet-4.5 cache_write_long standard europe-west4 1");
    EXPECT_EQ(told(google_sku({"N2 Core running in EMEA", "Compute Engine", "h", ""})), "other");
}

TEST(Sku, LineItemsOfOpenaiAreRead) {
    EXPECT_EQ(told(openai_sku("gpt-4.1-2025-04-14, input")), "openai/gpt-4.1 input standard 1");
    EXPECT_EQ(told(openai_sku("gpt-4.1-2025-04-14, cached input")),
        "openai/gpt-4.1 cache_read standard 1");
    EXPECT_EQ(told(openai_sku("priority | gpt-5.6-sol, output, long context")),
        "openai/gpt-5.6-sol output priority long 1");
    EXPECT_EQ(
        told(openai_sku("gpt-5.6-sol, cache writes")), "openai/gpt-5.6-sol cache_write standard 1");
    EXPECT_EQ(told(openai_sku("gpt-audio-mini-2025-12-15 audio, input")).substr(0, 32),
        told(openai_sku("gpt-audio-mini audio, input")).substr(0, 32));
    EXPECT_EQ(openai_sku("gpt-audio-mini audio, input").meter, Meter::kAudioIn);
    EXPECT_EQ(openai_sku("gpt-audio-mini, input").meter, Meter::kInput);
    EXPECT_EQ(openai_sku("web search tool calls").meter, Meter::kSearches);
    EXPECT_EQ(openai_sku("Vector storage").meter, std::nullopt);
}

TEST(Sku, TokenTypesOfAnthropicAreRead) {
    const auto meter = [](std::string_view type) { return anthropic_sku("", type, "", "").meter; };
    EXPECT_EQ(meter("uncached_input_tokens"), Meter::kInput);
    EXPECT_EQ(meter("input_no_cache"), Meter::kInput);
    EXPECT_EQ(meter("cache_read_input_tokens"), Meter::kCacheRead);
    EXPECT_EQ(meter("input_cache_read"), Meter::kCacheRead);
    EXPECT_EQ(meter("cache_creation.ephemeral_5m_input_tokens"), Meter::kCacheWrite);
    EXPECT_EQ(meter("cache_creation.ephemeral_1h_input_tokens"), Meter::kCacheWriteLong);
    EXPECT_EQ(meter("input_cache_write_1h"), Meter::kCacheWriteLong);
    EXPECT_EQ(meter("output_tokens"), Meter::kOutput);
    EXPECT_EQ(told(anthropic_sku("Claude Haiku 4.5", "output", "> 200k", "batch")),
        "anthropic/claude-haiku-4.5 output batch long 1");
    EXPECT_EQ(anthropic_sku("", "output", "≤ 200k", "").is_long, false);
    EXPECT_EQ(anthropic_sku("", "output", "0-200k", "").is_long, false);
    EXPECT_EQ(anthropic_sku("", "output", "200k-1M", "").is_long, true);
}

}  // namespace
}  // namespace entrepot::reconcile
