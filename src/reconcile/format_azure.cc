#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "reconcile/bill_time.h"
#include "reconcile/format_reader.h"

// Azure cost export, actual or amortised, with the columns of an enterprise agreement or of a
// customer agreement.

namespace entrepot::reconcile {
namespace {

enum Slot : std::size_t {
    kMeterName,
    kQuantity,
    kCost,
    kCurrency,
    kDate,
    kUnit,
    kChargeType,
    kCategory,
    kSubcategory,
    kRegion,
    kAccount,
    kPrice,
    kInvoice,
    kBillStart,
    kBillEnd,
    kProduct,
};

constexpr std::array<Column, 16> kColumns{{
    {"metername|meter", true},
    {"quantity|usagequantity", true},
    {"costinbillingcurrency|cost|pretaxcost|extendedcost", true},
    {"billingcurrency|billingcurrencycode|currency|currencycode", true},
    {"date|usagedatetime|usagedate", true},
    {"unitofmeasure"},
    {"chargetype"},
    {"metercategory"},
    {"metersubcategory"},
    {"resourcelocation|resourcelocationnormalized|location|meterregion"},
    {"subscriptionid|subscriptionguid"},
    {"effectiveprice|resourcerate|unitprice"},
    {"invoiceid"},
    {"billingperiodstartdate"},
    {"billingperiodenddate"},
    {"productname|product"},
}};

std::optional<Category> category_of(std::string_view type) {
    if (type.empty() || equals_ignoring_case(type, "Usage")) return Category::kUsage;
    if (equals_ignoring_case(type, "Purchase") || type.starts_with("Unused"))
        return Category::kPurchase;
    if (equals_ignoring_case(type, "Refund") || equals_ignoring_case(type, "Credit"))
        return Category::kCredit;
    if (equals_ignoring_case(type, "Tax")) return Category::kTax;
    if (equals_ignoring_case(type, "Adjustment") ||
        equals_ignoring_case(type, "RoundingAdjustment"))
        return Category::kAdjustment;
    return std::nullopt;
}

class AzureReader final : public FormatReader {
public:
    [[nodiscard]] std::span<const Column> columns() const override { return kColumns; }
    [[nodiscard]] Status read(const Cells& row, Lines& lines) override;
};

Result<const Sku*> sku_of(const Cells& row, Lines& lines) {
    const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}", row[kMeterName], row[kUnit],
        row[kCategory], row[kSubcategory], row[kRegion]);
    return lines.sku(key, [&] {
        return azure_sku({row[kMeterName], row[kUnit],
            fmt::format("{} {} {}", row[kCategory], row[kSubcategory], row[kProduct]),
            row[kRegion]});
    });
}

Status AzureReader::read(const Cells& row, Lines& lines) {
    BillLine line;
    line.line = row.line;
    line.seller = "azure";
    line.identity = row.identity;
    const auto category = category_of(row[kChargeType]);
    if (!category)
        return Lines::wrong(row.line,
            fmt::format(
                "chargeType '{}' is not known; is this a cost export?", excerpt(row[kChargeType])));
    line.category = *category;
    ENTREPOT_TRY(line.sku, sku_of(row, lines));
    line.sku_name = row[kMeterName];
    line.account = row[kAccount];
    line.invoice = row[kInvoice];
    ENTREPOT_TRY(line.at, Lines::period(row.line, row[kDate], {}));
    if (!row[kBillStart].empty() && !row[kBillEnd].empty()) {
        ENTREPOT_TRY(
            const Instant from, Lines::time(row.line, "billingPeriodStartDate", row[kBillStart]));
        ENTREPOT_TRY(
            const Instant to, Lines::time(row.line, "billingPeriodEndDate", row[kBillEnd]));
        line.billing = Period{from, Instant{to.ns + kDayNs}};  // it names the last day
    }
    ENTREPOT_TRY(line.cost, lines.cost(row.line, "costInBillingCurrency", row[kCost]));
    if (!line.cost) return Lines::wrong(row.line, "costInBillingCurrency is empty");
    ENTREPOT_TRY(line.currency, Lines::currency(row.line, row[kCurrency]));
    if (line.category != Category::kUsage) return lines.give(line);
    ENTREPOT_TRY(
        const std::optional<Decimal> quantity, lines.number(row.line, "quantity", row[kQuantity]));
    line.quantity_pico = units(quantity, *line.sku);
    ENTREPOT_TRY(
        const std::optional<Decimal> price, lines.number(row.line, "effectivePrice", row[kPrice]));
    line.per_million_pico = per_million(price, line.sku->unit);
    return lines.give(line);
}

}  // namespace

std::unique_ptr<FormatReader> make_azure_reader() { return std::make_unique<AzureReader>(); }

}  // namespace entrepot::reconcile
