#include "store/settings.h"

#include <fmt/format.h>

#include "store/sqlite.h"

namespace entrepot::store {

struct SettingsStore::Impl {
    Database database;
};

SettingsStore::SettingsStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SettingsStore::~SettingsStore() = default;

Result<std::unique_ptr<SettingsStore>> SettingsStore::open(const std::filesystem::path& data) {
    std::error_code error;
    if (std::filesystem::create_directories(data, error)) {
        std::filesystem::permissions(data, std::filesystem::perms::owner_all, error);
    }
    if (error)
        return fail(
            ErrorCode::kIo, fmt::format("cannot make {}: {}", data.string(), error.message()));
    ENTREPOT_TRY(
        Database database, Database::open(database_path(data), Database::Mode::kReadWrite));
    // A key that was shown once must still be there after a power cut.
    ENTREPOT_TRY_DO(database.execute("PRAGMA synchronous=FULL"));
    ENTREPOT_TRY_DO(make_schema(database));
    ENTREPOT_TRY_DO(make_audit_schema(database));
    return std::unique_ptr<SettingsStore>(
        new SettingsStore(std::make_unique<Impl>(std::move(database))));
}

namespace {

Setting read_setting(const Statement& row) {
    return {std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2)),
        Instant{row.number(3)}};
}

/// Runs `work` as one transaction.
template <typename Work>
Status transact(Database& database, const Work& work) {
    ENTREPOT_TRY_DO(database.execute("BEGIN IMMEDIATE"));
    Status done = work();
    if (done) done = database.execute("COMMIT");
    if (!done) (void)database.execute("ROLLBACK");
    return done;
}

Status count_change(Database& database) {
    return database.execute("UPDATE meta SET value=value+1 WHERE name='settings_revision'");
}

/// Runs one change, counts it and notes it in the audit log: all of it or nothing.
Result<bool> change(Database& database, Statement& statement, std::span<const AuditEntry> audit) {
    bool changed = false;
    const auto work = [&]() -> Status {
        ENTREPOT_TRY_DO(statement.run());
        changed = database.changes() > 0;
        if (!changed) return {};
        ENTREPOT_TRY_DO(count_change(database));
        return append_audit(database, audit);
    };
    ENTREPOT_TRY_DO(transact(database, work));
    return changed;
}

}  // namespace

Result<std::vector<Setting>> SettingsStore::list(std::string_view kind) const {
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare(
            "SELECT kind,name,json,updated_ns FROM settings WHERE kind=? ORDER BY name"));
    query.bind(kind);
    std::vector<Setting> all;
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return all;
        all.push_back(read_setting(query));
    }
}

Result<std::optional<Setting>> SettingsStore::get(
    std::string_view kind, std::string_view name) const {
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare(
            "SELECT kind,name,json,updated_ns FROM settings WHERE kind=? AND name=?"));
    query.bind(kind).bind(name);
    ENTREPOT_TRY(const bool row, query.step());
    if (!row) return std::optional<Setting>();
    return std::optional<Setting>(read_setting(query));
}

Status SettingsStore::put(const Setting& setting, std::span<const AuditEntry> audit) {
    return put_all({&setting, 1}, audit);
}

Status SettingsStore::put_all(
    std::span<const Setting> settings, std::span<const AuditEntry> audit) {
    ENTREPOT_TRY(Statement insert,
        impl_->database.prepare("INSERT OR REPLACE INTO settings VALUES(?,?,?,?)"));
    return transact(impl_->database, [&]() -> Status {
        for (const Setting& setting : settings) {
            insert.bind(std::string_view(setting.kind)).bind(std::string_view(setting.name));
            insert.bind(std::string_view(setting.json)).bind(setting.updated.ns);
            ENTREPOT_TRY_DO(insert.run());
        }
        ENTREPOT_TRY_DO(count_change(impl_->database));
        return append_audit(impl_->database, audit);
    });
}

Result<bool> SettingsStore::remove(
    std::string_view kind, std::string_view name, std::span<const AuditEntry> audit) {
    ENTREPOT_TRY(
        Statement remove, impl_->database.prepare("DELETE FROM settings WHERE kind=? AND name=?"));
    remove.bind(kind).bind(name);
    return change(impl_->database, remove, audit);
}

Result<std::uint64_t> SettingsStore::revision() const {
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare("SELECT value FROM meta WHERE name='settings_revision'"));
    ENTREPOT_TRY_DO(query.step());
    return static_cast<std::uint64_t>(query.number(0));
}

Result<std::size_t> SettingsStore::note_file(const StatedValues& values, const AuditBy& by) {
    std::size_t count = 0;
    const auto work = [&]() -> Status {
        ENTREPOT_TRY(const StatedValues before, stated_before(impl_->database));
        const std::vector<AuditEntry> changes = changes_between(before, values, by);
        count = changes.size();
        ENTREPOT_TRY_DO(append_audit(impl_->database, changes));
        return remember_stated(impl_->database, changes);
    };
    ENTREPOT_TRY_DO(transact(impl_->database, work));
    return count;
}

Result<std::vector<AuditRow>> SettingsStore::audit(const AuditQuery& query) const {
    return read_audit(impl_->database, query);
}

Result<AuditReport> SettingsStore::verify_audit(std::string_view head) const {
    return entrepot::store::verify_audit(impl_->database, head);
}

}  // namespace entrepot::store
