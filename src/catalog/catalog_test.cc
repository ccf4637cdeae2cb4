#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "catalog/embedded.h"

namespace entrepot::catalog {
namespace {

Instant day(std::string_view date) { return *parse_instant(date); }

Match find(CloudKind kind, std::string_view region, std::string_view id) {
    return Catalog::embedded().find_offer({kind, region, id, {}, {}});
}

/// The rate of a row that is in force at `at`.
std::string rate_at(const Offer& offer, canon::Meter meter, std::string_view date,
    std::int64_t ctx_over = 0, Tier tier = Tier::kStandard) {
    for (const Rate& rate : Catalog::embedded().rates(offer))
        if (rate.meter == meter && rate.tier == tier && rate.ctx_over == ctx_over &&
            rate.from <= day(date) && day(date) < rate.to)
            return rate.price.to_per_million();
    return "unknown";
}

TEST(Catalog, EveryGeneratedRowParsesAndIsWithinReason) {
    const auto parsed = Catalog::parse(embedded_data());
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_GT(parsed->offers().size(), 3000U);
    EXPECT_GT(parsed->models().size(), 1000U);
    EXPECT_EQ(parsed->sources().size(), 9U);
    std::set<std::string> ids;
    std::size_t rates = 0;
    for (const Offer& offer : parsed->offers()) {
        EXPECT_TRUE(ids.insert(offer.id()).second) << offer.id() << " stands twice";
        EXPECT_NE(parsed->find_model(offer.model), nullptr) << offer.id();
        EXPECT_GT(offer.rate_count, 0U) << offer.id();
        for (const Rate& rate : parsed->rates(offer)) {
            ++rates;
            EXPECT_GE(rate.price.pico(), 0) << offer.id();
            EXPECT_LE(rate.price.pico(), 1'000'000'000) << offer.id();  // 1,000 USD per million
            EXPECT_LT(rate.from, rate.to) << offer.id();
            EXPECT_FALSE(rate.sources.empty()) << offer.id();
        }
    }
    EXPECT_EQ(rates, 12'430U);
}

// The names the Rate records use must be sources the data describes.
TEST(Catalog, EverySourceOfARateIsDescribed) {
    const Catalog& catalog = Catalog::embedded();
    std::set<std::string_view> known;
    for (const Source& source : catalog.sources()) known.insert(source.name);
    for (const Offer& offer : catalog.offers())
        for (const Rate& rate : catalog.rates(offer)) {
            std::string_view rest = rate.sources;
            while (!rest.empty()) {
                const auto plus = rest.find('+');
                EXPECT_TRUE(known.contains(rest.substr(0, plus))) << rate.sources;
                rest.remove_prefix(plus == std::string_view::npos ? rest.size() : plus + 1);
            }
        }
}

TEST(Catalog, LoadsWellUnderATenthOfASecond) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(Catalog::parse(embedded_data()));
    const auto took = std::chrono::steady_clock::now() - begin;
    RecordProperty("took_us",
        static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
#ifndef ENTREPOT_SANITIZED
    EXPECT_LT(took, std::chrono::milliseconds(500));  // unoptimised, on a busy machine
#endif
}

// OpenAI cut Luna to a fifth on 2026-07-30; Azure followed on 2026-08-01.
TEST(Catalog, LunaWasCutTwoDaysLaterAtAzure) {
    const Match openai = find(CloudKind::kOpenai, "", "gpt-5.6-luna");
    const Match azure = find(CloudKind::kAzure, "", "gpt-5.6-luna");
    ASSERT_NE(openai.offer, nullptr);
    ASSERT_NE(azure.offer, nullptr);
    EXPECT_EQ(openai.offer->id(), "openai:api:global:openai.gpt-5.6-luna");
    EXPECT_EQ(azure.offer->id(), "azure:foundry:global:openai.gpt-5.6-luna");
    EXPECT_EQ(rate_at(*openai.offer, canon::Meter::kInput, "2026-07-29"), "1.00");
    EXPECT_EQ(rate_at(*openai.offer, canon::Meter::kInput, "2026-07-30"), "0.20");
    EXPECT_EQ(rate_at(*azure.offer, canon::Meter::kInput, "2026-07-31"), "1.00");
    EXPECT_EQ(rate_at(*azure.offer, canon::Meter::kInput, "2026-08-01"), "0.20");
    EXPECT_EQ(rate_at(*openai.offer, canon::Meter::kOutput, "2026-08-01"), "1.20");
    EXPECT_EQ(rate_at(*openai.offer, canon::Meter::kOutput, "2026-08-01", 272'000), "1.80");
    EXPECT_EQ(rate_at(*openai.offer, canon::Meter::kInput, "2026-07-01"), "unknown");
}

TEST(Catalog, BedrockProfilesArePricedByTheirZone) {
    const auto id = [](std::string_view region, std::string_view model) {
        const Match match = find(CloudKind::kBedrock, region, model);
        return match.offer == nullptr ? std::string("none") : match.offer->id();
    };
    EXPECT_EQ(id("us-east-1", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "aws:bedrock-runtime:us:anthropic.claude-sonnet-4.5");
    EXPECT_EQ(id("us-east-1", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "aws:bedrock-runtime:global:anthropic.claude-sonnet-4.5");
    EXPECT_EQ(id("us-gov-west-1", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "aws:bedrock-runtime:us-gov-west-1:anthropic.claude-sonnet-4.5");
    EXPECT_EQ(id("us-east-1", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "aws:bedrock-runtime:base:anthropic.claude-sonnet-4.5");
    EXPECT_EQ(
        id("eu-west-2", "amazon.nova-lite-v1:0"), "aws:bedrock-runtime:eu-west-2:amazon.nova-lite");
    EXPECT_EQ(
        id("us-east-1",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0"),
        "aws:bedrock-runtime:us:amazon.nova-pro");
    EXPECT_EQ(id("us-east-1",
                  "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"),
        "none");
    EXPECT_EQ(rate_at(*find(CloudKind::kBedrock, "us-east-1",
                          "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
                          .offer,
                  canon::Meter::kInput, "2026-11-01"),
        "3.30");
}

// A row that stands for another region says so: its price may lack the regional tenth.
TEST(Catalog, ARowOfAnotherRegionIsMarkedApproximate) {
    const Match exact = find(CloudKind::kBedrock, "us-east-1", "us.amazon.nova-pro-v1:0");
    EXPECT_FALSE(exact.is_approximate);
    const Match base = find(CloudKind::kBedrock, "eu-west-1", "anthropic.claude-opus-5");
    ASSERT_NE(base.offer, nullptr);
    EXPECT_EQ(base.offer->region, "base");
    EXPECT_TRUE(base.is_approximate);
    const Match zone = find(CloudKind::kAzure, "datazone-eu", "gpt-5.6-luna");
    EXPECT_EQ(zone.offer->region, "datazone-eu");
    EXPECT_FALSE(zone.is_approximate);
}

// 0.25 for Claude 3.5 Haiku in `eu` comes from one source and is a third of what every other says.
TEST(Catalog, ADoubtfulRowIsPassedOver) {
    const Match match =
        find(CloudKind::kBedrock, "eu-west-1", "eu.anthropic.claude-3-5-haiku-20241022-v1:0");
    ASSERT_NE(match.offer, nullptr);
    EXPECT_EQ(match.offer->id(), "aws:bedrock-runtime:base:anthropic.claude-3.5-haiku");
    EXPECT_TRUE(match.is_approximate);
}

TEST(Catalog, DatedSnapshotsFoldIntoTheirModelUnlessTheyHaveAPriceOfTheirOwn) {
    EXPECT_EQ(find(CloudKind::kOpenai, "", "gpt-5").offer->id(), "openai:api:global:openai.gpt-5");
    EXPECT_EQ(find(CloudKind::kOpenai, "", "gpt-4o-2024-08-06").offer->id(),
        "openai:api:global:openai.gpt-4o");
    EXPECT_EQ(find(CloudKind::kOpenai, "", "gpt-4o-2024-05-13").offer->id(),
        "openai:api:global:openai.gpt-4o-2024-05-13");
    EXPECT_EQ(find(CloudKind::kAnthropic, "", "claude-sonnet-4-5").offer->id(),
        "anthropic:api:global:anthropic.claude-sonnet-4.5");
    EXPECT_EQ(find(CloudKind::kOpenai, "", "gpt-9-unheard-of").offer, nullptr);
    // Cohere's dates are months; a seller's row may bear another date, or `latest`.
    EXPECT_EQ(find(CloudKind::kCohere, "", "command-a-03-2025").offer->id(),
        "cohere:api:global:cohere.command-a");
    for (const auto& [id, model] : {std::pair("cohere.command-a-03-2025", "cohere/command-a"),
             std::pair("cohere.command-a-vision-07-2025", "cohere/command-a-vision"),
             std::pair("cohere.command-a-reasoning-08-2025", "cohere/command-a-reasoning"),
             std::pair("cohere.command-r-plus-08-2024", "cohere/command-r-plus")}) {
        const Match match = find(CloudKind::kOci, "eu-frankfurt-1", id);
        ASSERT_NE(match.offer, nullptr) << id;
        EXPECT_EQ(match.offer->seller, "oci") << id;
        EXPECT_EQ(match.offer->model, model) << id;
    }
    EXPECT_EQ(find(CloudKind::kCohere, "", "command-r-plus-04-2024").offer, nullptr);
}

TEST(Catalog, BedrocksSecondServiceHasPricesOfItsOwn) {
    const auto id = [](std::string_view model, std::string_view host, std::string_view service) {
        const Match match = Catalog::embedded().find_offer({.kind = CloudKind::kBedrock,
            .region = "us-east-1",
            .provider_model_id = model,
            .catalog_model = {},
            .endpoint_host = host,
            .service = service});
        return match.offer == nullptr ? std::string("none") : match.offer->id();
    };
    EXPECT_EQ(id("qwen.qwen3-32b", "", ""), "aws:bedrock-runtime:base:qwen.qwen3-32b");
    for (const auto& [host, service] :
        {std::pair("", "bedrock-mantle"), std::pair("bedrock-mantle.us-east-1.api.aws", ""),
            std::pair("relay.example.com", "bedrock-mantle")}) {
        EXPECT_EQ(id("qwen.qwen3-32b", host, service), "aws:bedrock-mantle:base:qwen.qwen3-32b");
        EXPECT_EQ(id("openai.gpt-5.5", host, service), "aws:bedrock-mantle:base:openai.gpt-5.5");
    }
}

TEST(Catalog, ResidencyUpliftsAreExactRatiosFromTheData) {
    const Match eu = find(CloudKind::kOpenai, "eu", "gpt-realtime-2.1");
    ASSERT_NE(eu.offer, nullptr);
    EXPECT_EQ(eu.uplift, (Ratio{11, 10}));
    EXPECT_EQ(find(CloudKind::kOpenai, "", "gpt-realtime-2.1").uplift, Ratio{});
    EXPECT_EQ(find(CloudKind::kAnthropic, "us", "claude-opus-5").uplift, (Ratio{11, 10}));
    // Where the list has the regional price itself, nothing is multiplied on top.
    const Match regional = find(CloudKind::kOpenai, "eu", "gpt-5.6-luna");
    EXPECT_EQ(regional.offer->region, "regional");
    EXPECT_EQ(regional.uplift, Ratio{});
}

TEST(Catalog, AnAzureDeploymentNameNeedsItsModelNamed) {
    const Catalog& catalog = Catalog::embedded();
    EXPECT_EQ(find(CloudKind::kAzure, "", "prod-chat").offer, nullptr);
    const Match named =
        catalog.find_offer({CloudKind::kAzure, "", "prod-chat", "openai/gpt-5.6-luna", {}});
    ASSERT_NE(named.offer, nullptr);
    EXPECT_EQ(named.offer->region, "global");
    EXPECT_EQ(named.model->context_tokens_max, 1'050'000);
}

TEST(Catalog, AServerOfOnesOwnHasNoPriceAndAKnownSellerHas) {
    const Catalog& catalog = Catalog::embedded();
    const Match own =
        catalog.find_offer({CloudKind::kOpenaiCompatible, "", "gpt-4o-mini", {}, "127.0.0.1"});
    EXPECT_EQ(own.offer, nullptr);
    EXPECT_EQ(own.model, nullptr);
    const Match groq = catalog.find_offer(
        {CloudKind::kOpenaiCompatible, "", "llama-3.3-70b-versatile", {}, "api.groq.com"});
    ASSERT_NE(groq.offer, nullptr);
    EXPECT_EQ(groq.offer->seller, "groq");
    const Match fake = catalog.find_offer(
        {CloudKind::kOpenaiCompatible, "", "llama-3.3-70b-versatile", {}, "notapi.groq.com"});
    EXPECT_EQ(fake.offer, nullptr);
}

// GPT-6 Astra is on Bedrock since September, but nobody published its price there.
TEST(Catalog, AModelThatIsSoldWithoutAKnownPriceSaysSo) {
    const Match match = find(CloudKind::kBedrock, "us-east-1", "us.openai.gpt-6-astra");
    EXPECT_EQ(match.offer, nullptr);
    ASSERT_NE(match.model, nullptr);
    EXPECT_EQ(match.model->name, "openai/gpt-6-astra");
    EXPECT_NE(match.note.find("ga since 2026-09-08"), std::string::npos) << match.note;
}

TEST(Catalog, SearchFindsAModelAtEverySeller) {
    const auto found = Catalog::embedded().search({"GPT-OSS-120B", {}, {}});
    std::set<std::string_view> sellers;
    for (const Offer* offer : found) sellers.insert(offer->seller);
    EXPECT_TRUE(sellers.contains("aws"));
    EXPECT_TRUE(sellers.contains("azure"));
    EXPECT_TRUE(sellers.contains("gcp"));
    EXPECT_TRUE(sellers.contains("oci"));
    EXPECT_TRUE(Catalog::embedded().search({"gpt-oss-120b", "anthropic", {}}).empty());
}

TEST(Catalog, AMeterOfABillIsFoundByItsNameInAnyCase) {
    const Catalog& catalog = Catalog::embedded();
    const SellerMeter* meter = catalog.find_meter("azure", "GPT 4.1 Cached INP glbl Tokens");
    ASSERT_NE(meter, nullptr);
    EXPECT_EQ(meter->model, "openai/gpt-4.1");
    EXPECT_EQ(meter->meter, canon::Meter::kCacheRead);
    EXPECT_EQ(meter->deployment, "global");
    EXPECT_EQ(meter->unit, "1K");
    EXPECT_EQ(catalog.find_meter("aws", "gpt 4.1 cached Inp glbl Tokens"), nullptr);
    EXPECT_EQ(catalog.find_meter("azure", "Blob Storage"), nullptr);
    for (const SellerMeter& each : catalog.meters())
        EXPECT_TRUE(each.unit == "1K" || each.unit == "1M") << each.name;
}

TEST(Catalog, ABrokenLineIsNamed) {
    const auto parsed = Catalog::parse("# header\nO\taws\n");
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().message.find("line 2"), std::string::npos);
    EXPECT_FALSE(Catalog::parse("B\tazure\tx\t1K\ta/b\tglobal\tsoon\t0\tinput\n"));
    EXPECT_FALSE(Catalog::parse("B\tazure\tx\t1K\ta/b\tglobal\tbatch\t0\twords\n"));
    EXPECT_FALSE(Catalog::parse("R\tstandard\t0\t\t\t2026-01-01\tx\tinput=1\n"));
    EXPECT_FALSE(Catalog::parse(
        "O\ta\tb\tc\td\te/f\t\t0\t\t\t\nR\tstandard\t0\t\t\t2026-01-01\tx\tinput=-1\n"));
    EXPECT_FALSE(Catalog::parse(
        "O\ta\tb\tc\td\te/f\t\t0\t\t\t\nR\tstandard\t0\t\t\t2026-13-01\tx\tinput=1\n"));
}

}  // namespace
}  // namespace entrepot::catalog
