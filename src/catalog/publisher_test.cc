#include "catalog/publisher.h"

#include <gtest/gtest.h>

#include "catalog/catalog.h"

namespace entrepot::catalog {
namespace {

TEST(Publisher, IsReadFromEveryFormOfAnId) {
    const PublisherModel llama{"meta", "llama-3.3-70b-instruct-maas"};
    EXPECT_EQ(publisher_model("publishers/meta/models/llama-3.3-70b-instruct-maas"), llama);
    EXPECT_EQ(publisher_model("meta/llama-3.3-70b-instruct-maas"), llama);
    EXPECT_EQ(publisher_model("llama-3.3-70b-instruct-maas"), llama);
    EXPECT_EQ(publisher_model("gemini-2.5-flash"), (PublisherModel{"google", "gemini-2.5-flash"}));
    EXPECT_EQ(publisher_model("claude-sonnet-4-5@20250929").publisher, "anthropic");
    EXPECT_EQ(publisher_model("endpoints/4711"), (PublisherModel{"", "endpoints/4711"}));
}

// What is sold at Vertex without a publisher in its name would go to Google's own path otherwise.
TEST(Publisher, IsKnownOfEveryModelOfOthersThatTheCatalogueHasAtVertex) {
    for (const Offer& offer : Catalog::embedded().offers()) {
        if (offer.surface != "vertex") continue;
        std::string_view id = offer.provider_model_id;
        if (id.starts_with("anthropic.")) id.remove_prefix(10);  // the catalogue's own spelling
        const bool is_googles = offer.model.starts_with("google/");
        EXPECT_EQ(publisher_model(id).publisher == "google", is_googles) << id;
    }
}

TEST(Vertex, AnUnlistedRegionCostsWhatOtherRegionsDoAndNotWhatGlobalDoes) {
    const Catalog& catalog = Catalog::embedded();
    OfferQuery query;
    query.kind = CloudKind::kVertex;
    query.provider_model_id = "claude-sonnet-4-5@20250929";
    query.region = "europe-west4";
    const Match there = catalog.find_offer(query);
    ASSERT_NE(there.offer, nullptr);
    EXPECT_EQ(there.offer->region, "europe-west1");
    EXPECT_TRUE(there.is_approximate);
    query.region = "global";
    EXPECT_EQ(catalog.find_offer(query).offer->region, "global");
    EXPECT_FALSE(catalog.find_offer(query).is_approximate);
    // Where every region costs the same only one is listed.
    query.region = "europe-west4";
    query.provider_model_id = "publishers/google/models/gemini-2.5-flash";
    EXPECT_EQ(catalog.find_offer(query).offer->region, "global");
    query.region = "eu";
    query.provider_model_id = "claude-opus-4-8";
    EXPECT_EQ(catalog.find_offer(query).offer->region, "eu");
}

}  // namespace
}  // namespace entrepot::catalog
