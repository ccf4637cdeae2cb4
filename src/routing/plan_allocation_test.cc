#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "routing/plan.h"

namespace {

std::size_t allocations = 0;

}  // namespace

// Counts every allocation of this test program. Never inlined: g++ takes a `free` that it sees
// beside a `new` for a mistake.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    ++allocations;
    void* memory = std::malloc(bytes);
    if (memory == nullptr) std::abort();
    return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace entrepot::routing {
namespace {

// The request path has a budget of microseconds; one allocation would be a tenth of it.
TEST(Plan, UpToFourOffersArePlannedWithoutAnAllocation) {
    const std::vector<pricing::NamedPrice> prices{{"input", "1"}, {"output", "4"}};
    const auto card = std::make_shared<const pricing::RateCard>(
        *pricing::RateCard::from_prices(prices, Currency{}));
    std::vector<Offer> offers(4);
    for (std::size_t i = 0; i < offers.size(); ++i) {
        offers[i].id = OfferId(std::string("a-model-with-a-long-name/") + std::to_string(i));
        offers[i].model = ModelId("a-model-with-a-long-name");
        offers[i].residency = {"eu-west-1", catalog::zones_of(i == 3 ? "us" : "eu")};
        offers[i].card = card;
        offers[i].limits = {128'000, 4096};
    }
    const OfferTable table(std::move(offers));
    const Health health(table);
    OutputLengths lengths;
    WarmCaches caches;
    Reach reach;
    reach.restrict_regions({"eu"});
    RequestFacts facts;
    facts.model = "a-model-with-a-long-name";
    facts.shape.prompt_bytes = 1000;
    facts.prefix_hash = 1;
    facts.reach = &reach;
    const Now now{Instant{1'795'000'000'000'000'000}, MonotonicTime{1}};
    const std::size_t before = allocations;
    const Result<Plan> plan = make_plan(facts, table, {&health, &lengths, &caches}, now);
    EXPECT_EQ(allocations - before, 0U);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->attempts.size(), 3U);
    EXPECT_EQ(plan->excluded.size(), 1U);
}

}  // namespace
}  // namespace entrepot::routing
