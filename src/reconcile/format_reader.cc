#include "reconcile/format_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "reconcile/bill_time.h"

namespace entrepot::reconcile {

std::string_view category_name(Category category) {
    static constexpr std::array<std::string_view, 5> kNames{
        "usage", "purchase", "credit", "tax", "adjustment"};
    return kNames[static_cast<std::size_t>(category)];
}

Status FormatReader::read_json(const json::Value& row, std::uint64_t line, Lines& lines) {
    (void)row;
    (void)lines;
    return Lines::wrong(line, "this format is read as CSV alone; export it as CSV");
}

std::unexpected<Error> Lines::wrong(std::uint64_t line, std::string_view why) {
    return fail(ErrorCode::kInvalidField, fmt::format("line {}: {}", line, why));
}

std::unexpected<Error> Lines::too_many_skus() const {
    return fail(ErrorCode::kInvalidField,
        fmt::format("more than {} different SKUs; is a column of free text taken for one? Export "
                    "the model services alone",
            options_.skus_max));
}

/// So much that 10^8 lines of it still add up within 128 bits.
constexpr Int128 kLargest = Int128{1'000'000'000'000'000'000} * 1'000'000'000'000;

Status Lines::give(BillLine line) {
    // What is not metered has a price only: hours and gigabytes are no quantity of ours.
    if (!line.sku->meter) {
        line.quantity_pico.reset();
        line.per_million_pico.reset();
    }
    if (line.at.end <= line.at.begin)
        return wrong(line.line,
            fmt::format("its period ends at {}, not behind its beginning at {}",
                to_rfc3339(line.at.end), to_rfc3339(line.at.begin)));
    if (line.quantity_pico && magnitude(*line.quantity_pico) > kLargest)
        return wrong(line.line,
            fmt::format("its quantity is more than 10^18 {}; is the unit right?",
                canon::meter_name(*line.sku->meter)));
    if (++facts_.lines > options_.lines_max)
        return wrong(line.line,
            fmt::format("more than {} charges; reconcile shorter periods", options_.lines_max));
    facts_.has_costs = facts_.has_costs || line.cost.has_value();
    facts_.has_quantities = facts_.has_quantities || line.quantity_pico.has_value();
    return on_line_(line);
}

Result<std::optional<Decimal>> Lines::number(
    std::uint64_t line, std::string_view column, std::string_view text) {
    if (text.empty()) return std::nullopt;
    const auto value = parse_decimal(text);
    if (!value) return wrong(line, fmt::format("{}: {}", column, value.error().message));
    if (value->is_rounded) ++facts_.rounded_amounts;
    return *value;
}

Result<std::optional<Money>> Lines::cost(
    std::uint64_t line, std::string_view column, std::string_view text) {
    ENTREPOT_TRY(const std::optional<Decimal> value, number(line, column, text));
    if (!value) return std::nullopt;
    facts_.cost_decimals_max = std::max(facts_.cost_decimals_max, value->decimals);
    return Money::from_pico(value->pico);
}

Result<Instant> Lines::time(std::uint64_t line, std::string_view column, std::string_view text) {
    const auto at = parse_bill_time(text);
    if (!at) return wrong(line, fmt::format("{}: {}", column, at.error().message));
    return *at;
}

Result<Period> Lines::period(std::uint64_t line, std::string_view begin, std::string_view end) {
    ENTREPOT_TRY(const Instant from, time(line, "beginning of the period", begin));
    if (end.empty()) return Period{from, Instant{from.ns + kDayNs}};
    ENTREPOT_TRY(const Instant to, time(line, "end of the period", end));
    return Period{from, to};
}

Result<Currency> Lines::currency(std::uint64_t line, std::string_view text) {
    std::string upper(text.substr(0, 8));
    for (char& c : upper)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    const auto currency = Currency::parse(upper);
    if (!currency)
        return wrong(
            line, fmt::format("'{}' is not a currency; it is written like USD", excerpt(text)));
    return *currency;
}

std::optional<Int128> units(const std::optional<Decimal>& quantity, const Sku& sku) {
    if (!quantity || sku.unit <= 0) return std::nullopt;
    return quantity->pico * sku.unit;
}

std::optional<Int128> per_million(const std::optional<Decimal>& price, std::int64_t unit) {
    if (!price || unit <= 0) return std::nullopt;
    return price->pico * (1'000'000 / unit);
}

}  // namespace entrepot::reconcile
