#include "store/projections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "crypto/hash.h"

namespace entrepot::store {

namespace {

struct Table {
    std::string_view name;
    std::string_view key;
};
constexpr std::array kTables{Table{"meta", "name"}, Table{"names", "id"}, Table{"budgets", "id"},
    Table{"accounts", "id"}, Table{"balances", "side,key,team,project,org,cloud,contract"},
    Table{"attempts", "exchange,attempt"}, Table{"unverified", "exchange,attempt"},
    Table{"adjustments", "id"}, Table{"dimensions", "id"}, Table{"usage", "day,dimensions"},
    Table{"charges", "hour,dimensions,meter"}};
constexpr std::array<std::string_view, 10> kProjections{"names", "budgets", "accounts", "balances",
    "attempts", "unverified", "adjustments", "dimensions", "usage", "charges"};
constexpr std::array<std::string_view, 6> kMeta{
    "accounts_made", "clean_stop", "horizon_ns", "position", "schema_version", "sealed_until_ns"};
/// What has left the memory (horizon_ns) and how the owner stopped are no part of the books.
constexpr std::string_view kComparedMeta = "name IN('accounts_made','position','sealed_until_ns')";

std::int64_t charges_from(const Database& database) {
    Result<Statement> row =
        database.prepare("SELECT value FROM meta WHERE name='charges_from_hour'");
    if (!row) return INT64_MIN;
    const Result<bool> there = row->step();
    return there && *there ? row->number(0) : INT64_MIN;
}

/// The rows of a table in order. `hour` is the first of `charges` that counts.
Result<Statement> rows_of(const Database& database, const Table& table, std::int64_t hour) {
    std::string where;
    if (table.name == "meta") where = fmt::format(" WHERE {}", kComparedMeta);
    if (table.name == "charges") where = " WHERE hour>=?";
    ENTREPOT_TRY(Statement rows,
        database.prepare(
            fmt::format("SELECT * FROM {}{} ORDER BY {}", table.name, where, table.key)));
    if (table.name == "charges") rows.bind(hour);
    return rows;
}

void write_line(const Statement& row, std::string& line) {
    line.clear();
    for (int i = 0; i < row.columns(); ++i) {
        if (i != 0) line += '|';
        switch (row.kind(i)) {
            case Statement::Kind::kNumber: line += std::to_string(row.number(i)); break;
            case Statement::Kind::kBlob: line += "x'" + hex_encode(row.blob(i)) + '\''; break;
            case Statement::Kind::kText:
                line += '"';
                for (const char c : row.text(i)) {
                    if (c == '"' || c == '\\' || c == '|' || static_cast<unsigned char>(c) < ' ')
                        line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
                    else
                        line += c;
                }
                line += '"';
                break;
            case Statement::Kind::kNull: line += "null"; break;
        }
    }
}

const Table* find_table(std::string_view name) {
    const auto* const found = std::ranges::find(kTables, name, &Table::name);
    return found == kTables.end() ? nullptr : found;
}

}  // namespace

std::span<const std::string_view> projection_tables() { return kProjections; }
std::span<const std::string_view> projection_meta() { return kMeta; }

Result<std::uint64_t> position_of(const Database& database) {
    ENTREPOT_TRY(Statement made, database.prepare("SELECT 1 FROM sqlite_master WHERE name='meta'"));
    ENTREPOT_TRY(const bool is_made, made.step());
    if (!is_made) return 0;
    ENTREPOT_TRY(Statement row, database.prepare("SELECT value FROM meta WHERE name='position'"));
    ENTREPOT_TRY(const bool is_there, row.step());
    return is_there ? static_cast<std::uint64_t>(row.number(0)) : 0;
}

Status dump_table(const Database& database, std::string_view name,
    const std::function<Status(std::string_view)>& line) {
    const Table* const table = find_table(name);
    if (table == nullptr)
        return fail(ErrorCode::kInvalidField, fmt::format("'{}' is no table of the books", name));
    ENTREPOT_TRY(Statement rows, rows_of(database, *table, charges_from(database)));
    std::string text;
    for (;;) {
        ENTREPOT_TRY(const bool row, rows.step());
        if (!row) return {};
        write_line(rows, text);
        ENTREPOT_TRY_DO(line(text));
    }
}

Status dump_projections(
    const Database& database, const std::function<Status(std::string_view)>& line) {
    std::string text;
    for (const Table& table : kTables) {
        ENTREPOT_TRY_DO(dump_table(database, table.name, [&](std::string_view row) {
            text.assign(table.name).append(" ").append(row);
            return line(text);
        }));
    }
    return {};
}

Result<std::vector<TableDigest>> digest_projections(const Database& database) {
    std::vector<TableDigest> digests;
    for (const Table& table : kTables) {
        TableDigest& digest = digests.emplace_back();
        digest.table = table.name;
        crypto::Sha256Stream hash;
        ENTREPOT_TRY_DO(dump_table(database, table.name, [&](std::string_view line) -> Status {
            ++digest.rows;
            hash.add(line);
            hash.add("\n");
            return {};
        }));
        digest.sha256 = crypto::hex(hash.finish());
    }
    return digests;
}

Result<std::vector<std::string>> compare_projections(
    const NamedDatabase& left, const NamedDatabase& right) {
    std::vector<std::string> differences;
    const std::int64_t hour = std::max(charges_from(left.database), charges_from(right.database));
    for (const Table& table : kTables) {
        ENTREPOT_TRY(Statement lefts, rows_of(left.database, table, hour));
        ENTREPOT_TRY(Statement rights, rows_of(right.database, table, hour));
        std::string a, b;
        for (std::uint64_t number = 1;; ++number) {
            ENTREPOT_TRY(const bool has_left, lefts.step());
            ENTREPOT_TRY(const bool has_right, rights.step());
            if (!has_left && !has_right) break;
            a = b = "no more rows";
            if (has_left) write_line(lefts, a);
            if (has_right) write_line(rights, b);
            if (a == b) continue;
            differences.push_back(fmt::format("{}, row {}: {} has {}, {} has {}", table.name,
                number, left.name, a, right.name, b));
            break;
        }
    }
    return differences;
}

Status copy_other_tables(Database& to, const std::filesystem::path& from) {
    ENTREPOT_TRY(Statement attach, to.prepare("ATTACH ? AS old"));
    ENTREPOT_TRY_DO(attach.bind(std::string_view(from.native())).run());
    std::vector<std::pair<std::string, std::string>> tables;
    std::vector<std::string> others;
    {
        ENTREPOT_TRY(Statement all,
            to.prepare("SELECT type,name,tbl_name,sql FROM old.sqlite_master WHERE sql NOT NULL "
                       "AND name NOT LIKE 'sqlite_%' ORDER BY type='table' DESC,name"));
        for (;;) {
            ENTREPOT_TRY(const bool row, all.step());
            if (!row) break;
            const std::string_view table = all.text(2);
            if (table == "meta" || std::ranges::find(kProjections, table) != kProjections.end())
                continue;
            if (all.text(0) == "table")
                tables.emplace_back(all.text(1), all.text(3));
            else
                others.emplace_back(all.text(3));
        }
    }
    ENTREPOT_TRY_DO(to.execute("BEGIN IMMEDIATE"));
    const auto copy = [&]() -> Status {
        for (const auto& [name, sql] : tables) {
            ENTREPOT_TRY(
                Statement there, to.prepare("SELECT 1 FROM main.sqlite_master WHERE name=?"));
            there.bind(std::string_view(name));
            ENTREPOT_TRY(const bool is_there, there.step());
            there.reset();
            if (!is_there) ENTREPOT_TRY_DO(to.execute(sql.c_str()));
            ENTREPOT_TRY_DO(to.execute(
                fmt::format("INSERT OR REPLACE INTO main.\"{0}\" SELECT * FROM old.\"{0}\"", name)
                    .c_str()));
        }
        // After the rows: triggers keep some of these tables from being changed.
        for (const std::string& sql : others) {
            const Status made = to.execute(sql.c_str());
            if (!made && made.error().message.find("already exists") == std::string::npos)
                return made;
        }
        std::string meta =
            "INSERT OR REPLACE INTO main.meta SELECT * FROM old.meta WHERE name "
            "NOT IN('schema_version'";
        for (const std::string_view name : kMeta) meta += fmt::format(",'{}'", name);
        return to.execute((meta + ")").c_str());
    };
    Status copied = copy();
    if (copied) copied = to.execute("COMMIT");
    if (!copied) (void)to.execute("ROLLBACK");
    (void)to.execute("DETACH old");
    return copied;
}

Status copy_database(const Database& from, const std::filesystem::path& to) {
    ENTREPOT_TRY(Statement copy, from.prepare("VACUUM INTO ?"));
    return copy.bind(std::string_view(to.native())).run();
}

Status copy_projections(const Database& from, const std::filesystem::path& to) {
    ENTREPOT_TRY_DO(copy_database(from, to));
    ENTREPOT_TRY(Database copy, Database::open(to, Database::Mode::kReadWrite));
    std::vector<std::string> others;
    {
        ENTREPOT_TRY(Statement all,
            copy.prepare("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE "
                         "'sqlite_%' AND name<>'meta'"));
        for (;;) {
            ENTREPOT_TRY(const bool row, all.step());
            if (!row) break;
            if (std::ranges::find(kProjections, all.text(0)) == kProjections.end())
                others.emplace_back(all.text(0));
        }
    }
    for (const std::string& table : others)
        ENTREPOT_TRY_DO(copy.execute(fmt::format("DROP TABLE \"{}\"", table).c_str()));
    ENTREPOT_TRY_DO(copy.execute("PRAGMA wal_checkpoint(TRUNCATE)"));
    return copy.execute("PRAGMA journal_mode=DELETE");
}

}  // namespace entrepot::store
