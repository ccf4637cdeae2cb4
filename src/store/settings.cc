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
    return std::unique_ptr<SettingsStore>(
        new SettingsStore(std::make_unique<Impl>(std::move(database))));
}

namespace {

Setting read_setting(const Statement& row) {
    return {std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2)),
        Instant{row.number(3)}};
}

/// Runs one change and counts it, both or neither.
Result<bool> change(Database& database, Statement& statement) {
    ENTREPOT_TRY_DO(database.execute("BEGIN IMMEDIATE"));
    Status done = statement.run();
    const bool changed = done && database.changes() > 0;
    if (changed)
        done = database.execute("UPDATE meta SET value=value+1 WHERE name='settings_revision'");
    if (done) done = database.execute("COMMIT");
    if (done) return changed;
    (void)database.execute("ROLLBACK");
    return std::unexpected(done.error());
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

Status SettingsStore::put(const Setting& setting) {
    ENTREPOT_TRY(Statement insert,
        impl_->database.prepare("INSERT OR REPLACE INTO settings VALUES(?,?,?,?)"));
    insert.bind(std::string_view(setting.kind)).bind(std::string_view(setting.name));
    insert.bind(std::string_view(setting.json)).bind(setting.updated.ns);
    ENTREPOT_TRY_DO(change(impl_->database, insert));
    return {};
}

Result<bool> SettingsStore::remove(std::string_view kind, std::string_view name) {
    ENTREPOT_TRY(
        Statement remove, impl_->database.prepare("DELETE FROM settings WHERE kind=? AND name=?"));
    remove.bind(kind).bind(name);
    return change(impl_->database, remove);
}

Result<std::uint64_t> SettingsStore::revision() const {
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare("SELECT value FROM meta WHERE name='settings_revision'"));
    ENTREPOT_TRY_DO(query.step());
    return static_cast<std::uint64_t>(query.number(0));
}

}  // namespace entrepot::store
