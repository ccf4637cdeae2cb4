#include "reconcile/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "json/writer.h"
#include "reconcile/amounts.h"
#include "reconcile/csv.h"

namespace entrepot::reconcile {
namespace {

constexpr std::array<std::string_view, kTypeCount> kTypes{"late", "missing", "duplicate", "cache",
    "rate", "tier", "uplift", "rounding", "credit", "unknown"};

/// A sum with its sign, as differences are told.
std::string signed_text(Money amount) {
    return amount.is_negative() ? amount.to_decimal() : "+" + amount.to_decimal();
}

/// A text that a spreadsheet would take for a formula gets an apostrophe.
std::string disarmed(const std::string& text) {
    return text.empty() || std::string_view("=+-@").find(text.front()) == std::string_view::npos
        ? text
        : "'" + text;
}

void write_period(json::Writer& writer, const Period& at) {
    writer.member("begin", to_rfc3339(at.begin)).member("end", to_rfc3339(at.end));
}

void write_difference(json::Writer& writer, const Difference& difference) {
    writer.begin_object().member("type", type_name(difference.type));
    writer.member("amount", difference.amount.to_decimal());
    writer.member("seller", difference.seller).member("cloud", difference.cloud);
    writer.member("offer", difference.offer).member("model", difference.model);
    writer.member("meter", difference.meter);
    write_period(writer, difference.at);
    writer.member("quantity", decimal_text(difference.quantity_pico));
    writer.member("cells", static_cast<std::int64_t>(difference.cells));
    writer.member("line", static_cast<std::int64_t>(difference.line));
    writer.member_bool("disputable", difference.is_disputable);
    writer.member_bool("pending", difference.is_pending);
    writer.member("why", difference.why).end_object();
}

}  // namespace

std::string_view type_name(Type type) { return kTypes[static_cast<std::size_t>(type)]; }

std::optional<Type> parse_type(std::string_view name) {
    const auto at = std::ranges::find(kTypes, name);
    if (at == kTypes.end()) return std::nullopt;
    return static_cast<Type>(at - kTypes.begin());
}

std::string to_table(const Report& report) {
    const std::string_view currency = report.currency.code();
    std::string out = fmt::format("bill of {} to {}, {}\n\n", to_date(report.period.begin),
        to_date(Instant{report.period.end.ns - 1}), currency);
    const auto row = [&](std::string_view name, const std::string& amount, std::string note) {
        out += fmt::format("{:<14}{:>24}  {}\n", name, amount, note);
    };
    row("booked", report.booked.to_decimal(), {});
    for (std::size_t type = 0; type < kTypeCount; ++type) {
        const TypeTotal& total = report.totals[type];
        if (total.count > 0)
            row(kTypes[type], signed_text(total.amount),
                fmt::format("{} difference{}", total.count, total.count == 1 ? "" : "s"));
    }
    row("billed", report.billed.to_decimal(),
        fmt::format("{} lines; {} of {} SKUs and times equal", report.bill_lines,
            report.cells_equal, report.cells));
    if (!report.adjusted.is_zero())
        row("adjusted", signed_text(report.adjusted), "of the differences, posted before");
    if (!report.purchases.is_zero())
        row("purchases", report.purchases.to_decimal(), "not compared");
    if (!report.taxes.is_zero()) row("taxes", report.taxes.to_decimal(), "not compared");
    if (!report.other_services.is_zero())
        row("other", report.other_services.to_decimal(), "services that are no models");
    if (!report.differences.empty()) out += '\n';
    for (const Difference& difference : report.differences) {
        out += fmt::format("{:>20}  {:<10}{}", signed_text(difference.amount),
            type_name(difference.type), difference.why);
        if (difference.cells > 1)
            out += fmt::format(" ({} times, {} to {})", difference.cells,
                to_date(difference.at.begin), to_date(Instant{difference.at.end.ns - 1}));
        if (difference.line > 0) out += fmt::format(" [line {}]", difference.line);
        out += '\n';
    }
    if (report.differences_left_out > 0)
        out += fmt::format(
            "and {} smaller ones, which the totals hold\n", report.differences_left_out);
    if (!report.findings.empty()) out += '\n';
    for (const Finding& finding : report.findings)
        out += finding.line > 0 ? fmt::format("note, line {}: {}\n", finding.line, finding.text)
                                : fmt::format("note: {}\n", finding.text);
    return out;
}

std::string to_csv(const Report& report) {
    std::string out =
        "type,amount,currency,seller,cloud,offer,model,meter,begin,end,quantity,cells,line,"
        "disputable,pending,why\n";
    for (const Difference& difference : report.differences) {
        const std::array<std::string, 16> fields{std::string(type_name(difference.type)),
            difference.amount.to_decimal(), std::string(report.currency.code()),
            disarmed(difference.seller), disarmed(difference.cloud), disarmed(difference.offer),
            disarmed(difference.model), difference.meter, to_rfc3339(difference.at.begin),
            to_rfc3339(difference.at.end), decimal_text(difference.quantity_pico),
            fmt::format("{}", difference.cells), fmt::format("{}", difference.line),
            difference.is_disputable ? "yes" : "no", difference.is_pending ? "yes" : "no",
            disarmed(difference.why)};
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (i > 0) out += ',';
            append_csv(out, fields[i]);
        }
        out += '\n';
    }
    return out;
}

std::string to_json(const Report& report) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", report.currency.code());
    write_period(writer, report.period);
    writer.member("billed", report.billed.to_decimal());
    writer.member("booked", report.booked.to_decimal());
    writer.member("adjusted", report.adjusted.to_decimal());
    writer.member("purchases", report.purchases.to_decimal());
    writer.member("taxes", report.taxes.to_decimal());
    writer.member("other_services", report.other_services.to_decimal());
    writer.member("bill_lines", static_cast<std::int64_t>(report.bill_lines));
    writer.member("unknown_lines", static_cast<std::int64_t>(report.unknown_lines));
    writer.member("cells", static_cast<std::int64_t>(report.cells));
    writer.member("cells_equal", static_cast<std::int64_t>(report.cells_equal));
    writer.member_bool("has_costs", report.has_costs);
    writer.member_bool("has_quantities", report.has_quantities);
    writer.key("totals").begin_object();
    for (std::size_t type = 0; type < kTypeCount; ++type) {
        const TypeTotal& total = report.totals[type];
        writer.key(kTypes[type]).begin_object();
        writer.member("count", static_cast<std::int64_t>(total.count));
        writer.member("amount", total.amount.to_decimal()).end_object();
    }
    writer.end_object().key("differences").begin_array();
    for (const Difference& difference : report.differences) write_difference(writer, difference);
    writer.end_array();
    writer.member("differences_left_out", static_cast<std::int64_t>(report.differences_left_out));
    writer.key("adjustments").begin_array();
    for (const Adjustment& adjustment : report.adjustments) {
        writer.begin_object().member("day", to_date(adjustment.day));
        writer.member("seller", adjustment.seller).member("cloud", adjustment.cloud);
        writer.member("offer", adjustment.offer).member("type", type_name(adjustment.type));
        writer.member("amount", adjustment.amount.to_decimal()).end_object();
    }
    writer.end_array().key("findings").begin_array();
    for (const Finding& finding : report.findings) {
        writer.begin_object().member("line", static_cast<std::int64_t>(finding.line));
        writer.member("text", finding.text).end_object();
    }
    writer.end_array().end_object();
    return out;
}

}  // namespace entrepot::reconcile
