#include "store/sqlite.h"

#include <fmt/format.h>

#include <sqlite3.h>
#include <optional>

#include <charconv>

#include "store/checked_vfs.h"

namespace entrepot::store {

namespace {

constexpr int kBusyMs = 5'000;
constexpr std::int64_t kSchemaVersion = 3;

std::unexpected<Error> damaged(std::string_view what) {
    return fail(ErrorCode::kIo,
        fmt::format(
            "{}. Stop the gateway and run 'entrepot ledger rebuild', or restore a backup", what));
}

std::unexpected<Error> failed(sqlite3* raw, std::string_view what) {
    if (sqlite3_extended_errcode(raw) == SQLITE_IOERR_DATA) return damaged(take_damage());
    return fail(ErrorCode::kIo,
        fmt::format(
            "books.db: {}: {} ({})", what, sqlite3_errmsg(raw), sqlite3_extended_errcode(raw)));
}

constexpr const char* kSchema = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names(id INTEGER PRIMARY KEY, name TEXT NOT NULL,
    scope INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS names_name ON names(name);
CREATE TABLE IF NOT EXISTS budgets(id INTEGER PRIMARY KEY, owner_kind INTEGER NOT NULL,
    owner INTEGER NOT NULL, period INTEGER NOT NULL, zone INTEGER NOT NULL,
    limit_pico TEXT NOT NULL, active INTEGER NOT NULL,
    raise_pico TEXT NOT NULL, raise_until_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS accounts(id INTEGER PRIMARY KEY, budget INTEGER NOT NULL,
    end_user INTEGER NOT NULL, begin_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
    limit_max_pico TEXT NOT NULL, held_pico TEXT NOT NULL, settled_pico TEXT NOT NULL,
    overdraft_pico TEXT NOT NULL, adjusted_pico TEXT NOT NULL, adjusted_up_pico TEXT NOT NULL,
    open INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS accounts_end ON accounts(end_ns);
CREATE INDEX IF NOT EXISTS accounts_period ON accounts(budget, end_user, begin_ns);
CREATE TABLE IF NOT EXISTS balances(side INTEGER NOT NULL, key INTEGER NOT NULL,
    team INTEGER NOT NULL, project INTEGER NOT NULL, org INTEGER NOT NULL, cloud INTEGER NOT NULL,
    contract INTEGER NOT NULL, amount_pico TEXT NOT NULL,
    PRIMARY KEY(side, key, team, project, org, cloud, contract)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts(exchange BLOB NOT NULL, attempt INTEGER NOT NULL,
    state BLOB NOT NULL, PRIMARY KEY(exchange, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unverified(exchange BLOB NOT NULL, attempt INTEGER NOT NULL,
    hold BLOB NOT NULL, amount_pico TEXT NOT NULL, resolved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(exchange, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency(key BLOB PRIMARY KEY, request BLOB NOT NULL,
    exchange BLOB NOT NULL, client_key INTEGER NOT NULL, claimed_ns INTEGER NOT NULL,
    open INTEGER NOT NULL, status INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS adjustments(id BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dimensions(id INTEGER PRIMARY KEY, org INTEGER NOT NULL,
    team INTEGER NOT NULL, project INTEGER NOT NULL, key INTEGER NOT NULL,
    end_user INTEGER NOT NULL, tags INTEGER NOT NULL, model INTEGER NOT NULL,
    offer INTEGER NOT NULL, cloud INTEGER NOT NULL, contract INTEGER NOT NULL,
    rate_version INTEGER NOT NULL, tier INTEGER NOT NULL, ctx_over INTEGER NOT NULL,
    UNIQUE(org, team, project, key, end_user, tags, model, offer, cloud, contract, rate_version,
    tier, ctx_over));
CREATE TABLE IF NOT EXISTS usage(day INTEGER NOT NULL, dimensions INTEGER NOT NULL,
    exchanges INTEGER NOT NULL, attempts INTEGER NOT NULL, released INTEGER NOT NULL,
    estimated INTEGER NOT NULL, unverified INTEGER NOT NULL, unpriced INTEGER NOT NULL,
    cost_units INTEGER NOT NULL, cost_pico INTEGER NOT NULL, list_units INTEGER NOT NULL,
    list_pico INTEGER NOT NULL,
    estimated_units INTEGER NOT NULL, estimated_pico INTEGER NOT NULL,
    unverified_units INTEGER NOT NULL, unverified_pico INTEGER NOT NULL,
    overdraft_units INTEGER NOT NULL, overdraft_pico INTEGER NOT NULL,
    adjusted_units INTEGER NOT NULL, adjusted_pico INTEGER NOT NULL,
    m0 INTEGER NOT NULL, m1 INTEGER NOT NULL, m2 INTEGER NOT NULL, m3 INTEGER NOT NULL,
    m4 INTEGER NOT NULL, m5 INTEGER NOT NULL, m6 INTEGER NOT NULL, m7 INTEGER NOT NULL,
    m8 INTEGER NOT NULL, m9 INTEGER NOT NULL, m10 INTEGER NOT NULL, m11 INTEGER NOT NULL,
    m12 INTEGER NOT NULL, m13 INTEGER NOT NULL, m14 INTEGER NOT NULL, m15 INTEGER NOT NULL,
    m16 INTEGER NOT NULL, PRIMARY KEY(day, dimensions)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charges(hour INTEGER NOT NULL, dimensions INTEGER NOT NULL,
    meter INTEGER NOT NULL, quantity INTEGER NOT NULL, cost_units INTEGER NOT NULL,
    cost_pico INTEGER NOT NULL, list_units INTEGER NOT NULL, list_pico INTEGER NOT NULL,
    PRIMARY KEY(hour, dimensions, meter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings(kind TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL,
    updated_ns INTEGER NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES('schema_version', 3);
INSERT OR IGNORE INTO meta VALUES('settings_revision', 0);
COMMIT;
)sql";

}  // namespace

Statement::~Statement() { sqlite3_finalize(raw_); }

// A failed bind leaves NULL, which every column refuses when the statement runs.
Statement& Statement::bind(std::int64_t value) {
    sqlite3_bind_int64(raw_, ++bound_, value);
    return *this;
}
Statement& Statement::bind(std::string_view text) {
    sqlite3_bind_text64(raw_, ++bound_, text.empty() ? "" : text.data(), text.size(),
        SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
}
Statement& Statement::bind_blob(std::string_view bytes) {
    sqlite3_bind_blob64(
        raw_, ++bound_, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_TRANSIENT);
    return *this;
}
Statement& Statement::bind(Money amount) {
    return bind(std::string_view(to_string(amount.pico())));
}

Result<bool> Statement::step() {
    const int code = sqlite3_step(raw_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    auto error = failed(sqlite3_db_handle(raw_), sqlite3_sql(raw_));
    reset();
    return error;
}

Status Statement::run() {
    for (;;) {
        ENTREPOT_TRY(const bool row, step());
        if (!row) break;
    }
    reset();
    return {};
}

void Statement::reset() {
    sqlite3_reset(raw_);
    sqlite3_clear_bindings(raw_);
    bound_ = 0;
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(raw_, column); }

std::string_view Statement::text(int column) const {
    const void* const at = sqlite3_column_text(raw_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(raw_, column));
    return at == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(at), size);
}

std::string_view Statement::blob(int column) const {
    const void* const at = sqlite3_column_blob(raw_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(raw_, column));
    return at == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(at), size);
}

Result<Money> Statement::money(int column) const {
    const std::string_view all = text(column);
    std::string_view digits = all;
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    constexpr std::size_t kDigitsMax = 38;  // below 2^127
    Int128 pico = 0;
    bool good = !digits.empty() && digits.size() <= kDigitsMax;
    for (const char digit : digits) {
        good = good && digit >= '0' && digit <= '9';
        if (good) pico = pico * 10 + (digit - '0');
    }
    if (!good) return fail(ErrorCode::kIo, fmt::format("books.db: '{}' is not an amount", all));
    return Money::from_pico(negative ? -pico : pico);
}

int Statement::columns() const { return sqlite3_column_count(raw_); }

Statement::Kind Statement::kind(int column) const {
    switch (sqlite3_column_type(raw_, column)) {
        case SQLITE_INTEGER: return Kind::kNumber;
        case SQLITE_BLOB: return Kind::kBlob;
        case SQLITE_NULL: return Kind::kNull;
        default: return Kind::kText;
    }
}

Result<Database> Database::open(const std::filesystem::path& path, Mode mode) {
    const int flags = (mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY
                                               : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    sqlite3* raw = nullptr;
    register_checked_vfs();
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, kCheckedVfs);
    Database database(raw);
    if (code != SQLITE_OK) {
        return fail(
            ErrorCode::kIo, fmt::format("cannot open {}: {}", path.string(), sqlite3_errstr(code)));
    }
    sqlite3_busy_timeout(raw, kBusyMs);
    if (mode == Mode::kReadWrite) {
        // Of a file that is there already it changes nothing.
        int reserve = kPageCheckBytes;
        sqlite3_file_control(raw, nullptr, SQLITE_FCNTL_RESERVE_BYTES, &reserve);
        ENTREPOT_TRY_DO(database.execute("PRAGMA journal_mode=WAL"));
        // In WAL mode NORMAL may lose the last commits to a power cut, never the file; the journal
        // has them.
        ENTREPOT_TRY_DO(database.execute("PRAGMA synchronous=NORMAL"));
    }
    return database;
}

Database::~Database() { sqlite3_close_v2(raw_); }

Status Database::execute(const char* sql) {
    if (sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    auto error = failed(raw_, "execute");
    if (sqlite3_get_autocommit(raw_) == 0)
        sqlite3_exec(raw_, "ROLLBACK", nullptr, nullptr, nullptr);
    return error;
}

Result<Statement> Database::prepare(std::string_view sql) const {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(raw_, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
        SQLITE_OK) {
        return failed(raw_, sql);
    }
    return Statement(raw);
}

Status Database::check() const {
    (void)take_damage();
    ENTREPOT_TRY(Statement rows, prepare("PRAGMA integrity_check(1)"));
    ENTREPOT_TRY(const bool row, rows.step());
    if (row && rows.text(0) == "ok") return {};
    const std::string damage = take_damage();
    if (!damage.empty()) return damaged(damage);
    return damaged(fmt::format(
        "{}: {}", sqlite3_db_filename(raw_, "main"), row ? rows.text(0) : "it cannot be checked"));
}

std::int64_t Database::changes() const { return sqlite3_changes64(raw_); }

namespace {

/// Of the tables that are there; nothing in a new file. No statement stays open: whoever begins to
/// write in the midst of a read is refused when another has written since.
Result<std::optional<std::int64_t>> stored_version(const Database& database) {
    ENTREPOT_TRY(Statement there,
        database.prepare("SELECT 1 FROM sqlite_master WHERE type='table' AND name='meta'"));
    ENTREPOT_TRY(const bool is_there, there.step());
    if (!is_there) return std::nullopt;
    ENTREPOT_TRY(
        Statement version, database.prepare("SELECT value FROM meta WHERE name='schema_version'"));
    ENTREPOT_TRY(const bool row, version.step());
    return row ? std::optional<std::int64_t>(version.number(0)) : std::nullopt;
}

}  // namespace

Status make_schema(Database& database) {
    ENTREPOT_TRY(const std::optional<std::int64_t> version, stored_version(database));
    if (version && *version != kSchemaVersion) {
        return fail(ErrorCode::kIo,
            fmt::format("books.db has format {}, this program reads {}: use the program that wrote "
                        "it, or begin with another `data` folder",
                *version, kSchemaVersion));
    }
    return database.execute(kSchema);
}

std::filesystem::path database_path(const std::filesystem::path& data) { return data / "books.db"; }

}  // namespace entrepot::store
