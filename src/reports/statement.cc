#include "reports/statement.h"

#include <fmt/format.h>

#include "json/writer.h"
#include "reports/csv.h"

namespace entrepot::reports {

namespace {

using Line = Statement::Line;

void write_line(json::Writer& writer, const Line& line) {
    writer.begin_object().member("name", line.name);
    writer.member("attempts", static_cast<std::int64_t>(line.attempts));
    writer.member("tokens", line.tokens).member("list_cost", line.list_cost.to_decimal());
    writer.member("cost", line.cost.to_decimal());
    writer.member("savings", (line.list_cost - line.cost).to_decimal()).end_object();
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

void csv_row(std::string& out, std::initializer_list<std::string_view> texts, const Line& line) {
    for (const std::string_view text : texts) {
        append_safe_cell(out, text);
        out += ',';
    }
    // Amounts are ours: a minus sign in front is no formula.
    out += fmt::format("{},{},{},{},{}\n", line.attempts, line.tokens, line.list_cost.to_decimal(),
        line.cost.to_decimal(), (line.list_cost - line.cost).to_decimal());
}

/// Thousands in groups, every decimal kept.
std::string grouped(std::string text) {
    const std::size_t begin = text.starts_with('-') ? 1 : 0;
    std::size_t at = std::min(text.find('.'), text.size());
    while (at > begin + 3) text.insert(at -= 3, "\u202f");
    return text;
}

std::string html_line(std::string_view tag, const Line& line, std::string_view name) {
    const auto cell = [&](const std::string& text) {
        return fmt::format("<{0} class=\"n\">{1}</{0}>", tag, text);
    };
    return fmt::format("<tr><{0}>{1}</{0}>", tag, name) +
        cell(grouped(fmt::format("{}", line.attempts))) +
        cell(grouped(fmt::format("{}", line.tokens))) + cell(grouped(line.list_cost.to_decimal())) +
        cell(grouped((line.list_cost - line.cost).to_decimal())) +
        cell(grouped(line.cost.to_decimal())) + "</tr>\n";
}

constexpr std::string_view kStyle = R"css(
@page { size: A4; margin: 18mm 16mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 40px 32px; max-width: 900px; color: #17202a; background: #fff;
  font: 14px/1.45 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
header { display: flex; justify-content: space-between; align-items: flex-end; gap: 24px;
  border-bottom: 2px solid #17202a; padding-bottom: 16px; }
h1 { font-size: 26px; line-height: 1.15; margin: 0; letter-spacing: -.01em; }
.eyebrow { font-size: 11px; letter-spacing: .12em; text-transform: uppercase; color: #5d6d7e; }
.due { text-align: right; } .due strong { display: block; font-size: 24px; }
.due strong, .n { font-variant-numeric: tabular-nums; }
dl { display: flex; flex-wrap: wrap; gap: 4px 32px; margin: 16px 0 8px; }
dt { font-size: 11px; color: #5d6d7e; } dd { margin: 0; }
h2 { font-size: 14px; margin: 28px 0 6px; }
table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: 12.5px; }
th { text-align: left; font-weight: 600; color: #5d6d7e; border-bottom: 1px solid #aeb6bf; }
th, td { padding: 5px 8px 5px 0; vertical-align: top; overflow-wrap: anywhere; }
td { border-bottom: 1px solid #eaeded; }
.n { text-align: right; white-space: nowrap; padding-left: 8px; width: 16%; }
th:nth-child(2).n, th:nth-child(3).n { width: 12%; }
td:last-child, th:last-child { padding-right: 0; }
tfoot th { color: inherit; border-top: 1px solid #17202a; border-bottom: 0; }
.open { color: #9c640c; } .note { color: #5d6d7e; font-size: 12px; }
footer { margin-top: 32px; border-top: 1px solid #d5d8dc; padding-top: 8px; }
@media print { body { padding: 0; max-width: none; } thead { display: table-header-group; }
  tr, h2 { break-inside: avoid; } h2 { break-after: avoid; } }
)css";

}  // namespace

std::string statement_json(const Statement& statement) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member(statement.owner_kind, statement.owner);
    writer.member("month", statement.month).member("time_zone", "UTC");
    writer.member("currency", statement.currency).member("made_at", to_rfc3339(statement.made));
    writer.member_bool("closed", statement.is_closed).key("total");
    write_line(writer, statement.total);
    writer.member("unpriced", static_cast<std::int64_t>(statement.unpriced));
    writer.member("unverified_cost", statement.unverified.to_decimal());
    writer.key("sections").begin_array();
    for (const Statement::Section& section : statement.sections) {
        writer.begin_object().member("by", section.title).key("lines").begin_array();
        for (const Line& line : section.lines) write_line(writer, line);
        writer.end_array().end_object();
    }
    writer.end_array().key("corrections").begin_array();
    for (const Statement::Correction& one : statement.corrections) {
        writer.begin_object().member("at", to_rfc3339(one.at)).member("reason", one.reason);
        writer.member("corrects", one.corrects);
        writer.member("list_cost", one.list_cost.to_decimal());
        writer.member("cost", one.cost.to_decimal()).end_object();
    }
    writer.end_array().end_object();
    return out;
}

std::string statement_csv(const Statement& statement) {
    std::string out = "SECTION,NAME,CORRECTS,ATTEMPTS,TOKENS,LIST_COST,COST,SAVINGS\n";
    csv_row(out, {"total", statement.owner, ""}, statement.total);
    for (const Statement::Section& section : statement.sections)
        for (const Line& line : section.lines) csv_row(out, {section.title, line.name, ""}, line);
    for (const Statement::Correction& one : statement.corrections)
        csv_row(out, {"correction", one.reason, one.corrects}, {{}, 0, 0, one.list_cost, one.cost});
    return out;
}

std::string statement_html(const Statement& statement) {
    const std::string owner = escaped(statement.owner);
    std::string out = fmt::format(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<title>Statement of {0}, {1}</title><style>{2}</style></head><body>\n",
        owner, statement.month, kStyle);
    out += fmt::format(
        "<header><div><div class=\"eyebrow\">Statement of AI usage</div><h1>{} {}</h1></div>"
        "<div class=\"due\"><span class=\"eyebrow\">{}</span><strong>{}\u00a0{}</strong></div>"
        "</header>\n",
        escaped(statement.owner_kind), owner, statement.month,
        grouped(statement.total.cost.to_decimal()), statement.currency);
    out += fmt::format(
        "<dl><div><dt>Period</dt><dd>{} (UTC months)</dd></div><div><dt>Books</dt>"
        "<dd{}>{}</dd></div><div><dt>At list prices</dt><dd>{} {}</dd></div><div><dt>Saved by "
        "contracts</dt><dd>{} {}</dd></div></dl>\n",
        statement.month, statement.is_closed ? "" : " class=\"open\"",
        statement.is_closed ? "closed" : "open: amounts may still change",
        grouped(statement.total.list_cost.to_decimal()), statement.currency,
        grouped((statement.total.list_cost - statement.total.cost).to_decimal()),
        statement.currency);
    if (statement.unpriced > 0)
        out += fmt::format(
            "<p class=\"note\">{} attempts have no known cost and are not in the total.</p>\n",
            statement.unpriced);
    if (!statement.unverified.is_zero())
        out += fmt::format(
            "<p class=\"note\">{} {} of the total stand at their bound until they are "
            "resolved.</p>\n",
            grouped(statement.unverified.to_decimal()), statement.currency);
    for (const Statement::Section& section : statement.sections) {
        // Nobody used it to tell costs apart.
        if (section.lines.size() == 1 && section.lines.front().name.empty()) continue;
        out += fmt::format(
            "<h2>By {0}</h2><table><thead><tr><th>{0}</th><th class=\"n\">Attempts</th><th "
            "class=\"n\">Tokens</th><th class=\"n\">At list</th><th class=\"n\">Saved</th><th "
            "class=\"n\">Cost</th></tr></thead><tbody>\n",
            escaped(section.title));
        for (const Line& line : section.lines)
            out += html_line("td", line, line.name.empty() ? "none" : escaped(line.name));
        out += "</tbody><tfoot>" + html_line("th", statement.total, "Total") + "</tfoot></table>\n";
    }
    if (!statement.corrections.empty()) {
        out +=
            "<h2>Corrections, contained above</h2><table><thead><tr><th>Booked</th><th>Reason</th>"
            "<th>Corrects</th><th class=\"n\">Cost</th></tr></thead><tbody>\n";
        for (const Statement::Correction& one : statement.corrections)
            out +=
                fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n",
                    to_date(one.at), escaped(one.reason), escaped(one.corrects),
                    grouped(one.cost.to_decimal()));
        out += "</tbody></table>\n";
    }
    out += fmt::format(
        "<footer class=\"note\">Made {} by Entrepot from its ledger. Amounts are exact, in "
        "{}.</footer></body></html>\n",
        to_rfc3339(statement.made), statement.currency);
    return out;
}

}  // namespace entrepot::reports
