#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "reconcile/format_reader.h"
#include "reconcile/names.h"

// FOCUS 1.0 and later as CSV, whoever wrote it. Sellers put their own names of SKUs in columns of
// their own (`x_`), which say more than the common ones.

namespace entrepot::reconcile {
namespace {

enum Slot : std::size_t {
    kCost,
    kCurrency,
    kStart,
    kEnd,
    kCategory,
    kClass,
    kProvider,
    kService,
    kServiceCategory,
    kSkuId,
    kSkuMeter,
    kDescription,
    kConsumed,
    kConsumedUnit,
    kPricing,
    kPricingUnit,
    kUnitPrice,
    kRegion,
    kAccount,
    kInvoice,
    kBillStart,
    kBillEnd,
    kMeterName,
    kUsageType,
    kServiceCode,
    kSkuDescription,
    kBlockSize,
    kMeter,
    kTier,
    kBand,
    kModel,
};

constexpr std::array<Column, 31> kColumns{{
    {"billedcost", true},
    {"billingcurrency", true},
    {"chargeperiodstart", true},
    {"chargeperiodend", true},
    {"chargecategory", true},
    {"chargeclass"},
    {"serviceprovidername|providername|publishername|invoiceissuername", true},
    {"servicename"},
    {"servicecategory"},
    {"skuid|skupriceid"},
    {"skumeter"},
    {"chargedescription"},
    {"consumedquantity"},
    {"consumedunit"},
    {"pricingquantity"},
    {"pricingunit"},
    {"contractedunitprice|listunitprice"},
    {"regionid|region"},
    {"subaccountid|billingaccountid"},
    {"invoiceid"},
    {"billingperiodstart"},
    {"billingperiodend"},
    {"xskumetername"},
    {"xusagetype"},
    {"xservicecode"},
    {"xskudescription"},
    {"xpricingblocksize"},
    {"xmeter"},
    {"xservicetier"},
    {"xctxband"},
    {"xmodel"},
}};

std::string seller_of(std::string_view provider) {
    const std::string lower = to_lower(provider);
    const auto has = [&](std::string_view part) { return lower.find(part) != std::string::npos; };
    if (has("aws") || has("amazon")) return "aws";
    if (has("microsoft") || has("azure")) return "azure";
    if (has("google")) return "gcp";
    if (has("oracle")) return "oci";
    if (has("openai")) return "openai";
    if (has("anthropic")) return "anthropic";
    return lower;
}

class FocusReader final : public FormatReader {
public:
    [[nodiscard]] std::span<const Column> columns() const override { return kColumns; }
    [[nodiscard]] Status read(const Cells& row, Lines& lines) override;

private:
    [[nodiscard]] const std::string& seller(std::string_view provider) {
        if (provider != provider_ || seller_.empty()) {
            provider_ = std::string(provider);
            seller_ = seller_of(provider);
        }
        return seller_;
    }
    std::string provider_, seller_;
};

std::string_view first_of(std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts)
        if (!text.empty()) return text;
    return {};
}

/// Columns of a gateway's own export say it outright.
Sku own_sku(const Cells& row) {
    Sku sku;
    for (std::size_t m = 0; m < canon::kMeterCount; ++m)
        if (canon::meter_name(static_cast<Meter>(m)) == row[kMeter]) sku.meter = Meter(m);
    sku.tier = catalog::parse_tier(row[kTier]);
    if (!row[kBand].empty()) sku.is_long = row[kBand] != "0";
    sku.region = std::string(row[kRegion]);
    const std::string_view model = first_of({row[kModel], row[kSkuId]});
    sku.model = ModelNames::embedded().canonical(model);
    sku.unit = unit_of(first_of({row[kConsumedUnit], row[kPricingUnit]}));
    return sku;
}

Sku described(const Cells& row, std::string_view seller) {
    const std::string_view unit = first_of({row[kPricingUnit], row[kConsumedUnit]});
    if (!row[kMeter].empty()) return own_sku(row);
    if (seller == "aws")
        return aws_sku({first_of({row[kUsageType], row[kSkuMeter]}), row[kService],
            first_of({row[kServiceCode], row[kService]}), row[kDescription], unit, row[kRegion]});
    if (seller == "azure")
        return azure_sku({first_of({row[kMeterName], row[kSkuMeter], row[kDescription]}), unit,
            fmt::format("{} {}", row[kService], row[kServiceCategory]), row[kRegion]});
    if (seller == "gcp")
        return google_sku({first_of({row[kSkuDescription], row[kDescription], row[kSkuMeter]}),
            row[kService], unit, row[kRegion]});
    if (seller == "openai") return openai_sku(first_of({row[kSkuMeter], row[kSkuId]}));
    Sku sku = plain_sku(first_of({row[kSkuMeter], row[kDescription], row[kSkuId]}), unit);
    sku.is_model_use = sku.meter.has_value() || row[kServiceCategory].starts_with("AI");
    sku.region = std::string(row[kRegion]);
    return sku;
}

std::optional<Category> category_of(const Cells& row) {
    const std::string_view name = row[kCategory];
    // A correction of an earlier invoice is no usage of this one.
    if (equals_ignoring_case(row[kClass], "Correction") && !equals_ignoring_case(name, "Tax"))
        return Category::kAdjustment;
    if (equals_ignoring_case(name, "Usage")) return Category::kUsage;
    if (equals_ignoring_case(name, "Purchase")) return Category::kPurchase;
    if (equals_ignoring_case(name, "Credit")) return Category::kCredit;
    if (equals_ignoring_case(name, "Tax")) return Category::kTax;
    if (equals_ignoring_case(name, "Adjustment")) return Category::kAdjustment;
    return std::nullopt;
}

/// The quantity by whichever of the two pairs of columns can be read as a count.
Result<std::optional<Int128>> quantity_of(const Cells& row, Lines& lines) {
    const bool has_blocks = !row[kBlockSize].empty();
    const std::int64_t consumed_unit = has_blocks ? 1 : unit_of(row[kConsumedUnit]);
    if (!row[kConsumed].empty() && consumed_unit > 0) {
        ENTREPOT_TRY(const std::optional<Decimal> amount,
            lines.number(row.line, "ConsumedQuantity", row[kConsumed]));
        return amount->pico * consumed_unit;
    }
    const std::int64_t pricing_unit = unit_of(row[kPricingUnit]);
    if (row[kPricing].empty() || pricing_unit <= 0) return std::nullopt;
    ENTREPOT_TRY(const std::optional<Decimal> amount,
        lines.number(row.line, "PricingQuantity", row[kPricing]));
    return amount->pico * pricing_unit;
}

Status FocusReader::read(const Cells& row, Lines& lines) {
    BillLine line;
    line.line = row.line;
    line.identity = row.identity;
    line.seller = seller(row[kProvider]);
    const auto category = category_of(row);
    if (!category)
        return Lines::wrong(row.line,
            fmt::format("ChargeCategory '{}' is none of FOCUS (Usage, Purchase, Tax, Credit, "
                        "Adjustment)",
                excerpt(row[kCategory])));
    line.category = *category;
    const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
        line.seller, row[kService], row[kSkuId], row[kSkuMeter], row[kDescription], row[kMeterName],
        row[kUsageType], row[kPricingUnit], row[kConsumedUnit], row[kRegion], row[kMeter],
        row[kTier], row[kBand]);
    ENTREPOT_TRY(line.sku, lines.sku(key, [&] { return described(row, line.seller); }));
    line.sku_name = first_of({row[kUsageType], row[kMeterName], row[kSkuDescription],
        row[kSkuMeter], row[kSkuId], row[kDescription]});
    line.account = row[kAccount];
    line.invoice = row[kInvoice];
    ENTREPOT_TRY(line.at, Lines::period(row.line, row[kStart], row[kEnd]));
    if (!row[kBillStart].empty() && !row[kBillEnd].empty()) {
        ENTREPOT_TRY(line.billing, Lines::period(row.line, row[kBillStart], row[kBillEnd]));
    }
    ENTREPOT_TRY(line.cost, lines.cost(row.line, "BilledCost", row[kCost]));
    if (!line.cost) return Lines::wrong(row.line, "BilledCost is empty, which FOCUS forbids");
    ENTREPOT_TRY(line.currency, Lines::currency(row.line, row[kCurrency]));
    if (line.category != Category::kUsage) return lines.give(line);
    ENTREPOT_TRY(line.quantity_pico, quantity_of(row, lines));
    ENTREPOT_TRY(const std::optional<Decimal> price,
        lines.number(row.line, "ContractedUnitPrice", row[kUnitPrice]));
    line.per_million_pico = per_million(price, unit_of(row[kPricingUnit]));
    return lines.give(line);
}

}  // namespace

std::unique_ptr<FormatReader> make_focus_reader() { return std::make_unique<FocusReader>(); }

}  // namespace entrepot::reconcile
