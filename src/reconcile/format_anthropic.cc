#include <fmt/format.h>

#include <array>
#include <string>

#include "base/text.h"
#include "reconcile/format_reader.h"

// Anthropic's usage and cost reports, as the Admin API's pages give them and as the console saves
// them.

namespace entrepot::reconcile {
namespace {

enum Slot : std::size_t {
    kStart,
    kEnd,
    kModel,
    kTokenType,
    kCents,
    kCost,
    kCurrency,
    kWindow,
    kTier,
    kUsageType,
    kSpeed,
    kCostType,
    kGeo,
    kAccount,
    kDescription,
    kInput,
    kCacheRead,
    kCacheWrite,
    kCacheWriteLong,
    kOutput,
    kSearches,
};

constexpr std::array<Column, 21> kColumns{{
    {"usagedateutc|startingat", true},
    {"endingat"},
    {"model|modelversion"},
    {"tokentype"},
    {"amount"},
    {"costusd"},
    {"currency"},
    {"contextwindow"},
    {"servicetier"},
    {"usagetype"},
    {"speed"},
    {"costtype"},
    {"inferencegeo"},
    {"workspaceid|workspace"},
    {"description"},
    {"uncachedinputtokens|usageinputtokensnocache"},
    {"cachereadinputtokens|usageinputtokenscacheread"},
    {"cachecreationephemeral5minputtokens|usageinputtokenscachewrite5m"},
    {"cachecreationephemeral1hinputtokens|usageinputtokenscachewrite1h"},
    {"outputtokens|usageoutputtokens"},
    {"servertoolusewebsearchrequests|websearchcount"},
}};

/// The tier by whichever column says it; the console calls what is no batch `message`.
std::string_view tier_of(const Cells& row) {
    if (row[kSpeed] == "fast") return "fast";
    if (!row[kTier].empty()) return row[kTier];
    return row[kUsageType] == "message" ? std::string_view("standard") : row[kUsageType];
}

Sku sku_of(const Cells& row, std::string_view token_type) {
    Sku sku = anthropic_sku(row[kModel], token_type, row[kWindow], tier_of(row));
    if (row[kGeo] != "not_available") sku.region = std::string(row[kGeo]);
    return sku;
}

class AnthropicReader final : public FormatReader {
public:
    [[nodiscard]] std::span<const Column> columns() const override { return kColumns; }
    [[nodiscard]] Status read(const Cells& row, Lines& lines) override;
    [[nodiscard]] Status read_json(
        const json::Value& row, std::uint64_t line, Lines& lines) override;

private:
    [[nodiscard]] static Status read_cost(const Cells& row, BillLine line, Lines& lines);
    [[nodiscard]] static Status read_usage(const Cells& row, const BillLine& usage, Lines& lines);
};

std::string key_of(const Cells& row, std::string_view what) {
    return fmt::format(
        "{}\n{}\n{}\n{}\n{}", row[kModel], what, row[kWindow], tier_of(row), row[kGeo]);
}

Status AnthropicReader::read_cost(const Cells& row, BillLine line, Lines& lines) {
    // The API gives cents, as a decimal that shifts by two places.
    const bool is_cents = row[kCost].empty();
    const std::string text = is_cents ? std::string(row[kCents]) + "e-2" : std::string(row[kCost]);
    ENTREPOT_TRY(line.cost, lines.cost(row.line, is_cents ? "amount" : "cost_usd", text));
    ENTREPOT_TRY(
        line.currency, Lines::currency(row.line, row[kCurrency].empty() ? "USD" : row[kCurrency]));
    const std::string_view what = row[kTokenType].empty() ? row[kCostType] : row[kTokenType];
    line.sku_name = row[kDescription].empty() ? what : row[kDescription];
    ENTREPOT_TRY(line.sku, lines.sku(key_of(row, what), [&] { return sku_of(row, what); }));
    if (line.cost->is_negative()) line.category = Category::kCredit;
    return lines.give(line);
}

Status AnthropicReader::read_usage(const Cells& row, const BillLine& usage, Lines& lines) {
    static constexpr std::array<std::pair<Slot, std::string_view>, 6> kMeters{
        {{kInput, "uncached_input_tokens"}, {kCacheRead, "cache_read_input_tokens"},
            {kCacheWrite, "cache_creation.ephemeral_5m_input_tokens"},
            {kCacheWriteLong, "cache_creation.ephemeral_1h_input_tokens"},
            {kOutput, "output_tokens"}, {kSearches, "web_search"}}};
    for (const auto& [slot, name] : kMeters) {
        ENTREPOT_TRY(
            const std::optional<Decimal> quantity, lines.number(row.line, name, row[slot]));
        if (!quantity || quantity->pico == 0) continue;
        if (quantity->pico < 0)
            return Lines::wrong(row.line, fmt::format("{}: '{}' is negative", name, row[slot]));
        BillLine line = usage;
        ENTREPOT_TRY(line.sku, lines.sku(key_of(row, name), [&] { return sku_of(row, name); }));
        line.sku_name = row[kModel];
        line.identity = mix(usage.identity, name);
        line.quantity_pico = quantity->pico;
        ENTREPOT_TRY_DO(lines.give(line));
    }
    return {};
}

Status AnthropicReader::read(const Cells& row, Lines& lines) {
    BillLine line;
    line.line = row.line;
    line.seller = "anthropic";
    line.identity = row.identity;
    line.account = row[kAccount];
    ENTREPOT_TRY(line.at, Lines::period(row.line, row[kStart], row[kEnd]));
    const bool is_cost = !row[kCost].empty() || !row[kCents].empty();
    return is_cost ? read_cost(row, line, lines) : read_usage(row, line, lines);
}

Status AnthropicReader::read_json(const json::Value& row, std::uint64_t line, Lines& lines) {
    static const Slots kSlots(kColumns);
    const json::Value& results = row["results"];
    if (!results.is_array())
        return Lines::wrong(line,
            "no bucket of Anthropic's reports (`starting_at`, `ending_at`, `results`); save the "
            "answers of /v1/organizations/cost_report or usage_report/messages as they are");
    for (const json::Value& result : results.items()) {
        Cells cells = kSlots.cells(result, line);
        cells.slots[kStart] = cell_of(row["starting_at"]);
        cells.slots[kEnd] = cell_of(row["ending_at"]);
        cells.identity = mix(cells.identity, cells[kStart]);
        ENTREPOT_TRY_DO(read(cells, lines));
    }
    return {};
}

}  // namespace

std::unique_ptr<FormatReader> make_anthropic_reader() {
    return std::make_unique<AnthropicReader>();
}

}  // namespace entrepot::reconcile
