#include "store/usage_query.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "base/text.h"
#include "store/books_db.h"

namespace entrepot::store {

namespace {

constexpr std::array<std::string_view, kUsageColumnCount> kNames{
    "day", "org", "team", "key", "model", "offer", "cloud"};
constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;
constexpr std::string_view kSums =
    "exchanges,attempts,released,estimated,unverified,unpriced,cost_units,cost_pico,list_units,"
    "list_pico,"
    "estimated_units,estimated_pico,unverified_units,unverified_pico,overdraft_units,overdraft_"
    "pico";

std::int64_t floor_day(Instant at) { return at.ns / kDayNs - (at.ns % kDayNs < 0 ? 1 : 0); }

Result<std::string> build_sql(const UsageQuery& query) {
    std::string columns;
    for (const UsageColumn column : query.group_by) {
        columns += column == UsageColumn::kDay
            ? std::string("usage.day,")
            : fmt::format("(SELECT name FROM names WHERE id=usage.{}),", usage_column_name(column));
    }
    columns += kSums;
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) columns += fmt::format(",m{}", i);
    std::string conditions = "1";
    if (query.since) conditions += " AND day>=?";
    if (query.until) conditions += " AND day<?";
    for (const UsageFilter& filter : query.filters) {
        if (filter.column == UsageColumn::kDay) {
            conditions += " AND day=?";
        } else if (filter.value.empty()) {
            conditions += fmt::format(" AND usage.{}=0", usage_column_name(filter.column));
        } else {
            conditions += fmt::format(" AND usage.{}=(SELECT id FROM names WHERE name=?)",
                usage_column_name(filter.column));
        }
    }
    return fmt::format("SELECT {} FROM usage WHERE {}", columns, conditions);
}

void add(UsageRow& to, const Statement& row, int at) {
    const auto count = [&] { return static_cast<std::uint64_t>(row.number(at++)); };
    const auto amount = [&] {
        const Int128 units = row.number(at++);
        return Money::from_pico(units * kPicoPerUnit + row.number(at++));
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
    for (std::int64_t& meter : to.usage.counts) meter += row.number(at++);
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
        fmt::format("usage is kept by day, org, team, key, model, offer and cloud, not by '{}'{}",
            excerpt(text), near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

Result<UsageTable> run_usage_query(const Database& database, const UsageQuery& query) {
    ENTREPOT_TRY(const std::string sql, build_sql(query));
    ENTREPOT_TRY(Statement statement, database.prepare(sql));
    if (query.since) statement.bind(floor_day(*query.since));
    if (query.until) statement.bind(floor_day(Instant{query.until->ns - 1}) + 1);
    for (const UsageFilter& filter : query.filters) {
        if (filter.column == UsageColumn::kDay) {
            ENTREPOT_TRY(const Instant day, parse_instant(filter.value));
            statement.bind(floor_day(day));
        } else if (!filter.value.empty()) {
            statement.bind(std::string_view(filter.value));
        }
    }
    UsageTable table;
    table.columns = query.group_by;
    std::map<std::vector<std::string>, UsageRow> rows;
    for (;;) {
        ENTREPOT_TRY(const bool more, statement.step());
        if (!more) break;
        std::vector<std::string> group;
        for (std::size_t i = 0; i < query.group_by.size(); ++i) {
            const int column = static_cast<int>(i);
            group.push_back(query.group_by[i] == UsageColumn::kDay
                    ? to_date(Instant{statement.number(column) * kDayNs})
                    : std::string(statement.text(column)));
        }
        const int sums = static_cast<int>(query.group_by.size());
        add(rows[std::move(group)], statement, sums);
        add(table.total, statement, sums);
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
