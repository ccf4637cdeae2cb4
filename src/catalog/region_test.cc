#include "catalog/region.h"

#include <gtest/gtest.h>

#include "catalog/tier.h"

namespace entrepot::catalog {
namespace {

bool allows(const std::vector<std::string>& rule, CloudKind kind, std::string_view region,
    std::string_view id = "m") {
    return RegionRule(rule).allows(residency_of(kind, region, id));
}

TEST(Region, TheEuropeanUnionHoldsItsMembersAlone) {
    for (const std::string_view region : {"eu-west-1", "swedencentral", "francecentral", "eu",
             "europe-west4", "eu-frankfurt-1", "westeurope", "datazone-eu"})
        EXPECT_TRUE(allows({"eu"}, CloudKind::kAzure, region)) << region;
    for (const std::string_view region : {"eu-west-2", "uksouth", "eu-central-2",
             "switzerlandnorth", "norwayeast", "europe-west2", "us-east-1", "global", "europe"})
        EXPECT_FALSE(allows({"eu"}, CloudKind::kAzure, region)) << region;
    EXPECT_TRUE(allows({"europe"}, CloudKind::kBedrock, "eu-west-2"));
}

TEST(Region, TheUnknownAndTheGlobalAreDenied) {
    EXPECT_FALSE(allows({"eu"}, CloudKind::kOpenaiCompatible, ""));
    EXPECT_FALSE(allows({"eu", "us"}, CloudKind::kOpenaiCompatible, "cellar"));
    EXPECT_TRUE(allows({"cellar"}, CloudKind::kOpenaiCompatible, "cellar"));
    EXPECT_FALSE(allows({"eu"}, CloudKind::kOpenai, ""));
    EXPECT_TRUE(allows({"global"}, CloudKind::kOpenai, ""));
    EXPECT_TRUE(allows({}, CloudKind::kOpenaiCompatible, ""));
    EXPECT_TRUE(allows({"*"}, CloudKind::kOpenaiCompatible, ""));
}

// Calling `global.` in Frankfurt may compute in Ohio; the zone of the profile decides, not the
// region of the call.
TEST(Region, ABedrockProfileIsAsWideAsItsZone) {
    EXPECT_TRUE(allows({"eu"}, CloudKind::kBedrock, "eu-central-1", "eu.anthropic.claude-opus-5"));
    EXPECT_FALSE(
        allows({"eu"}, CloudKind::kBedrock, "eu-central-1", "global.anthropic.claude-opus-5"));
    EXPECT_FALSE(allows(
        {"eu-central-1"}, CloudKind::kBedrock, "eu-central-1", "eu.anthropic.claude-opus-5"));
    EXPECT_TRUE(
        allows({"eu-central-1"}, CloudKind::kBedrock, "eu-central-1", "amazon.nova-lite-v1:0"));
    EXPECT_FALSE(allows({"eu"}, CloudKind::kBedrock, "eu-central-1",
        "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x"));
    EXPECT_FALSE(
        allows({"us"}, CloudKind::kBedrock, "us-gov-west-1", "us-gov.anthropic.claude-opus-5"));
}

TEST(Region, AnExactRegionDoesNotOpenItsZone) {
    EXPECT_TRUE(allows({"EU-West-1"}, CloudKind::kBedrock, "eu-west-1", "amazon.nova-lite-v1:0"));
    EXPECT_FALSE(allows({"eu-west-1"}, CloudKind::kBedrock, "eu-west-3", "amazon.nova-lite-v1:0"));
}

TEST(CloudKind, AMisspelledKindNamesTheNearest) {
    const auto kind = parse_cloud_kind("bedrok");
    ASSERT_FALSE(kind);
    EXPECT_NE(kind.error().message.find("'bedrock'"), std::string::npos);
    EXPECT_EQ(*parse_cloud_kind("openai_compatible"), CloudKind::kOpenaiCompatible);
}

TEST(Tier, SuppliersWordsAreKnown) {
    EXPECT_EQ(parse_tier("default"), Tier::kStandard);
    EXPECT_EQ(parse_tier("Priority"), Tier::kPriority);
    EXPECT_EQ(parse_tier("scale"), std::nullopt);
}

}  // namespace
}  // namespace entrepot::catalog
