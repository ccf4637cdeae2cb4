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
    "rate_version", "tag"};
constexpr std::string_view kTagPrefix = "tag:";
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
    if (column == UsageColumn::kTag) return "dimensions.tags";  // sets with one value merge later
    return fmt::format("dimensions.{}", usage_column_name(column));
}

std::string build_sql(const UsageQuery& query) {
    std::string columns;
    std::string groups;
    for (const UsageKey& key : query.group_by) {
        columns += expression_of(key.column) + ",";
        groups += fmt::format("{}{}", groups.empty() ? "" : ",", expression_of(key.column));
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
        const std::string column = expression_of(filter.key.column);
        if (filter.key.column == UsageColumn::kTag) {
            // Without a value: those sets in which the name stands nowhere.
            conditions +=
                fmt::format(" AND {}{} IN (SELECT id FROM names WHERE instr(';'||name||?,?)>0)",
                    column, filter.value.empty() ? " NOT" : "");
        } else if (!is_named(filter.key.column)) {
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
    const Database& database, const UsageKey& key, const Statement& row, int at) {
    const UsageColumn column = key.column;
    if (column == UsageColumn::kDay) return to_date(Instant{row.number(at) * kDayNs});
    if (column == UsageColumn::kTier)
        return std::string(catalog::tier_name(static_cast<catalog::Tier>(row.number(at))));
    if (!is_named(column)) return std::string(row.text(at));
    ENTREPOT_TRY(Statement name, database.prepare("SELECT name FROM names WHERE id=?"));
    name.bind(row.number(at));
    ENTREPOT_TRY(const bool found, name.step());
    if (column == UsageColumn::kTag)
        return std::string(tag_value(found ? name.text(0) : "", key.tag).value_or(""));
    return found ? std::string(name.text(0)) : std::string();
}

Status bind_filter(Statement& statement, const UsageFilter& filter) {
    const UsageColumn column = filter.key.column;
    if (column == UsageColumn::kTag) {
        // `;name=value;` in `;...;`, or `;name=` in `;...`
        statement.bind(filter.value.empty() ? "" : ";");
        statement.bind(filter.value.empty() ? fmt::format(";{}=", filter.key.tag)
                                            : fmt::format(";{}={};", filter.key.tag, filter.value));
    } else if (column == UsageColumn::kDay) {
        ENTREPOT_TRY(const Instant day, parse_instant(filter.value));
        statement.bind(floor_day(day));
    } else if (column == UsageColumn::kTier) {
        const std::optional<catalog::Tier> tier = catalog::parse_tier(filter.value);
        if (!tier) {
            return fail(ErrorCode::kInvalidField,
                fmt::format("'{}' is no tier; write standard, batch, flex, priority or fast",
                    excerpt(filter.value)));
        }
        statement.bind(static_cast<std::uint32_t>(*tier));
    } else if (column == UsageColumn::kContext) {
        std::int64_t tokens = 0;
        const char* const end = filter.value.data() + filter.value.size();
        if (filter.value.empty() || std::from_chars(filter.value.data(), end, tokens).ptr != end) {
            return fail(ErrorCode::kInvalidField,
                fmt::format("'{}' is no number of tokens", excerpt(filter.value)));
        }
        statement.bind(tokens);
    } else if (!is_named(column) || !filter.value.empty()) {
        statement.bind(std::string_view(filter.value));
    }
    return {};
}

}  // namespace

std::string_view usage_column_name(UsageColumn column) {
    return kNames[static_cast<std::size_t>(column)];
}

UsageKey UsageKey::of_tag(std::string_view name) {
    UsageKey key(UsageColumn::kTag);
    key.tag = name;
    return key;
}

std::string UsageKey::name() const {
    if (column != UsageColumn::kTag) return std::string(usage_column_name(column));
    return fmt::format("{}{}", kTagPrefix, tag);
}

Result<UsageKey> parse_usage_key(std::string_view text) {
    if (text.starts_with(kTagPrefix)) {
        const std::string_view tag = text.substr(kTagPrefix.size());
        if (tag.empty() || tag.find_first_of("=;") != std::string_view::npos) {
            return fail(ErrorCode::kInvalidField,
                fmt::format(
                    "'{}' names no tag; write tag:NAME, such as tag:cost_center", excerpt(text)));
        }
        return UsageKey::of_tag(tag);
    }
    const std::span<const std::string_view> columns(kNames.data(), kNames.size() - 1);
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i] == text) return UsageKey(static_cast<UsageColumn>(i));
    }
    const std::vector<std::string> names(columns.begin(), columns.end());
    const std::string_view near = nearest(text, names);
    return fail(ErrorCode::kInvalidField,
        fmt::format("usage is kept by {} and tag:NAME, not by '{}'{}", fmt::join(columns, ", "),
            excerpt(text), near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

std::optional<std::string_view> tag_value(std::string_view tags, std::string_view name) {
    for (std::string_view rest = tags; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
            return one.substr(name.size() + 1);
    }
    return std::nullopt;
}

Result<UsageTable> run_usage_query(const Database& database, const UsageQuery& query) {
    ENTREPOT_TRY(Statement statement, database.prepare(build_sql(query)));
    if (query.since) statement.bind(floor_day(*query.since));
    if (query.until) statement.bind(floor_day(Instant{query.until->ns - 1}) + 1);
    for (const UsageFilter& filter : query.filters) ENTREPOT_TRY_DO(bind_filter(statement, filter));
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
