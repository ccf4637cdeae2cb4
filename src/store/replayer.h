#pragma once

#include <filesystem>
#include <memory>

#include "ledger/ledger.h"
#include "store/books_db.h"

namespace entrepot::store {

/// Books made from records alone, in a file of their own: the journal's second reader, which shares
/// with the gateway the state machine and the form of the tables, and nothing that the gateway
/// remembers. Thread rule: one thread at a time.
class Replayer final : ledger::Log {
public:
    /// Goes on from what the file holds; an absent one begins empty. Errors: kIo, kJournalCorrupt.
    [[nodiscard]] static Result<std::unique_ptr<Replayer>> open(
        const std::filesystem::path& file, FileOps* files);

    /// Everything before it is applied.
    [[nodiscard]] std::uint64_t position() const { return position_; }
    /// Applies the record that ends at `end`; writes to the file now and then, each time as of one
    /// position. Errors: kJournalCorrupt, kIo.
    [[nodiscard]] Status apply(std::uint64_t end, std::string_view payload);
    /// Writes what was applied. Errors: kIo.
    [[nodiscard]] Status flush();
    [[nodiscard]] std::uint64_t records() const { return records_; }
    [[nodiscard]] const Database& database() const { return db_.database(); }
    [[nodiscard]] Database& database() { return db_.database(); }

private:
    Replayer(BooksDb db) : db_(std::move(db)), ledger_(*this) {}
    [[nodiscard]] Result<std::uint64_t> append(
        std::string_view payload, ledger::LogClass log_class, std::size_t open_attempts) override;
    [[nodiscard]] Result<std::optional<ledger::Account>> recall(
        std::uint32_t budget, ledger::NameId end_user, Instant begin) override;
    [[nodiscard]] Result<std::optional<ledger::Account>> recall(ledger::AccountId account) override;
    [[nodiscard]] Status write(Instant evict_before);

    BooksDb db_;
    ledger::Ledger ledger_;
    std::uint64_t position_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t records_ = 0;
    std::uint64_t records_written_ = 0;
    Instant latest_{INT64_MIN};  ///< of the exchanges seen
};

}  // namespace entrepot::store
