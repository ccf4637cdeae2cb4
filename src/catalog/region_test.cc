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
    for (const std::string_view region :
        {"eu-west-2", "uksouth", "eu-central-2", "switzerlandnorth", "norwayeast", "europe-west2",
            "us-east-1", "global", "europe", "eu-jovanovac-1"})
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

// What a rule covers, each of its offers passes: the width of a key is judged as it is enforced.
TEST(Region, ARuleCoversWhatAdmitsNothingBeyondIt) {
    const RegionRule eu({"eu", "eastus", "Cellar"});
    for (const char* name : {"eu", "EU", "datazone-eu", "swedencentral", "eastus", "cellar"})
        EXPECT_TRUE(eu.covers(name)) << name;
    for (const char* name : {"europe", "uksouth", "us", "eastus2", "global", "attic", ""})
        EXPECT_FALSE(eu.covers(name)) << name;
    EXPECT_FALSE(RegionRule({"eu-west-1"}).covers("eu"));
    EXPECT_TRUE(RegionRule({"europe"}).covers("uk"));
    EXPECT_TRUE(RegionRule({"*"}).covers("attic"));
}

TEST(Region, EveryZoneIsKnownAndHoldsItself) {
    for (const std::string_view zone : zone_names()) {
        EXPECT_FALSE(zones_of(zone).is_unknown()) << zone;
        EXPECT_TRUE(allows({std::string(zone)}, CloudKind::kOci, zone)) << zone;
    }
}

TEST(CloudKind, EachHasItsName) {
    ASSERT_EQ(cloud_kind_names().size(), 9U);
    for (std::size_t i = 0; i < cloud_kind_names().size(); ++i)
        EXPECT_EQ(cloud_kind_name(static_cast<CloudKind>(i)), cloud_kind_names()[i]);
    EXPECT_EQ(cloud_kind_name(CloudKind::kCohere), "cohere");
    EXPECT_EQ(cloud_kind_name(CloudKind::kOpenaiCompatible), "openai_compatible");
}

TEST(Tier, SuppliersWordsAreKnown) {
    EXPECT_EQ(parse_tier("default"), Tier::kStandard);
    EXPECT_EQ(parse_tier("Priority"), Tier::kPriority);
    EXPECT_EQ(parse_tier("ON_DEMAND"), Tier::kStandard);
    EXPECT_EQ(parse_tier("ON_DEMAND_FLEX"), Tier::kFlex);
    EXPECT_EQ(parse_tier("scale"), std::nullopt);
}

}  // namespace
}  // namespace entrepot::catalog
