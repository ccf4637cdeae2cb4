#include "store/audit_log.h"

#include <fmt/format.h>

#include "crypto/hash.h"
#include "store/sqlite.h"

namespace entrepot::store {
namespace {

constexpr std::size_t kDifferencesMax = 20;
constexpr const char* kSchema = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS audit(number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL,
    actor TEXT NOT NULL, cause TEXT NOT NULL, path TEXT NOT NULL, was TEXT, became TEXT,
    hash TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS audit_keeps_rows BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER IF NOT EXISTS audit_keeps_words BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TABLE IF NOT EXISTS stated(path TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
COMMIT;
)sql";

const std::string kNoHash(64, '0');

void add_part(std::string& out, std::string_view text) {
    out += fmt::format("{}:{},", text.size(), text);
}

void add_maybe(std::string& out, const std::optional<std::string>& text) {
    if (text)
        add_part(out, *text);
    else
        out += "-,";
}

std::string hash_of(std::string_view before, std::uint64_t number, const AuditEntry& entry) {
    std::string parts;
    add_part(parts, before);
    add_part(parts, std::to_string(number));
    add_part(parts, std::to_string(entry.by.at.ns));
    add_part(parts, entry.by.actor);
    add_part(parts, entry.by.cause);
    add_part(parts, entry.path);
    add_maybe(parts, entry.from);
    add_maybe(parts, entry.to);
    return crypto::hex(crypto::sha256(parts));
}

struct Head {
    std::uint64_t number = 0;
    std::string hash = kNoHash;
};

Result<Head> head_of(const Database& database) {
    ENTREPOT_TRY(Statement query,
        database.prepare("SELECT number,hash FROM audit ORDER BY number DESC LIMIT 1"));
    ENTREPOT_TRY(const bool row, query.step());
    if (!row) return Head{};
    return Head{static_cast<std::uint64_t>(query.number(0)), std::string(query.text(1))};
}

constexpr std::string_view kColumns =
    "number,at_ns,actor,cause,path,was IS NULL,was,became IS NULL,became,hash";

AuditRow read_row(const Statement& row) {
    const auto maybe = [&](int column) {
        return row.number(column) != 0 ? std::nullopt
                                       : std::optional(std::string(row.text(column + 1)));
    };
    AuditRow read;
    read.number = static_cast<std::uint64_t>(row.number(0));
    read.entry.by = {{row.number(1)}, std::string(row.text(2)), std::string(row.text(3))};
    read.entry.path = row.text(4);
    read.entry.from = maybe(5);
    read.entry.to = maybe(7);
    read.hash = row.text(9);
    return read;
}

}  // namespace

std::vector<AuditEntry> changes_between(
    const StatedValues& before, const StatedValues& after, const AuditBy& by) {
    std::vector<AuditEntry> changes;
    auto was = before.begin();
    auto is = after.begin();
    while (was != before.end() || is != after.end()) {
        if (is == after.end() || (was != before.end() && was->first < is->first)) {
            changes.push_back({by, was->first, was->second, std::nullopt});
            ++was;
        } else if (was == before.end() || is->first < was->first) {
            changes.push_back({by, is->first, std::nullopt, is->second});
            ++is;
        } else {
            if (was->second != is->second)
                changes.push_back({by, is->first, was->second, is->second});
            ++was;
            ++is;
        }
    }
    return changes;
}

Status make_audit_schema(Database& database) { return database.execute(kSchema); }

Status append_audit(Database& database, std::span<const AuditEntry> entries) {
    if (entries.empty()) return {};
    ENTREPOT_TRY(Head head, head_of(database));
    // NULL where nothing is: the text and whether it counts are bound beside each other.
    ENTREPOT_TRY(Statement insert,
        database.prepare("INSERT INTO audit VALUES(?,?,?,?,?,iif(?,?,NULL),iif(?,?,NULL),?)"));
    for (const AuditEntry& entry : entries) {
        ++head.number;
        head.hash = hash_of(head.hash, head.number, entry);
        insert.bind(head.number).bind(entry.by.at.ns).bind(std::string_view(entry.by.actor));
        insert.bind(std::string_view(entry.by.cause)).bind(std::string_view(entry.path));
        for (const std::optional<std::string>& value : {entry.from, entry.to})
            insert.bind(value ? 1 : 0).bind(std::string_view(value ? *value : std::string()));
        ENTREPOT_TRY_DO(insert.bind(std::string_view(head.hash)).run());
    }
    ENTREPOT_TRY(Statement count, database.prepare("INSERT OR REPLACE INTO meta VALUES(?,?)"));
    return count.bind(std::string_view("audit_rows")).bind(head.number).run();
}

Result<std::vector<AuditRow>> read_audit(const Database& database, const AuditQuery& query) {
    ENTREPOT_TRY(Statement select,
        database.prepare(
            fmt::format("SELECT {} FROM audit WHERE number>? AND at_ns>=? AND at_ns<? ORDER BY "
                        "number LIMIT ?",
                kColumns)));
    select.bind(query.after)
        .bind(query.since ? query.since->ns : INT64_MIN)
        .bind(query.until ? query.until->ns : INT64_MAX)
        .bind(static_cast<std::uint64_t>(query.rows_max));
    std::vector<AuditRow> rows;
    for (;;) {
        ENTREPOT_TRY(const bool row, select.step());
        if (!row) return rows;
        rows.push_back(read_row(select));
    }
}

Result<AuditReport> verify_audit(const Database& database, std::string_view head) {
    AuditReport report;
    report.head = kNoHash;
    const auto differs = [&](std::string what) {
        if (report.differences.size() < kDifferencesMax)
            report.differences.push_back(std::move(what));
    };
    bool is_head_there = head.empty() || head == kNoHash;
    ENTREPOT_TRY(Statement select,
        database.prepare(fmt::format("SELECT {} FROM audit ORDER BY number", kColumns)));
    for (;;) {
        ENTREPOT_TRY(const bool has_row, select.step());
        if (!has_row) break;
        const AuditRow row = read_row(select);
        ++report.rows;
        if (row.number != report.rows) {
            differs(fmt::format(
                "the audit log's row {} is number {}: rows are missing", report.rows, row.number));
            report.rows = row.number;
        }
        const std::string expected = hash_of(report.head, row.number, row.entry);
        if (row.hash != expected)
            differs(
                fmt::format("row {} of the audit log ({}) has the hash {}, what it says gives "
                            "{}: it, or the row before it, was changed",
                    row.number, row.entry.path, row.hash, expected));
        report.head = row.hash;
        is_head_there = is_head_there || row.hash == head;
    }
    ENTREPOT_TRY(
        Statement meta, database.prepare("SELECT value FROM meta WHERE name='audit_rows'"));
    ENTREPOT_TRY(const bool is_counted, meta.step());
    const auto counted = is_counted ? static_cast<std::uint64_t>(meta.number(0)) : 0;
    if (counted != report.rows)
        differs(fmt::format("the audit log ends at row {}, {} were written: its end was cut off",
            report.rows, counted));
    if (!is_head_there)
        differs(
            fmt::format("no row of the audit log has the hash {}: it was cut off or written "
                        "anew",
                head));
    return report;
}

Result<StatedValues> stated_before(const Database& database) {
    ENTREPOT_TRY(Statement query, database.prepare("SELECT path,value FROM stated ORDER BY path"));
    StatedValues values;
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return values;
        values.emplace_back(query.text(0), query.text(1));
    }
}

Status remember_stated(Database& database, std::span<const AuditEntry> changes) {
    ENTREPOT_TRY(Statement put, database.prepare("INSERT OR REPLACE INTO stated VALUES(?,?)"));
    ENTREPOT_TRY(Statement remove, database.prepare("DELETE FROM stated WHERE path=?"));
    for (const AuditEntry& change : changes) {
        const std::string_view path = change.path;
        if (change.to)
            ENTREPOT_TRY_DO(put.bind(path).bind(std::string_view(*change.to)).run());
        else
            ENTREPOT_TRY_DO(remove.bind(path).run());
    }
    return {};
}

}  // namespace entrepot::store
