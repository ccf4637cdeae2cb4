#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "store/audit_log.h"

namespace entrepot::store {

/// One entry made by CLI or API: a JSON text under a kind (`key`, `team`, ...) and a name.
struct Setting {
    std::string kind;
    std::string name;
    std::string json;
    Instant updated;
};

/// Settings that live in the store rather than in the configuration file, in the same SQLite file
/// as the books. Its own connection: may be open beside the books, in this process or another.
/// Thread rule: one thread at a time.
class SettingsStore {
public:
    /// Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<SettingsStore>> open(
        const std::filesystem::path& data);
    ~SettingsStore();
    SettingsStore(const SettingsStore&) = delete;
    SettingsStore& operator=(const SettingsStore&) = delete;

    /// All of a kind, sorted by name. Errors: kIo.
    [[nodiscard]] Result<std::vector<Setting>> list(std::string_view kind) const;
    [[nodiscard]] Result<std::optional<Setting>> get(
        std::string_view kind, std::string_view name) const;
    /// Inserts or replaces, and writes `audit` into the audit log, both or neither. Durable when it
    /// returns. Errors: kIo.
    [[nodiscard]] Status put(const Setting& setting, std::span<const AuditEntry> audit = {});
    /// Several at once, all or none. Errors: kIo.
    [[nodiscard]] Status put_all(
        std::span<const Setting> settings, std::span<const AuditEntry> audit = {});
    /// Whether there was one; `audit` as above. Errors: kIo.
    [[nodiscard]] Result<bool> remove(
        std::string_view kind, std::string_view name, std::span<const AuditEntry> audit = {});
    /// Grows with every change by whichever process: cheap to poll for reload. Errors: kIo.
    [[nodiscard]] Result<std::uint64_t> revision() const;

    // ---- the audit log ----

    /// The configuration file now states `values`: what differs from what it stated when this was
    /// called last, in whichever process, goes into the audit log. The number of changes.
    /// Errors: kIo; then nothing is noted.
    [[nodiscard]] Result<std::size_t> note_file(const StatedValues& values, const AuditBy& by);
    /// Errors: kIo.
    [[nodiscard]] Result<std::vector<AuditRow>> audit(const AuditQuery& query) const;
    /// Reads the whole chain again; `head`, when not empty, is the hash of a row that was seen
    /// before and must still be in it. Errors: kIo.
    [[nodiscard]] Result<AuditReport> verify_audit(std::string_view head = {}) const;

private:
    struct Impl;
    explicit SettingsStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::store
