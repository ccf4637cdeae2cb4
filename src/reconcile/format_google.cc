#include <fmt/format.h>

#include <array>
#include <string>

#include "base/text.h"
#include "reconcile/bill_time.h"
#include "reconcile/format_reader.h"

// Google Cloud's billing export from BigQuery, detailed or standard: rows as newline JSON, or as
// CSV with nested fields flattened (`sku.description` or `sku_description`).

namespace entrepot::reconcile {
namespace {

enum Slot : std::size_t {
    kSku,
    kCost,
    kCurrency,
    kStart,
    kEnd,
    kService,
    kAccount,
    kRegion,
    kPricingAmount,
    kPricingUnit,
    kAmount,
    kUnit,
    kPrice,
    kMonth,
    kCostType,
    kCredits,
};

constexpr std::array<Column, 16> kColumns{{
    {"skudescription|sku", true},
    {"cost", true},
    {"currency", true},
    {"usagestarttime", true},
    {"usageendtime", true},
    {"servicedescription|service"},
    {"projectid|project|billingaccountid"},
    {"locationregion|locationlocation|location|region"},
    {"usageamountinpricingunits"},
    {"usagepricingunit"},
    {"usageamount"},
    {"usageunit"},
    {"priceeffectiveprice"},
    {"invoicemonth"},
    {"costtype"},
    {"credits"},
}};

std::optional<Category> category_of(std::string_view type) {
    if (type.empty() || type == "regular") return Category::kUsage;
    if (type == "tax") return Category::kTax;
    if (type == "adjustment" || type == "rounding_error") return Category::kAdjustment;
    return std::nullopt;
}

class GoogleReader final : public FormatReader {
public:
    [[nodiscard]] std::span<const Column> columns() const override { return kColumns; }
    [[nodiscard]] Status read(const Cells& row, Lines& lines) override;
    [[nodiscard]] Status read_json(
        const json::Value& row, std::uint64_t line, Lines& lines) override;

private:
    [[nodiscard]] static Status give_credits(
        const json::Value& credits, const BillLine& usage, Lines& lines);
};

Status GoogleReader::give_credits(const json::Value& credits, const BillLine& usage, Lines& lines) {
    std::uint64_t nth = 0;
    for (const json::Value& credit : credits.items()) {
        BillLine line = usage;
        line.category = Category::kCredit;
        line.quantity_pico.reset();
        line.per_million_pico.reset();
        line.sku_name = cell_of(credit["name"]);
        line.identity = mix(usage.identity, std::to_string(++nth));
        ENTREPOT_TRY(line.cost, lines.cost(line.line, "credits.amount", cell_of(credit["amount"])));
        if (!line.cost) return Lines::wrong(line.line, "a credit without an amount");
        ENTREPOT_TRY_DO(lines.give(line));
    }
    return {};
}

Status GoogleReader::read(const Cells& row, Lines& lines) {
    BillLine line;
    line.line = row.line;
    line.seller = "gcp";
    line.identity = row.identity;
    const auto category = category_of(row[kCostType]);
    if (!category)
        return Lines::wrong(row.line,
            fmt::format(
                "cost_type '{}' is not known; is this a billing export?", excerpt(row[kCostType])));
    line.category = *category;
    const bool is_priced = unit_of(row[kPricingUnit]) > 0 && !row[kPricingAmount].empty();
    const std::string_view unit = is_priced ? row[kPricingUnit] : row[kUnit];
    const std::string key =
        fmt::format("{}\n{}\n{}\n{}", row[kSku], row[kService], unit, row[kRegion]);
    ENTREPOT_TRY(line.sku,
        lines.sku(key, [&] { return google_sku({row[kSku], row[kService], unit, row[kRegion]}); }));
    line.sku_name = row[kSku];
    line.account = row[kAccount];
    line.invoice = row[kMonth];
    ENTREPOT_TRY(line.at, Lines::period(row.line, row[kStart], row[kEnd]));
    if (!row[kMonth].empty()) {
        const auto month = parse_invoice_month(row[kMonth]);
        if (!month) return Lines::wrong(row.line, "invoice.month: " + month.error().message);
        line.billing = *month;
    }
    ENTREPOT_TRY(line.cost, lines.cost(row.line, "cost", row[kCost]));
    if (!line.cost) return Lines::wrong(row.line, "cost is empty");
    ENTREPOT_TRY(line.currency, Lines::currency(row.line, row[kCurrency]));
    if (line.category == Category::kUsage) {
        ENTREPOT_TRY(const std::optional<Decimal> amount,
            lines.number(row.line, "usage.amount", row[is_priced ? kPricingAmount : kAmount]));
        line.quantity_pico = units(amount, *line.sku);
        ENTREPOT_TRY(const std::optional<Decimal> price,
            lines.number(row.line, "price.effective_price", row[kPrice]));
        if (is_priced) line.per_million_pico = per_million(price, line.sku->unit);
    }
    ENTREPOT_TRY_DO(lines.give(line));
    if (row[kCredits].empty() || row[kCredits] == "[]") return {};
    const auto credits = json::Document::parse(std::string(row[kCredits]));
    if (!credits || !credits->root().is_array())
        return Lines::wrong(row.line,
            "credits is no JSON array; export the rows as newline JSON, or credits with "
            "TO_JSON_STRING");
    return give_credits(credits->root(), line, lines);
}

Status GoogleReader::read_json(const json::Value& row, std::uint64_t line, Lines& lines) {
    static const Slots kSlots(kColumns);
    const Cells cells = kSlots.cells(row, line);
    for (std::size_t slot = 0; slot < kColumns.size(); ++slot)
        if (kColumns[slot].is_required && cells[slot].empty())
            return Lines::wrong(line,
                fmt::format("'{}' is missing; export whole rows of the billing table",
                    kColumns[slot].names.substr(0, kColumns[slot].names.find('|'))));
    return read(cells, lines);
}

}  // namespace

std::unique_ptr<FormatReader> make_google_reader() { return std::make_unique<GoogleReader>(); }

}  // namespace entrepot::reconcile
