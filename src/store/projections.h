#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/sqlite.h"

namespace entrepot::store {

/// The tables of books.db that follow from the journal alone, in one order. Whatever else is in the
/// file (settings, the audit log, notices) does not.
[[nodiscard]] std::span<const std::string_view> projection_tables();
/// Rows of `meta` that belong to the projections.
[[nodiscard]] std::span<const std::string_view> projection_meta();

/// The journal's position at which a database stands; 0 of one that was just being made. Errors:
/// kIo.
[[nodiscard]] Result<std::uint64_t> position_of(const Database& database);

/// What one table comes to, in one form whichever file it stands in.
struct TableDigest {
    std::string table;
    std::uint64_t rows = 0;
    std::string sha256;
    friend bool operator==(const TableDigest&, const TableDigest&) = default;
};

/// Each row of a projection in the order of its key, as `column|column|...`. Hours before those
/// that are kept (`charges_from_hour` in meta) are left out of `charges`. Errors: kIo, and those of
/// `line`.
[[nodiscard]] Status dump_table(const Database& database, std::string_view table,
    const std::function<Status(std::string_view line)>& line);
/// Every projection, each row after the name of its table and a space. Errors: as of dump_table.
[[nodiscard]] Status dump_projections(
    const Database& database, const std::function<Status(std::string_view line)>& line);
/// Of every projection. Errors: kIo.
[[nodiscard]] Result<std::vector<TableDigest>> digest_projections(const Database& database);
/// The first row that is not the same in both, table by table, as a sentence; empty when they are
/// equal. `left` and `right` are what the sentence calls them. Errors: kIo.
struct NamedDatabase {
    std::string_view name;
    const Database& database;
};
[[nodiscard]] Result<std::vector<std::string>> compare_projections(
    const NamedDatabase& left, const NamedDatabase& right);

/// Copies what is no projection from the database at `from` (named in `to` by ATTACH). Errors: kIo.
[[nodiscard]] Status copy_other_tables(Database& to, const std::filesystem::path& from);

/// The whole of `from`, as one of its states, into a new file. `from` may be written meanwhile.
/// Errors: kIo.
[[nodiscard]] Status copy_database(const Database& from, const std::filesystem::path& to);

/// As copy_database, without the rows of any other table. Errors: kIo.
[[nodiscard]] Status copy_projections(const Database& from, const std::filesystem::path& to);

}  // namespace entrepot::store
