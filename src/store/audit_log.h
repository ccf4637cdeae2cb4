#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace entrepot::store {

class Database;

/// Settings as paths and values, secrets already as digests; sorted by path.
using StatedValues = std::vector<std::pair<std::string, std::string>>;

/// Who changed something, when, and by what way.
struct AuditBy {
    Instant at;
    std::string actor;  ///< `alice`, `admin token from 127.0.0.1:50312`, `/etc/entrepot.yaml`
    std::string cause;  ///< `api`, `cli`, `start`, `file`, `SIGHUP`
};

/// One change of a setting.
struct AuditEntry {
    AuditBy by;
    std::string path;                    ///< `keys.search-prod.budgets[0].limit`
    std::optional<std::string> from;     ///< absent: there was none
    std::optional<std::string> to = {};  ///< absent: there is none any more
};

/// One row of the audit log. `hash` is SHA-256, in hex, over the hash of the row before (64 zeros
/// for the first), the number, the time in nanoseconds, actor, cause, path, from and to, each as
/// `<bytes>:<text>,` and what is absent as `-,`.
struct AuditRow {
    std::uint64_t number = 0;  ///< from 1, without a gap
    AuditEntry entry;
    std::string hash;
};

struct AuditQuery {
    std::optional<Instant> since, until;  ///< half-open
    std::uint64_t after = 0;              ///< rows beyond this number
    std::size_t rows_max = 1000;
};

/// What reading the chain found.
struct AuditReport {
    std::uint64_t rows = 0;
    std::string head;                      ///< the last row's hash; 64 zeros without any
    std::vector<std::string> differences;  ///< a sentence each, at most 20
    [[nodiscard]] bool ok() const { return differences.empty(); }
};

/// What differs, in the order of the paths.
[[nodiscard]] std::vector<AuditEntry> changes_between(
    const StatedValues& before, const StatedValues& after, const AuditBy& by);

/// The tables, when they are not there. Rows can be added and read: the database itself refuses to
/// change or remove one. Errors: kIo.
[[nodiscard]] Status make_audit_schema(Database& database);
/// Within the caller's transaction. Errors: kIo.
[[nodiscard]] Status append_audit(Database& database, std::span<const AuditEntry> entries);
[[nodiscard]] Result<std::vector<AuditRow>> read_audit(
    const Database& database, const AuditQuery& query);
[[nodiscard]] Result<AuditReport> verify_audit(const Database& database, std::string_view head);

/// What the configuration file stated when it was noted last, and the way to remember changes of
/// it within the caller's transaction. Errors: kIo.
[[nodiscard]] Result<StatedValues> stated_before(const Database& database);
[[nodiscard]] Status remember_stated(Database& database, std::span<const AuditEntry> changes);

}  // namespace entrepot::store
