#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "ledger/state.h"
#include "store/file_ops.h"
#include "store/sqlite.h"
#include "store/usage_query.h"

namespace entrepot::store {

/// What a checkpoint stands at: everything before `position` of the journal is in it.
struct Checkpoint {
    ledger::Changes changes;
    std::uint64_t position = 0;
    bool clean_stop = false;  ///< written by an owner that ended in order, with nothing open
};

/// The books' tables. Thread rule: one thread at a time.
class BooksDb {
public:
    /// Errors: kIo.
    [[nodiscard]] static Result<BooksDb> open(const std::filesystem::path& data, FileOps* files);

    /// Books at another place than a data folder's. Errors: kIo.
    [[nodiscard]] static Result<BooksDb> open_file(
        const std::filesystem::path& file, FileOps* files);
    /// To look only; sees every checkpoint as a whole and waits for none. Errors: kIo.
    [[nodiscard]] static Result<BooksDb> open_to_read(const std::filesystem::path& data);

    /// The last checkpoint, whole; empty for new books. Errors: kIo.
    [[nodiscard]] Result<Checkpoint> load();
    /// Adds one, in one transaction: all of it or nothing. Errors: kIo.
    [[nodiscard]] Status write(const Checkpoint& checkpoint);
    /// Errors: kIo.
    [[nodiscard]] Result<UsageTable> usage(const UsageQuery& query) const;
    struct UnverifiedRow {
        ledger::HoldRecord hold;
        Money amount;
    };
    [[nodiscard]] Result<std::vector<UnverifiedRow>> unverified() const;
    /// All accounts that ever were, by id.
    [[nodiscard]] Result<std::vector<ledger::Account>> accounts() const;
    [[nodiscard]] Result<std::optional<ledger::Account>> account(
        std::uint32_t budget, ledger::NameId end_user, Instant begin) const;
    [[nodiscard]] Result<std::optional<ledger::Account>> account(ledger::AccountId id) const;

    [[nodiscard]] const Database& database() const { return database_; }
    [[nodiscard]] Database& database() { return database_; }

private:
    BooksDb(Database database, FileOps* files) : database_(std::move(database)), files_(files) {}
    [[nodiscard]] Status write_rows(const Checkpoint& checkpoint);
    [[nodiscard]] Status write_usage(const ledger::Changes& rows);
    [[nodiscard]] Status write_adjustments(const ledger::Changes& rows);
    [[nodiscard]] Status write_idempotency(const ledger::Changes& rows);
    [[nodiscard]] Result<std::vector<ledger::IdempotencyEntry>> idempotency() const;
    [[nodiscard]] Status step(Step step) const;
    Database database_;
    FileOps* files_;
};

/// Runs a usage query on any connection. Errors: kIo, kInvalidField.
[[nodiscard]] Result<UsageTable> run_usage_query(const Database& database, const UsageQuery& query);

}  // namespace entrepot::store
