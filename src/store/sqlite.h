#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/money.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace entrepot::store {

/// One prepared statement. Bind in order, then step; `reset` to use it again.
class Statement {
public:
    explicit Statement(sqlite3_stmt* raw) : raw_(raw) {}
    ~Statement();
    Statement(Statement&& other) noexcept
        : raw_(std::exchange(other.raw_, nullptr)), bound_(other.bound_) {}
    Statement& operator=(Statement&&) = delete;

    Statement& bind(std::int64_t value);
    Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
    Statement& bind(std::uint32_t value) { return bind(static_cast<std::int64_t>(value)); }
    Statement& bind(std::int32_t value) { return bind(static_cast<std::int64_t>(value)); }
    Statement& bind(std::string_view text);
    Statement& bind_blob(std::string_view bytes);
    /// As a decimal text of pico-units: SQLite's integers are too short.
    Statement& bind(Money amount);
    /// True with a row, false at the end. Errors: kIo.
    [[nodiscard]] Result<bool> step();
    /// Steps to the end and resets. Errors: kIo.
    [[nodiscard]] Status run();
    void reset();

    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] std::string_view text(int column) const;
    [[nodiscard]] std::string_view blob(int column) const;
    [[nodiscard]] Result<Money> money(int column) const;
    [[nodiscard]] int columns() const;
    enum class Kind : std::uint8_t { kNull, kNumber, kText, kBlob };
    /// Of what stands in the row.
    [[nodiscard]] Kind kind(int column) const;

private:
    sqlite3_stmt* raw_;
    int bound_ = 0;
};

/// One connection. Thread rule: one thread at a time.
class Database {
public:
    enum class Mode : std::uint8_t { kReadWrite, kReadOnly };
    /// Opens or makes the file in WAL mode, its pages with checksums (checked_vfs.h); waits up to
    /// five seconds for another writer. Errors: kIo.
    [[nodiscard]] static Result<Database> open(const std::filesystem::path& path, Mode mode);
    ~Database();
    Database(Database&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Database& operator=(Database&&) = delete;

    [[nodiscard]] Status execute(const char* sql);
    [[nodiscard]] Result<Statement> prepare(std::string_view sql) const;
    /// Reads every page. Errors: kIo, naming the first that does not check or does not fit.
    [[nodiscard]] Status check() const;
    [[nodiscard]] std::int64_t changes() const;

private:
    explicit Database(sqlite3* raw) : raw_(raw) {}
    sqlite3* raw_;
};

/// Makes the tables of books and settings when they are not there. Errors: kIo, also for a file of
/// a later version.
[[nodiscard]] Status make_schema(Database& database);
[[nodiscard]] std::filesystem::path database_path(const std::filesystem::path& data);

}  // namespace entrepot::store
