// Statements: what one owner's use of a month cost.

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/text.h"
#include "control/routes.h"
#include "reports/statement.h"

namespace entrepot::control {
namespace {

using reports::Statement;
using store::UsageColumn;
using store::UsageKey;

struct Owner {
    UsageColumn column = UsageColumn::kTeam;
    std::string name;
};

Result<Owner> owner_of(const ApiCall& call) {
    std::vector<Owner> named;
    for (const UsageColumn column :
        {UsageColumn::kOrg, UsageColumn::kTeam, UsageColumn::kProject}) {
        const std::string_view value = call.argument(std::string(store::usage_column_name(column)));
        if (!value.empty()) named.push_back({column, std::string(value)});
    }
    if (named.size() == 1) return named[0];
    return fail(ErrorCode::kInvalidField,
        "a statement is of one owner: give exactly one of org, team and project");
}

Result<Period> month_of(const ApiCall& call) {
    const std::string_view text = call.argument("month");
    const auto begin = text.size() == 7 ? parse_instant(std::string(text) + "-01")
                                        : Result<Instant>(fail(ErrorCode::kInvalidField, ""));
    if (!begin)
        return fail_field(ErrorCode::kInvalidField, "month",
            fmt::format("'{}' is no month; write one such as 2026-11", excerpt(text)));
    return TimeZone::utc().period_of(PeriodKind::kMonth, *begin);
}

Statement::Line line_of(const store::UsageRow& row) {
    return {row.group.empty() ? std::string() : row.group[0], row.attempts,
        row.usage.prompt_tokens() + row.usage.answer_tokens(), row.list_cost, row.cost};
}

/// All of it of one moment: on the books' thread, between two of its calls.
Result<Statement> read(store::Books& books, const Owner& owner, const Period& month) {
    store::UsageQuery query;
    query.since = month.begin;
    query.until = month.end;
    query.filters = {{owner.column, owner.name}};
    Statement statement;
    statement.is_closed = books.sealed_until() >= month.end;
    std::vector<UsageKey> keys{
        UsageColumn::kModel, UsageColumn::kKey, UsageColumn::kProject, UsageColumn::kContract};
    query.group_by = {UsageColumn::kTags};
    ENTREPOT_TRY(const store::UsageTable tagged, books.usage(query));
    statement.total = line_of(tagged.total);
    statement.total.name.clear();
    statement.unpriced = tagged.total.unpriced;
    statement.unverified = tagged.total.unverified_cost;
    std::set<std::string> tags;
    for (const store::UsageRow& row : tagged.rows)
        for (const std::string_view one : split(row.group[0], ';'))
            if (const auto equals = one.find('='); equals != std::string_view::npos)
                tags.emplace(one.substr(0, equals));
    for (const std::string& tag : tags) keys.push_back(UsageKey::of_tag(tag));
    for (const UsageKey& key : keys) {
        query.group_by = {key};
        ENTREPOT_TRY(const store::UsageTable table, books.usage(query));
        Statement::Section section{key.name(), {}};
        for (const store::UsageRow& row : table.rows) section.lines.push_back(line_of(row));
        statement.sections.push_back(std::move(section));
    }
    ENTREPOT_TRY(store::ChargeReader corrections,
        books.charges(month.begin, month.end, store::ChargeKinds::kCorrections));
    for (store::ChargeRow row;;) {
        ENTREPOT_TRY(const bool more, corrections.next(row));
        if (!more) return statement;
        const std::string_view of = owner.column == UsageColumn::kOrg ? row.org
            : owner.column == UsageColumn::kTeam                      ? row.team
                                                                      : row.project;
        if (of != owner.name) continue;
        Statement::Correction& one = statement.corrections.emplace_back();
        one.at = row.hour;
        one.reason = row.reason;
        one.list_cost = row.list_cost;
        one.cost = row.cost;
        if (row.correction != nullptr && row.correction->exchange != ExchangeId{})
            one.corrects = row.correction->exchange.to_string();
    }
}

}  // namespace

Result<ApiAnswer> get_statement(const ApiCall& call) {
    ENTREPOT_TRY(const Owner owner, owner_of(call));
    ENTREPOT_TRY(const Period month, month_of(call));
    const std::string_view format = call.argument("format");
    if (!format.empty() && format != "json" && format != "csv" && format != "html")
        return fail_field(ErrorCode::kInvalidField, "format",
            fmt::format("'{}' is no form of a statement; json, csv and html are", excerpt(format)));
    ENTREPOT_TRY(Statement statement,
        (ask<Result<Statement>>(
            call.backend, [&](store::Books& books) { return read(books, owner, month); })));
    statement.owner_kind = store::usage_column_name(owner.column);
    statement.owner = owner.name;
    statement.month = call.argument("month");
    statement.currency = call.backend.settings().currency.code();
    statement.made = call.backend.now();
    ApiAnswer answer;
    if (format == "csv") {
        answer.json = reports::statement_csv(statement);
        answer.content_type = "text/csv; charset=utf-8";
    } else if (format == "html") {
        answer.json = reports::statement_html(statement);
        answer.content_type = "text/html; charset=utf-8";
    } else {
        answer.json = reports::statement_json(statement);
    }
    return answer;
}

}  // namespace entrepot::control
