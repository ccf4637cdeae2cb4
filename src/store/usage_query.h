#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "canon/usage.h"

namespace entrepot::store {

/// The columns by which the books are kept. `kDay` and `kMonth` are UTC, of the dispatch.
enum class UsageColumn : std::uint8_t {
    kDay,
    kMonth,
    kOrg,
    kTeam,
    kProject,
    kKey,
    kEndUser,
    kTags,
    kModel,
    kOffer,
    kCloud,
    kContract,
    kTier,         ///< what it was served at: `standard`, `batch`, ...
    kContext,      ///< the context band it was priced at: prompts of more tokens than this
    kRateVersion,  ///< of the rates it was priced with
    kTag,          ///< the value of one tag, which `UsageKey` names
};
inline constexpr std::size_t kUsageColumnCount = 16;
/// `day`, `org`, ... Errors of the parser: kInvalidField, naming the nearest.
[[nodiscard]] std::string_view usage_column_name(UsageColumn column);

/// What rows are told apart by, or chosen by: a column, or one tag by its name.
struct UsageKey {
    UsageColumn column = UsageColumn::kKey;
    std::string tag;  ///< of kTag alone

    UsageKey() = default;
    UsageKey(UsageColumn of) : column(of) {}  // NOLINT: a column is a key as it stands
    [[nodiscard]] static UsageKey of_tag(std::string_view name);
    /// `day`, `tag:stage`.
    [[nodiscard]] std::string name() const;
    friend bool operator==(const UsageKey&, const UsageKey&) = default;
};
[[nodiscard]] Result<UsageKey> parse_usage_key(std::string_view text);

/// The value of one tag in tags as the books have them (`name=value` joined by `;`); nothing where
/// they have no such tag.
[[nodiscard]] std::optional<std::string_view> tag_value(
    std::string_view tags, std::string_view name);

struct UsageFilter {
    UsageKey key;
    std::string value;  ///< empty: rows without one
};

struct UsageQuery {
    std::vector<UsageKey> group_by;    ///< empty: one row of totals
    std::optional<Instant> since;      ///< whole UTC days: the day of `since` is in
    std::optional<Instant> until;      ///< the day of `until` is out unless it is past midnight
    std::vector<UsageFilter> filters;  ///< all must hold
};

struct UsageRow {
    std::vector<std::string> group;  ///< one value per column of group_by, in its order
    std::uint64_t exchanges = 0;     ///< closed ones, under the offer that answered
    std::uint64_t attempts = 0;      ///< settled ones
    std::uint64_t released = 0;      ///< attempts that cost nothing
    canon::Usage usage;
    Money cost;
    Money list_cost;
    std::uint64_t estimated = 0;   ///< settled attempts whose usage the supplier did not report
    Money estimated_cost;          ///< their part of `cost`
    std::uint64_t unverified = 0;  ///< settled at their hold after a crash
    Money unverified_cost;
    std::uint64_t unpriced = 0;  ///< settled attempts whose cost is not known and not in `cost`
    Money overdraft;             ///< the part of `cost` beyond the holds
    Money adjusted;              ///< the part of `cost` that corrections posted; signed
};

struct UsageTable {
    std::vector<UsageKey> columns;
    std::vector<UsageRow> rows;  ///< sorted by group
    UsageRow total;
};

/// The outcome of `ledger verify`.
struct VerifyReport {
    std::vector<std::string> differences;  ///< empty: the books add up
    std::uint64_t accounts = 0;
    std::uint64_t open_attempts = 0;
    std::uint64_t records_audited = 0;  ///< 0 when the journal does not go back to its beginning
    std::uint64_t records_proved = 0;   ///< read again after the base, and compared row by row
    Money debits;
    Money credits;
    [[nodiscard]] bool ok() const { return differences.empty(); }
};

/// Asks the store's file beside a running gateway, read-only: as of its last checkpoint. Errors:
/// kIo, kNotFound.
[[nodiscard]] Result<UsageTable> query_usage(
    const std::filesystem::path& data, const UsageQuery& query);

}  // namespace entrepot::store
