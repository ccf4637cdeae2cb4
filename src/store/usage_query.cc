#include "store/usage_query.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <unordered_map>

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
std::int64_t floor_day(Instant at) { return at.ns / kDayNs - (at.ns % kDayNs < 0 ? 1 : 0); }

/// Whether a column holds the number of a name.
bool is_named(UsageColumn column) {
    return column >= UsageColumn::kOrg && column != UsageColumn::kTier &&
        column != UsageColumn::kContext;
}

/// Whether a column is of the row's time; all others are of its dimensions.
bool is_of_time(UsageColumn column) {
    return column == UsageColumn::kDay || column == UsageColumn::kMonth;
}

std::string day_text(std::int64_t day) { return to_date(Instant{day * kDayNs}); }
std::string month_text(std::int64_t day) { return day_text(day).substr(0, 7); }

std::string rows_sql(const UsageQuery& query) {
    std::string columns = "day,dimensions";
    for (const std::string_view count : kCounts) columns += fmt::format(",{}", count);
    for (const std::string_view amount : kAmounts)
        columns += fmt::format(",{0}_units,{0}_pico", amount);
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) columns += fmt::format(",m{}", i);
    return fmt::format("SELECT {} FROM usage WHERE 1{}{}", columns,
        query.since ? " AND day>=?" : "", query.until ? " AND day<?" : "");
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
    to.adjusted += amount();
    for (std::int64_t& meter : to.usage.counts) meter += row.number(at++);
}

void add(UsageRow& to, const UsageRow& row) {
    to.exchanges += row.exchanges;
    to.attempts += row.attempts;
    to.released += row.released;
    to.estimated += row.estimated;
    to.unverified += row.unverified;
    to.unpriced += row.unpriced;
    to.cost += row.cost;
    to.list_cost += row.list_cost;
    to.estimated_cost += row.estimated_cost;
    to.unverified_cost += row.unverified_cost;
    to.overdraft += row.overdraft;
    to.adjusted += row.adjusted;
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) to.usage.counts[i] += row.usage.counts[i];
}

/// A filter as it is compared: the text that a row's value must have. Errors: kInvalidField.
Result<std::string> wanted_text(const UsageFilter& filter) {
    switch (filter.key.column) {
        case UsageColumn::kDay: {
            ENTREPOT_TRY(const Instant day, parse_instant(filter.value));
            return day_text(floor_day(day));
        }
        case UsageColumn::kTier:
            if (!catalog::parse_tier(filter.value)) {
                return fail(ErrorCode::kInvalidField,
                    fmt::format("'{}' is no tier; write standard, batch, flex, priority or fast",
                        excerpt(filter.value)));
            }
            return filter.value;
        case UsageColumn::kContext: {
            std::int64_t tokens = 0;
            const char* const end = filter.value.data() + filter.value.size();
            if (filter.value.empty() ||
                std::from_chars(filter.value.data(), end, tokens).ptr != end) {
                return fail(ErrorCode::kInvalidField,
                    fmt::format("'{}' is no number of tokens", excerpt(filter.value)));
            }
            return std::to_string(tokens);
        }
        default: return filter.value;
    }
}

/// Sums rows up by what is asked. SQLite would take three times as long: it cannot add amounts
/// whole, and knows nothing of groups that many sets of dimensions share.
class Sums {
public:
    static Result<Sums> open(const Database& database, const UsageQuery& query) {
        std::string columns;
        for (std::size_t i = 0; i < kUsageColumnCount; ++i) {
            const auto column = static_cast<UsageColumn>(i);
            if (is_of_time(column) || column == UsageColumn::kTag) continue;
            columns += columns.empty() ? "" : ",";
            columns += column == UsageColumn::kContext ? "ctx_over" : usage_column_name(column);
        }
        ENTREPOT_TRY(Statement dimensions,
            database.prepare(fmt::format("SELECT {} FROM dimensions WHERE id=?", columns)));
        ENTREPOT_TRY(Statement names, database.prepare("SELECT name FROM names WHERE id=?"));
        Sums sums(query, std::move(dimensions), std::move(names));
        for (const UsageFilter& filter : query.filters) {
            ENTREPOT_TRY(std::string wanted, wanted_text(filter));
            sums.wanted_.push_back(std::move(wanted));
        }
        return sums;
    }

    Status add(const Statement& row) {
        const std::int64_t day = row.number(0);
        ENTREPOT_TRY(const std::uint32_t group, group_of(row.number(1)));
        if (group == kLeftOut || !is_chosen(day)) return {};
        const std::uint64_t cell =
            static_cast<std::uint64_t>(group) << 32 | static_cast<std::uint32_t>(time_of(day));
        const auto [at, fresh] = cells_.try_emplace(cell, static_cast<std::uint32_t>(rows_.size()));
        if (fresh) rows_.emplace_back();
        store::add(rows_[at->second], row, 2);
        return {};
    }

    UsageTable table() && {
        UsageTable table;
        table.columns = query_.group_by;
        std::map<std::vector<std::string>, UsageRow> merged;
        for (const auto& [cell, at] : cells_) {
            const auto day = static_cast<std::int32_t>(cell & 0xffff'ffff);
            std::vector<std::string> group = groups_[cell >> 32];
            for (std::size_t i = 0; i < group.size(); ++i) {
                if (query_.group_by[i].column == UsageColumn::kDay) group[i] = day_text(day);
                if (query_.group_by[i].column == UsageColumn::kMonth) group[i] = month_text(day);
            }
            store::add(merged[std::move(group)], rows_[at]);
            store::add(table.total, rows_[at]);
        }
        for (auto& [group, row] : merged) {
            row.group = group;
            table.rows.push_back(std::move(row));
        }
        return table;
    }

private:
    static constexpr std::uint32_t kLeftOut = 0xffff'ffff;
    static constexpr std::uint32_t kNotRead = 0xffff'fffe;

    Sums(const UsageQuery& query, Statement dimensions, Statement names)
        : query_(query), dimensions_(std::move(dimensions)), names_(std::move(names)) {
        for (const UsageKey& key : query.group_by) {
            by_day_ = by_day_ || key.column == UsageColumn::kDay;
            by_month_ = by_month_ || key.column == UsageColumn::kMonth;
        }
    }

    /// The day that stands for the time a row is told apart by: its own, or its month's first.
    std::int64_t time_of(std::int64_t day) {
        if (by_day_ || !by_month_) return by_day_ ? day : 0;
        const auto [month, fresh] = months_.try_emplace(day, 0);
        if (fresh) {
            const auto first = parse_instant(month_text(day) + "-01");
            month->second = first ? floor_day(*first) : day;
        }
        return month->second;
    }

    Result<std::string> name_of(std::int64_t id) {
        if (id == 0) return std::string();
        if (const auto known = texts_.find(id); known != texts_.end()) return known->second;
        names_.bind(id);
        ENTREPOT_TRY(const bool found, names_.step());
        std::string text(found ? names_.text(0) : std::string_view());
        names_.reset();
        texts_.emplace(id, text);
        return text;
    }

    /// What a set of dimensions, which was stepped to, has in a column that is not of time; nothing
    /// where it has no such tag.
    Result<std::optional<std::string>> value_of(const UsageKey& key) {
        const auto place = [](UsageColumn column) {  // in the statement's columns
            return static_cast<int>(column) - static_cast<int>(UsageColumn::kOrg);
        };
        if (key.column == UsageColumn::kTag) {
            ENTREPOT_TRY(
                const std::string tags, name_of(dimensions_.number(place(UsageColumn::kTags))));
            const auto value = tag_value(tags, key.tag);
            return value ? std::optional(std::string(*value)) : std::nullopt;
        }
        const std::int64_t number = dimensions_.number(place(key.column));
        if (key.column == UsageColumn::kTier)
            return std::string(catalog::tier_name(static_cast<catalog::Tier>(number)));
        if (!is_named(key.column)) return std::to_string(number);
        ENTREPOT_TRY(std::string name, name_of(number));
        return name;
    }

    Result<bool> is_dimension_chosen() {
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            const UsageKey& key = query_.filters[i].key;
            if (is_of_time(key.column)) continue;
            ENTREPOT_TRY(const auto value, value_of(key));
            // A tag that is not there is not one without a value; of all else they are the same.
            const bool is_there = key.column != UsageColumn::kTag || value.has_value();
            const bool fits = wanted_[i].empty() && key.column == UsageColumn::kTag
                ? !is_there
                : is_there && value == wanted_[i];
            if (!fits) return false;
        }
        return true;
    }

    [[nodiscard]] bool is_chosen(std::int64_t day) const {
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            const UsageColumn column = query_.filters[i].key.column;
            if (column == UsageColumn::kDay && day_text(day) != wanted_[i]) return false;
            if (column == UsageColumn::kMonth && month_text(day) != wanted_[i]) return false;
        }
        return true;
    }

    Result<std::uint32_t> group_of(std::int64_t dimensions) {
        const auto at = static_cast<std::size_t>(dimensions);
        if (at >= group_by_dimensions_.size())
            group_by_dimensions_.resize(at + at / 2 + 1, kNotRead);
        std::uint32_t& group = group_by_dimensions_[at];
        if (group != kNotRead) [[likely]]
            return group;
        dimensions_.bind(dimensions);
        ENTREPOT_TRY(const bool found, dimensions_.step());
        group = kLeftOut;
        if (found) {
            ENTREPOT_TRY(const bool is_chosen, is_dimension_chosen());
            if (is_chosen) {
                std::vector<std::string> values;
                for (const UsageKey& key : query_.group_by) {
                    if (is_of_time(key.column)) {
                        values.emplace_back();
                        continue;
                    }
                    ENTREPOT_TRY(auto value, value_of(key));
                    values.push_back(std::move(value).value_or(std::string()));
                }
                const auto [known, fresh] =
                    group_index_.try_emplace(values, static_cast<std::uint32_t>(groups_.size()));
                if (fresh) groups_.push_back(std::move(values));
                group = known->second;
            }
        }
        dimensions_.reset();
        return group;
    }

    const UsageQuery& query_;
    Statement dimensions_;
    Statement names_;
    bool by_day_ = false;
    bool by_month_ = false;
    std::unordered_map<std::int64_t, std::int64_t> months_;  ///< first days, by day
    std::vector<std::string> wanted_;                        ///< of each filter
    std::unordered_map<std::int64_t, std::string> texts_;
    std::vector<std::uint32_t> group_by_dimensions_;
    std::map<std::vector<std::string>, std::uint32_t> group_index_;
    std::vector<std::vector<std::string>> groups_;
    std::unordered_map<std::uint64_t, std::uint32_t> cells_;  ///< group and day, to `rows_`
    std::vector<UsageRow> rows_;
};

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
    ENTREPOT_TRY(Statement statement, database.prepare(rows_sql(query)));
    if (query.since) statement.bind(floor_day(*query.since));
    if (query.until) statement.bind(floor_day(Instant{query.until->ns - 1}) + 1);
    ENTREPOT_TRY(Sums sums, Sums::open(database, query));
    for (;;) {
        ENTREPOT_TRY(const bool more, statement.step());
        if (!more) return std::move(sums).table();
        ENTREPOT_TRY_DO(sums.add(statement));
    }
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
