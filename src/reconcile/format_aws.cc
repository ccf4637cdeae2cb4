#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "reconcile/format_reader.h"

// AWS Cost and Usage Report 2.0 as CSV, and the older one, whose names differ in spelling alone.

namespace entrepot::reconcile {
namespace {

enum Slot : std::size_t {
    kUsageType,
    kType,
    kProductCode,
    kCost,
    kNetCost,
    kAmount,
    kRate,
    kCurrency,
    kStart,
    kEnd,
    kAccount,
    kDescription,
    kUnit,
    kProductName,
    kProduct,
    kRegion,
    kInvoice,
    kBillStart,
    kBillEnd,
    kLineId,
};

constexpr std::array<Column, 20> kColumns{{
    {"lineitemusagetype", true},
    {"lineitemlineitemtype", true},
    {"lineitemproductcode", true},
    {"lineitemunblendedcost", true},
    {"lineitemnetunblendedcost"},
    {"lineitemusageamount", true},
    {"lineitemunblendedrate"},
    {"lineitemcurrencycode", true},
    {"lineitemusagestartdate", true},
    {"lineitemusageenddate", true},
    {"lineitemusageaccountid"},
    {"lineitemlineitemdescription"},
    {"pricingunit"},
    {"productproductname|productservicename"},
    {"product"},
    {"productregioncode|productregion"},
    {"billinvoiceid"},
    {"billbillingperiodstartdate"},
    {"billbillingperiodenddate"},
    {"identitylineitemid"},
}};

/// The value of `name` in CUR 2.0's map column, which is printed as JSON.
std::string product_value(std::string_view map, std::string_view name) {
    if (map.empty() || map.front() != '{') return {};
    const auto document = json::Document::parse(std::string(map));
    return document ? std::string(document->root()[name].string()) : std::string();
}

class AwsReader final : public FormatReader {
public:
    [[nodiscard]] std::span<const Column> columns() const override { return kColumns; }
    [[nodiscard]] Status read(const Cells& row, Lines& lines) override;
};

Result<const Sku*> sku_of(const Cells& row, Lines& lines) {
    std::string product(row[kProductName]);
    if (product.empty()) product = product_value(row[kProduct], "product_name");
    const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}", row[kUsageType], product,
        row[kProductCode], row[kUnit], row[kRegion]);
    return lines.sku(key, [&] {
        return aws_sku({row[kUsageType], product, row[kProductCode], row[kDescription], row[kUnit],
            row[kRegion]});
    });
}

/// Nothing for a type that is not known.
std::optional<Category> category_of(std::string_view type) {
    if (type == "Usage" || type == "DiscountedUsage" || type == "SavingsPlanCoveredUsage")
        return Category::kUsage;
    // Discounts are lines of their own under the usage they lower.
    if (type.ends_with("Discount")) return Category::kUsage;
    if (type == "Tax") return Category::kTax;
    if (type == "Credit" || type == "Refund") return Category::kCredit;
    if (type.ends_with("Fee")) return Category::kPurchase;
    if (type == "SavingsPlanNegation") return Category::kAdjustment;
    return std::nullopt;
}

Status AwsReader::read(const Cells& row, Lines& lines) {
    BillLine line;
    line.line = row.line;
    line.seller = "aws";
    const auto category = category_of(row[kType]);
    if (!category)
        return Lines::wrong(row.line,
            fmt::format(
                "line_item_line_item_type '{}' is not known; is this a CUR?", excerpt(row[kType])));
    line.category = *category;
    ENTREPOT_TRY(line.sku, sku_of(row, lines));
    line.sku_name = row[kUsageType];
    line.account = row[kAccount];
    line.invoice = row[kInvoice];
    ENTREPOT_TRY(line.at, Lines::period(row.line, row[kStart], row[kEnd]));
    if (!row[kBillStart].empty() && !row[kBillEnd].empty()) {
        ENTREPOT_TRY(line.billing, Lines::period(row.line, row[kBillStart], row[kBillEnd]));
    }
    // Net of the discounts of an agreement, where the export has it.
    const bool is_net = !row[kNetCost].empty();
    ENTREPOT_TRY(line.cost,
        lines.cost(row.line, is_net ? "line_item_net_unblended_cost" : "line_item_unblended_cost",
            row[is_net ? kNetCost : kCost]));
    if (!line.cost) return Lines::wrong(row.line, "line_item_unblended_cost is empty");
    ENTREPOT_TRY(line.currency, Lines::currency(row.line, row[kCurrency]));
    line.identity = row.identity;
    if (!row[kLineId].empty())
        line.identity = mix(mix(mix(1, row[kLineId]), row[kType]), row[kStart]);
    if (line.category == Category::kUsage && !row[kType].ends_with("Discount")) {
        ENTREPOT_TRY(const std::optional<Decimal> amount,
            lines.number(row.line, "line_item_usage_amount", row[kAmount]));
        line.quantity_pico = units(amount, *line.sku);
        ENTREPOT_TRY(const std::optional<Decimal> rate,
            lines.number(row.line, "line_item_unblended_rate", row[kRate]));
        if (!is_net) line.per_million_pico = per_million(rate, line.sku->unit);
    }
    return lines.give(line);
}

}  // namespace

std::unique_ptr<FormatReader> make_aws_reader() { return std::make_unique<AwsReader>(); }

}  // namespace entrepot::reconcile
