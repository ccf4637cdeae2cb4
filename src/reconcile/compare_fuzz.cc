#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "reconcile/bill_time.h"
#include "reconcile/compare.h"
#include "reconcile/report.h"

namespace {

namespace reconcile = entrepot::reconcile;
using entrepot::Instant;
using entrepot::Int128;
using entrepot::Money;

constexpr std::int64_t kBegin = 20'758 * reconcile::kDayNs;
constexpr Int128 kPico = 1'000'000'000'000;

/// Few different SKUs, hours and amounts, so that they meet; now and then one beyond all measure.
std::array<reconcile::Sku, 16> all_skus() {
    std::array<reconcile::Sku, 16> skus;
    for (std::size_t i = 0; i < skus.size(); ++i) {
        reconcile::Sku& sku = skus[i];
        sku.model = i < 12 ? (i % 2 == 0 ? "openai/gpt-4.1" : "anthropic/claude-opus-5") : "";
        if (i % 4 != 3) sku.meter = static_cast<reconcile::Meter>(i % 3);
        if (i % 5 != 4) sku.tier = static_cast<reconcile::Tier>(i % 2);
        if (i % 7 != 6) sku.is_long = i % 3 == 0;
        if (i % 3 != 2) sku.region = i % 4 == 0 ? "global" : "us-east-1";
        sku.is_consumption_unit = i == 13;
        sku.is_model_use = i != 14;
    }
    return skus;
}

std::int64_t scaled(std::uint8_t small, std::uint8_t power) {
    std::int64_t value = small;
    for (int i = 0; i < power % 16; ++i) value *= 10;
    return value;
}

}  // namespace

// Any bill and any books: the report accounts for the difference exactly (`finish` holds it), every
// type's total is the sum of its differences, and the writers take it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kSkus = all_skus();
    reconcile::Comparison comparison({.late_days = 2, .differences_max = 1'000'000});
    reconcile::BillFacts facts;
    facts.has_costs = facts.has_quantities = true;
    for (; size >= 8; data += 8, size -= 8) {
        const std::int64_t quantity = scaled(data[3], data[4] < 200 ? 0 : data[4]);
        const std::int64_t hour = kBegin + data[2] % 96 * reconcile::kHourNs;
        const Money cost =
            Money::from_pico(Int128{quantity} * (data[5] % 8) * 1'000'000 - data[6] % 4);
        if (data[0] % 2 == 0) {
            reconcile::BillLine line;
            line.line = 1;
            line.category =
                static_cast<reconcile::Category>(data[0] / 2 % 16 < 11 ? 0 : data[0] % 5);
            line.seller = data[0] < 128 ? "openai" : "aws";
            line.sku_name = "sku";
            line.sku = &kSkus[data[1] % 16];
            const std::int64_t length = data[7] % 16 == 0 ? reconcile::kDayNs
                : data[7] % 64 == 1                       ? 30 * reconcile::kDayNs
                                                          : reconcile::kHourNs;
            line.at = {Instant{hour}, Instant{hour + length}};
            if (line.sku->meter && data[7] % 8 != 7) line.quantity_pico = quantity * kPico;
            if (data[7] % 8 != 6 || !line.quantity_pico) {
                line.cost = cost;
                line.currency.emplace();
            }
            line.identity = data[6];
            ENTREPOT_CHECK(comparison.add(line).has_value());
            continue;
        }
        reconcile::BookedLine line;
        line.seller = data[0] < 128 ? "openai" : "aws";
        const reconcile::Sku& sku = kSkus[data[1] % 12];
        line.model = sku.model;
        line.meter = sku.meter.value_or(reconcile::Meter::kOutput);
        if (line.quantity % 7 == 3) line.meter.reset();
        line.tier = sku.tier.value_or(reconcile::Tier::kStandard);
        line.region = sku.region;
        line.hour = Instant{hour};
        line.quantity = quantity;
        line.contracted = cost;
        line.is_unverified = data[7] % 32 == 0;
        ENTREPOT_CHECK(comparison.add(line).has_value());
    }
    const auto report = comparison.finish(facts);
    if (!report) return 0;
    std::array<Money, reconcile::kTypeCount> sums{};
    for (const reconcile::Difference& difference : report->differences) {
        sums[static_cast<std::size_t>(difference.type)] += difference.amount;
        ENTREPOT_CHECK(!difference.why.empty());
        ENTREPOT_CHECK(difference.why.find('\n') == std::string::npos);
    }
    for (std::size_t type = 0; type < reconcile::kTypeCount; ++type)
        ENTREPOT_CHECK(sums[type] == report->totals[type].amount);
    (void)to_table(*report);
    (void)to_csv(*report);
    (void)to_json(*report);
    return 0;
}
