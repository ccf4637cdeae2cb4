#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/check.h"
#include "reconcile/compare.h"
#include "reconcile/reader.h"

namespace entrepot::reconcile {
namespace {

/// A cost and usage report of `lines` lines over a month.
std::string aws_bill(std::int64_t lines) {
    std::string out =
        "identity_line_item_id,line_item_usage_type,line_item_line_item_type,"
        "line_item_product_code,line_item_unblended_cost,line_item_usage_amount,"
        "line_item_currency_code,line_item_usage_start_date,line_item_usage_end_date,"
        "product_product_name,pricing_unit\n";
    for (std::int64_t line = 0; line < lines; ++line)
        out += fmt::format(
            "id{},USE1-MP:USE1_InputTokenCount-Units,Usage,AmazonBedrock,0.0030000000,0.0010000000,"
            "USD,2026-11-{:02}T{:02}:00:00Z,2026-11-{:02}T{:02}:59:59Z,Claude Sonnet 4.5 (Amazon "
            "Bedrock Edition),1M tokens\n",
            line, line % 30 + 1, line % 24, line % 30 + 1, line % 24);
    return out;
}

void read_and_compare(benchmark::State& state) {
    const std::string text = aws_bill(state.range(0));
    for (auto _ : state) {
        Comparison comparison({});
        BillReader reader({}, [&](const BillLine& line) { return comparison.add(line); });
        ENTREPOT_CHECK(reader.feed(text).has_value());
        ENTREPOT_CHECK(reader.finish().has_value());
        ENTREPOT_CHECK(reader.bytes_held() < 4096);
        benchmark::DoNotOptimize(comparison.finish(reader.facts()));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(read_and_compare)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace entrepot::reconcile
