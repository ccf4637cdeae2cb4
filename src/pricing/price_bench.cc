#include <benchmark/benchmark.h>

#include "pricing/price.h"

namespace entrepot::pricing {
namespace {

using canon::Meter;

RateCard card_of(std::string_view id, const Ratio& factor) {
    const catalog::Catalog& catalog = catalog::Catalog::embedded();
    return RateCard::compile(catalog, *catalog.find_offer_id(id), factor);
}

canon::Usage usage_of_a_chat() {
    canon::Usage usage;
    usage[Meter::kInput] = 1200;
    usage[Meter::kCacheRead] = 800;
    usage[Meter::kOutput] = 350;
    usage[Meter::kRequests] = 1;
    return usage;
}

RateCard contracted(const RateCard& list) {
    Terms terms{.contract = "acme"};
    terms.discounts = {{.off = {12, 100}}, {.off = {3, 100}, .is_of_net = true}};
    return *list.under(std::span(&terms, 1));
}

constexpr Instant kNow{1'795'000'000'000'000'000};

void price_a_chat(benchmark::State& state) {
    const RateCard card = card_of(
        "openai:api:global:openai.gpt-5.6-luna", state.range(0) == 0 ? Ratio{} : Ratio{11, 10});
    const canon::Usage usage = usage_of_a_chat();
    for (auto _ : state) benchmark::DoNotOptimize(price(usage, card, {}, kNow));
}
BENCHMARK(price_a_chat)->Arg(0)->Arg(1)->ArgName("uplift");

void estimate_a_chat(benchmark::State& state) {
    const RateCard card = card_of("openai:api:global:openai.gpt-5.6-luna", {});
    const canon::Usage usage = usage_of_a_chat();
    for (auto _ : state) benchmark::DoNotOptimize(estimate(usage, card, {}, kNow));
}
BENCHMARK(estimate_a_chat);

void price_a_chat_under_contract(benchmark::State& state) {
    const RateCard card = contracted(card_of("openai:api:global:openai.gpt-5.6-luna", {}));
    const canon::Usage usage = usage_of_a_chat();
    for (auto _ : state) benchmark::DoNotOptimize(price(usage, card, {}, kNow));
}
BENCHMARK(price_a_chat_under_contract);

void estimate_a_chat_under_contract(benchmark::State& state) {
    const RateCard card = contracted(card_of("openai:api:global:openai.gpt-5.6-luna", {}));
    const canon::Usage usage = usage_of_a_chat();
    for (auto _ : state) benchmark::DoNotOptimize(estimate(usage, card, {}, kNow));
}
BENCHMARK(estimate_a_chat_under_contract);

void bound_a_chat(benchmark::State& state) {
    const RateCard card = card_of("openai:api:global:openai.gpt-5.6-luna", {});
    const Bounds bounds{.prompt_tokens_max = 8000, .output_tokens_max = 1024};
    for (auto _ : state) benchmark::DoNotOptimize(worst_case(bounds, card, {}, kNow));
}
BENCHMARK(bound_a_chat);

}  // namespace
}  // namespace entrepot::pricing
