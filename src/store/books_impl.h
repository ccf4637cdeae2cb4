#pragma once

#include <memory>
#include <optional>

#include "ledger/ledger.h"
#include "store/books.h"
#include "store/books_db.h"
#include "store/checkpointer.h"
#include "store/compactor.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/recent.h"

namespace entrepot::store {

/// What Books is made of. Only books*.cc include this.
struct Books::Impl final : ledger::Log {
    explicit Impl(const BooksOptions& from)
        : options(from), ledger(*this), recent(from.recent_exchanges) {}

    [[nodiscard]] Result<std::uint64_t> append(
        std::string_view payload, ledger::LogClass log_class, std::size_t open_attempts) override {
        return journal->append(payload, log_class, open_attempts);
    }
    [[nodiscard]] Result<std::optional<ledger::Account>> recall(
        std::uint32_t budget, ledger::NameId end_user, Instant begin) override;
    [[nodiscard]] Result<std::optional<ledger::Account>> recall(ledger::AccountId account) override;
    /// The file as of its last checkpoint, by a connection that waits for no writer. Errors: kIo.
    [[nodiscard]] Result<const BooksDb*> books_to_read();
    /// Waits for a further journal file, up to `most`, and no longer than one can still come.
    void make_room(milliseconds most);
    /// What a configuration writes: where the journal is full it waits a moment for room, since
    /// nothing else would ask again.
    template <typename Write>
    [[nodiscard]] auto write_with_room(const Write& write);
    /// Hands everything that changed to the checkpointer, which must have room.
    void start_checkpoint(bool clean_stop);
    /// Puts a record read back into the ring, when the ring can know the whole of its exchange.
    void note_replayed(std::string_view payload, std::uint64_t begin, std::uint64_t end);
    void count_refusal(ErrorCode code, const ledger::Refusal& refusal);
    [[nodiscard]] UnverifiedAttempt describe(const ledger::HoldRecord& hold, Money amount) const;
    /// An attempt of a closed, recent exchange, from the journal.
    [[nodiscard]] std::optional<AttemptFacts> ended_attempt(
        const Books& books, const ExchangeId& exchange, std::uint16_t attempt) const;
    /// Adds one record to what is known of an exchange. True after the last one.
    [[nodiscard]] bool add_to_report(const ledger::Record& record, ExchangeReport& report) const;

    const BooksOptions options;
    std::unique_ptr<DataLock> lock;
    std::unique_ptr<Journal> journal;
    ledger::Ledger ledger;
    RecentExchanges recent;
    RecoverySummary recovery;
    BooksStats stats;
    std::function<void()> on_room;
    Instant now;
    Instant checkpoint_time;
    Instant eviction_time;
    std::uint64_t checkpoint_position = 0;
    std::optional<BooksDb> reader;             ///< made at the first question
    std::optional<Compactor> compactor;        ///< its thread uses the journal
    std::optional<Checkpointer> checkpointer;  ///< last: its thread uses the journal
};

}  // namespace entrepot::store
