#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "routing/plan.h"

namespace entrepot::routing {
namespace {

const Now kNow{Instant{1'795'000'000'000'000'000}, MonotonicTime{1'000'000'000'000}};

/// `offers` offers of the model asked for, among `others` of other models.
OfferTable table_of(int offers, int others) {
    const catalog::Catalog& book = catalog::Catalog::embedded();
    const auto card = std::make_shared<const pricing::RateCard>(pricing::RateCard::compile(
        book, *book.find_offer_id("openai:api:global:openai.gpt-5.6-luna")));
    std::vector<Offer> list;
    for (int i = 0; i < offers + others; ++i) {
        Offer offer;
        offer.model =
            ModelId(i < offers ? std::string("gpt-5.6-luna") : fmt::format("other-{}", i));
        offer.cloud = CloudId(fmt::format("cloud-{}", i));
        offer.id = OfferId(fmt::format("{}/{}", offer.model.view(), offer.cloud.view()));
        offer.residency = catalog::residency_of(catalog::CloudKind::kAzure, "swedencentral", "x");
        offer.card = card;
        offer.limits = {1'050'000, 128'000};
        list.push_back(std::move(offer));
    }
    return OfferTable(std::move(list));
}

void plan_a_chat(benchmark::State& state) {
    const OfferTable table =
        table_of(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
    const Health health(table);
    OutputLengths lengths;
    lengths.learn(1, 300);
    const WarmCaches caches;
    const Memory memory{&health, &lengths, &caches};
    Reach reach;
    if (state.range(2) != 0) reach.restrict_regions({"eu"});
    RequestFacts facts;
    facts.model = "gpt-5.6-luna";
    facts.shape.prompt_bytes = 4000;
    facts.shape.messages = 2;
    facts.shape.output_cap = 500;
    facts.length_key = 1;
    facts.prefix_hash = 77;
    facts.reach = &reach;
    for (auto _ : state) benchmark::DoNotOptimize(make_plan(facts, table, memory, kNow));
}
BENCHMARK(plan_a_chat)
    ->ArgNames({"offers", "others", "regions"})
    ->Args({1, 0, 0})
    ->Args({1, 10'000, 0})
    ->Args({1, 10'000, 1})
    ->Args({3, 10'000, 1})
    ->Args({8, 10'000, 1});

}  // namespace
}  // namespace entrepot::routing
