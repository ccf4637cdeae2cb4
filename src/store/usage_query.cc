#include "store/usage_query.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <map>

#include "base/text.h"
#include "catalog/tier.h"
#include "store/books_db.h"

namespace entrepot::store {

namespace {

constexpr std::array<std::string_view, kUsageColumnCount> kNames{"day", "month", "org", "team",
    "project", "key", "end_user", "tags", "model", "offer", "cloud", "contract", "tier", "context",
    "rate_version"};
constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;
constexpr std::array<std::string_view, 6> kCounts{
    "exchanges", "attempts", "released", "estimated", "unverified", "unpriced"};
constexpr std::array<std::string_view, 6> kAmounts{
    "cost", "list", "estimated", "unverified", "overdraft", "adjusted"};
/// SQLite's sums end at 2^63: an amount is summed in three parts.
constexpr std::int64_t kPicoPart = 1'000'000;

std::int64_t floor_day(Instant at) { return at.ns / kDayNs - (at.ns % kDayNs < 0 ? 1 : 0); }

/// Whether a column holds the number of a name.
bool is_named(UsageColumn column) {
    return column >= UsageColumn::kOrg && column != UsageColumn::kTier &&
        column != UsageColumn::kContext;
}

std::string expression_of(UsageColumn column) {
    if (column == UsageColumn::kDay) return "usage.day";
    if (column == UsageColumn::kMonth) return "strftime('%Y-%m',usage.day*86400,'unixepoch')";
    if (column == UsageColumn::kContext) return "dimensions.ctx_over";
    return fmt::format("dimensions.{}", usage_column_name(column));
}

std::string build_sql(const UsageQuery& query) {
    std::string columns;
    std::string groups;
    for (const UsageColumn column : query.group_by) {
        columns += expression_of(column) + ",";
        groups += fmt::format("{}{}", groups.empty() ? "" : ",", expression_of(column));
    }
    columns += "COUNT(*)";
    for (const std::string_view count : kCounts) columns += fmt::format(",SUM({})", count);
    for (const std::string_view amount : kAmounts) {
        columns +=
            fmt::format(",SUM({0}_units),SUM({0}_pico/{1}),SUM({0}_pico%{1})", amount, kPicoPart);
    }
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) columns += fmt::format(",SUM(m{})", i);
    std::string conditions = "1";
    if (query.since) conditions += " AND usage.day>=?";
    if (query.until) conditions += " AND usage.day<?";
    for (const UsageFilter& filter : query.filters) {
        const std::string column = expression_of(filter.column);
        if (!is_named(filter.column)) {
            conditions += fmt::format(" AND {}=?", column);
        } else if (filter.value.empty()) {
            conditions += fmt::format(" AND {}=0", column);
        } else {
            conditions += fmt::format(" AND {} IN (SELECT id FROM names WHERE name=?)", column);
        }
    }
    return fmt::format(
        "SELECT {} FROM usage JOIN dimensions ON dimensions.id=usage.dimensions WHERE {}{}{}",
        columns, conditions, groups.empty() ? "" : " GROUP BY ", groups);
}

void add(UsageRow& to, const Statement& row, int at) {
    const auto count = [&] { return static_cast<std::uint64_t>(row.number(at++)); };
    const auto amount = [&] {
        Int128 pico = static_cast<Int128>(row.number(at++)) * kPicoPerUnit;
        pico += static_cast<Int128>(row.number(at++)) * kPicoPart;
        return Money::from_pico(pico + row.number(at++));
    };
    to.exchanges += count();
    to.attempts += count();
    to.released += count();
    to.estimated += count();
    to.unverified += count();
    to.unpriced += count();
    to.cost += amount();
    to.list_cost += amount();
    to.estimated_cost += amount();
    to.unverified_cost += amount();
    to.overdraft += amount();
    to.adjusted += amount();
    for (std::int64_t& meter : to.usage.counts) meter += row.number(at++);
}

/// What a group's column reads as.
Result<std::string> value_of(
    const Database& database, UsageColumn column, const Statement& row, int at) {
    if (column == UsageColumn::kDay) return to_date(Instant{row.number(at) * kDayNs});
    if (column == UsageColumn::kTier)
        return std::string(catalog::tier_name(static_cast<catalog::Tier>(row.number(at))));
    if (!is_named(column)) return std::string(row.text(at));
    ENTREPOT_TRY(Statement name, database.prepare("SELECT name FROM names WHERE id=?"));
    name.bind(row.number(at));
    ENTREPOT_TRY(const bool found, name.step());
    return found ? std::string(name.text(0)) : std::string();
}

}  // namespace

std::string_view usage_column_name(UsageColumn column) {
    return kNames[static_cast<std::size_t>(column)];
}

Result<UsageColumn> parse_usage_column(std::string_view text) {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == text) return static_cast<UsageColumn>(i);
    }
    const std::vector<std::string> names(kNames.begin(), kNames.end());
    const std::string_view near = nearest(text, names);
    return fail(ErrorCode::kInvalidField,
        fmt::format("usage is kept by {}, not by '{}'{}", fmt::join(kNames, ", "), excerpt(text),
            near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

Result<UsageTable> run_usage_query(const Database& database, const UsageQuery& query) {
    ENTREPOT_TRY(Statement statement, database.prepare(build_sql(query)));
    if (query.since) statement.bind(floor_day(*query.since));
    if (query.until) statement.bind(floor_day(Instant{query.until->ns - 1}) + 1);
    for (const UsageFilter& filter : query.filters) {
        if (filter.column == UsageColumn::kDay) {
            ENTREPOT_TRY(const Instant day, parse_instant(filter.value));
            statement.bind(floor_day(day));
        } else if (filter.column == UsageColumn::kTier) {
            const std::optional<catalog::Tier> tier = catalog::parse_tier(filter.value);
            if (!tier) {
                return fail(ErrorCode::kInvalidField,
                    fmt::format("'{}' is no tier; write standard, batch, flex, priority or fast",
                        excerpt(filter.value)));
            }
            statement.bind(static_cast<std::uint32_t>(*tier));
        } else if (filter.column == UsageColumn::kContext) {
            std::int64_t tokens = 0;
            const char* const end = filter.value.data() + filter.value.size();
            if (std::from_chars(filter.value.data(), end, tokens).ptr != end) {
                return fail(ErrorCode::kInvalidField,
                    fmt::format("'{}' is no number of tokens", excerpt(filter.value)));
            }
            statement.bind(tokens);
        } else if (!is_named(filter.column) || !filter.value.empty()) {
            statement.bind(std::string_view(filter.value));
        }
    }
    UsageTable table;
    table.columns = query.group_by;
    std::map<std::vector<std::string>, UsageRow> rows;
    for (;;) {
        ENTREPOT_TRY(const bool more, statement.step());
        if (!more) break;
        const int sums = static_cast<int>(query.group_by.size());
        if (statement.number(sums) == 0) continue;  // the sum of no rows
        std::vector<std::string> group;
        for (std::size_t i = 0; i < query.group_by.size(); ++i) {
            ENTREPOT_TRY(std::string value,
                value_of(database, query.group_by[i], statement, static_cast<int>(i)));
            group.push_back(std::move(value));
        }
        add(rows[std::move(group)], statement, sums + 1);
        add(table.total, statement, sums + 1);
    }
    for (auto& [group, row] : rows) {
        row.group = group;
        table.rows.push_back(std::move(row));
    }
    return table;
}

Result<UsageTable> query_usage(const std::filesystem::path& data, const UsageQuery& query) {
    std::error_code error;
    if (!std::filesystem::exists(database_path(data), error)) {
        return fail(ErrorCode::kNotFound, fmt::format("there are no books in {}", data.string()));
    }
    ENTREPOT_TRY(
        const Database database, Database::open(database_path(data), Database::Mode::kReadOnly));
    return run_usage_query(database, query);
}

}  // namespace entrepot::store
