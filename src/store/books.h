#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/types.h"
#include "store/backup.h"
#include "store/charge_reader.h"
#include "store/usage_query.h"

namespace entrepot::store {

class FileOps;

enum class Durability : std::uint8_t {
    kProcess,  ///< a hold survives kill -9 as soon as hold() returns
    kPower,    ///< also a power cut, once durable_up_to() has reached its position
};

struct BooksOptions {
    std::filesystem::path data;  ///< made (mode 0700) when absent
    Durability durability = Durability::kProcess;
    std::uint64_t segment_bytes = 64ULL << 20;      ///< of one journal file; a multiple of 64 KiB
    std::uint64_t journal_bytes_max = 64ULL << 30;  ///< of all journal files; at least two segments
    /// Short of journal_bytes_max the oldest files make room, once the books and the base hold
    /// their records; when false (or when none qualifies) holds are refused with kJournalFull
    /// instead.
    bool recycle_oldest = true;
    std::filesystem::path journal_archive;  ///< files go there instead of away; empty: away
    seconds journal_keep{0};  ///< files whose last record is older go as well; 0: for no age
    seconds checkpoint_interval{5};
    /// Found without a search. Four times as many would be out of the cache at each request.
    std::size_t recent_exchanges = 16'384;
    FileOps* files = nullptr;  ///< tests put faults here; null for the system's
};

/// An attempt that a crash left open, settled at its full hold until somebody knows better.
struct UnverifiedAttempt {
    ExchangeId exchange;
    std::uint16_t attempt = 1;
    std::string key, team, project, org, end_user, model, offer, cloud;
    Money amount;
    bool priced = true;  ///< false: the attempt was under no budget, so what it cost is not known
    Instant dispatch;
};

/// What opening found.
struct RecoverySummary {
    bool clean_stop = true;  ///< the last owner closed the books in order
    std::uint64_t records_replayed = 0;
    std::uint64_t bytes_cut = 0;                ///< of a torn last record
    std::vector<UnverifiedAttempt> unverified;  ///< settled by this opening
    std::uint64_t exchanges_closed = 0;  ///< closed by this opening because the crash ended them
};

/// One attempt of an exchange, from the journal.
struct AttemptFacts {
    enum class State : std::uint8_t { kHeld, kSettled, kReleased };
    std::uint16_t attempt = 1;
    std::string model, offer, cloud;
    State state = State::kHeld;
    bool bounded = false;
    Money held;  ///< the last size of the hold
    Instant dispatch;
    Instant ended;
    canon::Usage usage;
    Money cost, list_cost, overdraft;
    std::string rate_version;
    std::string contract;
    std::uint8_t tier = 0;  ///< of catalog::Tier
    ledger::MeterCosts lines;
    std::uint8_t flags = 0;  ///< of ledger::settle_flag
    std::uint16_t upstream_status = 0;
    std::uint8_t error = 0;  ///< of a release: 0, or 1 + ErrorCode
};

/// All that the books know of one exchange.
struct ExchangeReport {
    ExchangeId exchange;
    std::string key, team, project, org, end_user, tags, model, dialect;
    std::vector<AttemptFacts> attempts;
    bool closed = false;
    ledger::ExchangeClose close;  ///< when closed
    Money cost;                   ///< sum over the attempts
};

/// What a budget stands at.
struct BudgetStanding {
    ledger::OwnerKind owner_kind = ledger::OwnerKind::kKey;
    std::string owner;
    std::string end_user;  ///< whose, of a budget that each end user of the key has
    PeriodKind period_kind = PeriodKind::kMonth;
    std::string zone;
    Period period;
    Money limit, settled, held, overdraft, available;  ///< `limit` with the raise in force
    std::uint64_t open_holds = 0;
};

struct BooksStats {
    std::uint64_t holds = 0, settled = 0, released = 0, closed = 0;
    std::uint64_t refused_by_spend = 0;  ///< even without the open holds there was no room
    std::uint64_t refused_by_holds = 0;  ///< only the open holds were in the way
    std::uint64_t refused_by_journal = 0;
    std::uint64_t overdrafts = 0;
    std::uint64_t open_attempts = 0;
    std::uint64_t journal_bytes = 0;  ///< of all journal files
    std::uint64_t checkpoints = 0;
    std::uint64_t checkpoint_failures = 0;
    std::string last_failure;  ///< of the checkpoint or segment thread, empty when healthy
};

/// The books of one gateway: the ledger, its journal and the embedded store behind it, under one
/// lock file. Every change is in the journal before it counts; a call costs well under a
/// microsecond and no system call. Thread rule: owned by one thread, which alone may call it,
/// except where a member says otherwise.
class Books {
public:
    /// Takes the lock, loads the last checkpoint, replays the journal after it, and ends what a
    /// crash left open. Errors: kStoreLocked (says who holds it), kJournalCorrupt (names file and
    /// offset), kIo.
    [[nodiscard]] static Result<std::unique_ptr<Books>> open(
        const BooksOptions& options, Instant now);
    /// Checkpoints, marks the stop as clean and gives up the lock.
    ~Books();
    Books(const Books&) = delete;
    Books& operator=(const Books&) = delete;

    [[nodiscard]] const RecoverySummary& recovery() const;

    // ---- once per configuration ----

    /// The budgets from now on, replacing those before; what was spent and held stays. Handles stay
    /// valid. Errors: kBadConfiguration (a negative limit, too many budgets of one owner),
    /// kJournalFull.
    [[nodiscard]] Status set_budgets(std::span<const ledger::BudgetSpec> budgets);
    /// The number of a name. Errors: kInvalidField (empty or longer than 512 bytes), kJournalFull.
    [[nodiscard]] Result<ledger::NameId> name(std::string_view text);
    /// As `name`, of an end user or a set of tags, which a key's clients choose. Errors: also
    /// kInvalidField when the key has brought too many.
    [[nodiscard]] Result<ledger::NameId> scoped_name(ledger::NameId key, std::string_view text);
    [[nodiscard]] Result<ledger::PathId> path(const ledger::PathNames& names);
    [[nodiscard]] Result<ledger::PathId> path(
        std::string_view key, std::string_view team, std::string_view org) {
        return path(ledger::PathNames{key, team, {}, org});
    }
    [[nodiscard]] Result<ledger::Route> route(
        std::string_view model, std::string_view offer, std::string_view cloud);
    [[nodiscard]] std::string_view name_of(ledger::NameId id) const;
    /// Whether any budget stands over the path: if so a hold needs an amount.
    [[nodiscard]] bool has_budget(
        ledger::PathId path, ledger::NameId end_user = ledger::NameId::kNone) const;

    // ---- per request: no allocation, no system call ----

    /// Records `attempt N may be sent` and reserves its bound in every budget of the path, all or
    /// none. Repeating the same hold returns its present state. An attempt after the first is a
    /// further hold: release or settle the one before it first when it is over, so that the money
    /// it held is free. Errors: kUnknownAccount (no such path), kUnbounded (no amount under a
    /// budget), kHoldConflict (the attempt is there with other facts, or over),
    /// kInsufficientBalance (`refusal` says why, if given), kJournalFull.
    [[nodiscard]] Result<ledger::HoldTicket> hold(
        const ledger::HoldRequest& request, ledger::Refusal* refusal = nullptr);
    /// Raises an open hold to `amount`, in every budget or none; shrink lowers it. Asking for the
    /// present amount is a repeat. Errors: kUnknownHold, kHoldConflict (it is over, or the
    /// direction is wrong), kInsufficientBalance, kJournalFull.
    [[nodiscard]] Result<ledger::HoldTicket> extend(const ExchangeId& exchange,
        std::uint16_t attempt, Money amount, ledger::Refusal* refusal = nullptr);
    [[nodiscard]] Status shrink(const ExchangeId& exchange, std::uint16_t attempt, Money amount);
    /// Ends the attempt: posts what it cost into the budget periods of its dispatch and gives back
    /// the rest. Cost beyond the hold is always posted, as overdraft. Repeating returns the same
    /// posting, also after the exchange closed. Errors: kUnknownHold, kSettleConflict (other facts,
    /// or released).
    [[nodiscard]] Result<ledger::Posting> settle(const ExchangeId& exchange, std::uint16_t attempt,
        const ledger::SettleRequest& request, const ledger::MeterCosts& lines = {});
    /// Ends the attempt: nothing was or could have been billed. `error` is why. Repeats are
    /// idempotent. Errors: kUnknownHold, kSettleConflict (it was settled).
    [[nodiscard]] Status release(const ExchangeId& exchange, std::uint16_t attempt, Instant at,
        std::uint16_t upstream_status = 0, std::optional<ErrorCode> error = std::nullopt);
    /// Ends the exchange, whose attempts must be over; also for one that never held (refused
    /// before). Errors: kHoldConflict (an attempt is still open).
    [[nodiscard]] Status close(const ledger::ExchangeClose& facts);

    // ---- corrections ----

    /// Posts a correction into the periods that are open at `request.at`; false when it was posted
    /// before. Errors: kSettleConflict (the same id with other facts), kInvalidField, kJournalFull.
    [[nodiscard]] Result<bool> adjust(const ledger::AdjustRequest& request);
    /// The correction that was posted under that id, if any.
    [[nodiscard]] std::optional<ledger::AdjustRequest> adjustment(const ExchangeId& id) const;
    /// Settles an attempt that a crash left unverified at what it truly cost: a correction by the
    /// difference, once. Errors: kNotFound (not unverified, or resolved), kIo, kJournalFull.
    [[nodiscard]] Result<Money> resolve(const ExchangeId& exchange, std::uint16_t attempt,
        Money cost, const ExchangeId& id, Instant at);
    /// Closes the months before `until` for `by`: whatever is settled later is booked on the first
    /// day open. Errors: kInvalidField, kJournalFull.
    [[nodiscard]] Status seal(Instant until, Instant at, std::string_view by);
    [[nodiscard]] Instant sealed_until() const;

    /// Called whenever a hold has ended or become smaller: there may be room for others.
    void on_room(std::function<void()> callback);

    // ---- about once a second ----

    /// Starts a checkpoint when one is due; never waits for it.
    void tick(Instant now);
    /// Checkpoints and waits. Errors: kIo.
    [[nodiscard]] Status checkpoint();

    // ---- durability: power ----

    /// How far the journal would survive a power cut. Any thread.
    [[nodiscard]] std::uint64_t durable_up_to() const;
    /// How far the journal reached when the disk last failed it. Any thread.
    [[nodiscard]] std::uint64_t sync_failed_up_to() const;
    /// Why, in the system's words. Any thread.
    [[nodiscard]] std::string journal_failure() const;
    /// Called on a thread of the store whenever one of the two grew; set it before the first hold.
    void on_synced(std::function<void()> callback);

    // ---- questions ----

    [[nodiscard]] std::vector<BudgetStanding> standing(
        ledger::PathId path, Instant at, ledger::NameId end_user = ledger::NameId::kNone) const;
    /// The room left for the path at `at`: the least of its budgets; nullopt under no budget.
    [[nodiscard]] std::optional<Money> available(
        ledger::PathId path, Instant at, ledger::NameId end_user = ledger::NameId::kNone) const;
    /// All budgets that are in force, as of `at`.
    [[nodiscard]] std::vector<BudgetStanding> budgets(Instant at) const;
    /// From the journal: at once for a recent exchange, by a search over the files of its minute
    /// for an older one. Errors: kNotFound, kIo.
    [[nodiscard]] Result<ExchangeReport> exchange(const ExchangeId& id) const;
    /// Checkpoints, then asks the store; milliseconds. Errors: kIo.
    [[nodiscard]] Result<UsageTable> usage(const UsageQuery& query);
    /// The folder of the books: `read_charges` and `query_usage` read there, on any thread, what a
    /// checkpoint left.
    [[nodiscard]] const std::filesystem::path& folder() const;
    /// Checkpoints, then opens the charges of a time: to be read on any thread, while the books go
    /// on. Errors: kIo.
    [[nodiscard]] Result<ChargeReader> charges(
        Instant since, Instant until, ChargeKinds kinds = ChargeKinds::kAll);
    /// Settled unverified and not resolved yet, of this and earlier crashes. Errors: kIo.
    [[nodiscard]] Result<std::vector<UnverifiedAttempt>> unverified();
    /// Both parts of the proof.
    [[nodiscard]] VerifyReport verify();
    /// The part that is soon done: debits equal credits, every account is the sum of its holds and
    /// postings, limits held, usage comes to what was debited. Checkpoints.
    [[nodiscard]] VerifyReport check();
    /// The part that reads everything: each page of books.db; base and journal again, row against
    /// row; and, when the whole journal is there, a second reading of it that shares no bookkeeping
    /// with the first. As of the last checkpoint. Any thread, while the books are open.
    void prove(VerifyReport& report) const;
    /// A copy of everything in `folder` (made, or empty), while the books are in use: see backup.h.
    /// Any thread, while the books are open. Errors: kInvalidField (the folder is not empty), kIo.
    [[nodiscard]] Result<BackupFacts> backup(
        const std::filesystem::path& folder, Instant now) const;
    [[nodiscard]] BooksStats stats() const;

private:
    struct Impl;
    explicit Books(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::store
