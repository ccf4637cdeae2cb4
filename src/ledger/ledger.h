#pragma once

#include <deque>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ledger/exchange_hash.h"
#include "ledger/flat_index.h"
#include "ledger/idempotency.h"
#include "ledger/log.h"
#include "ledger/state.h"

namespace entrepot::ledger {

/// Accounts by double entry, budgets and open attempts. Deterministic; no clock, no I/O: every
/// change is decided, written to the `Log` as a record, and then applied; recovery applies the same
/// records with the same code. Thread rule: owned by one thread, which alone may call it.
class Ledger {
public:
    /// `log` outlives the ledger.
    explicit Ledger(Log& log) : log_(log) {
        names_.emplace_back();
        budgets_.emplace_back();
        paths_.emplace_back();
    }

    // ---- once per configuration ----

    /// Errors: kInvalidField (empty or longer than kNameBytesMax), kJournalFull.
    [[nodiscard]] Result<NameId> name(std::string_view text);
    /// A name that a key's clients chose: an end user, or tags. Errors: as of `name`; kInvalidField
    /// also when the key has brought kScopedNamesMax already.
    [[nodiscard]] Result<NameId> scoped_name(NameId key, std::string_view text);
    /// Empty for kNone and for ids that were never given out.
    [[nodiscard]] std::string_view name_of(NameId id) const;
    /// Errors: kBadConfiguration, kJournalFull.
    [[nodiscard]] Status set_budgets(std::span<const BudgetSpec> specs);
    [[nodiscard]] Result<PathId> path(const PathNames& names);
    /// Whether a budget stands over what is asked by that end user (kNone: by nobody in
    /// particular).
    [[nodiscard]] bool has_budget(PathId path, NameId end_user = NameId::kNone) const;

    // ---- per request; contracts as on store::Books ----

    [[nodiscard]] Result<HoldTicket> hold(const HoldRequest& request, Refusal* refusal);
    [[nodiscard]] Result<HoldTicket> extend(
        const ExchangeId& exchange, std::uint16_t attempt, Money amount, Refusal* refusal);
    [[nodiscard]] Status shrink(const ExchangeId& exchange, std::uint16_t attempt, Money amount);
    [[nodiscard]] Result<Posting> settle(const ExchangeId& exchange, std::uint16_t attempt,
        const SettleRequest& request, const MeterCosts& lines = {});
    [[nodiscard]] Status release(const ReleaseRecord& record);
    [[nodiscard]] Result<std::uint64_t> close(const ExchangeClose& facts);

    // ---- corrections ----

    /// Posts a correction into what is open at `request.at`; false when it was posted before.
    /// Errors: kSettleConflict (the same id with other facts), kInvalidField, kJournalFull.
    [[nodiscard]] Result<bool> adjust(const AdjustRequest& request);
    /// The correction of that id, or nullptr.
    [[nodiscard]] const AdjustRequest* adjustment(const ExchangeId& id) const {
        const std::uint32_t at = adjustment_index_.find(id);
        return at == kNoSlot ? nullptr : &adjustments_[at];
    }
    /// Closes the months before `until`: what is settled later is booked on the first day open.
    /// Errors: kInvalidField (not after the last seal, or in the future), kJournalFull.
    [[nodiscard]] Status seal(const SealRecord& record);
    [[nodiscard]] Instant sealed_until() const { return sealed_until_; }

    // ---- recovery ----

    /// Applies one record of the journal. Errors: kJournalCorrupt when it does not follow from
    /// those before it.
    [[nodiscard]] Status apply(std::string_view payload);
    /// Starts from a checkpoint: names in order of id, everything whole, no usage. On a fresh
    /// ledger only.
    [[nodiscard]] Status load(const Changes& checkpoint);
    /// Settles every open attempt unverified at its hold and closes its exchange, in the order they
    /// were held. Those of the exchanges `kept` stay open. The number of exchanges closed.
    [[nodiscard]] Result<std::uint64_t> end_open_attempts(
        Instant now, std::vector<Unverified>& ended, std::span<const ExchangeId> kept = {});

    /// What changed since the last call. Forgets accounts whose period ended before `evict_before`
    /// and that nothing holds.
    [[nodiscard]] Changes take_changes(Instant evict_before);

    // ---- questions ----

    struct Standing {
        const BudgetRecord* budget = nullptr;
        Period period;
        NameId end_user = NameId::kNone;
        Money settled, held, overdraft;
        std::uint32_t open = 0;
    };
    [[nodiscard]] std::vector<Standing> standing(
        PathId path, Instant at, NameId end_user = NameId::kNone) const;
    /// Every budget in force; of those that each end user has, one for each that has an account in
    /// memory.
    [[nodiscard]] std::vector<Standing> budgets(Instant at) const;
    [[nodiscard]] std::size_t open_attempts() const { return open_; }
    /// The attempt while its exchange is open; nullptr otherwise.
    [[nodiscard]] const Attempt* find(const ExchangeId& exchange, std::uint16_t attempt) const;
    [[nodiscard]] bool is_open(const ExchangeId& exchange) const {
        return exchanges_.find(exchange) != kNoSlot;
    }
    [[nodiscard]] const IdempotencyIndex& idempotency() const { return idempotency_; }
    /// Sums of both sides; equal after every entry.
    [[nodiscard]] Money debits() const { return debits_; }
    [[nodiscard]] Money credits() const { return credits_; }
    /// Every account in memory, by id.
    [[nodiscard]] std::vector<Account> accounts() const;
    [[nodiscard]] const std::vector<Balance>& balances() const { return balances_; }
    /// Every attempt whose exchange is open, by exchange and number.
    [[nodiscard]] std::vector<Attempt> attempts() const;
    [[nodiscard]] std::size_t account_count() const { return account_index_.size(); }
    /// Every invariant that does not hold, as a sentence with the values.
    [[nodiscard]] std::vector<std::string> verify() const;
    /// The whole state as text in one order: equal states, equal text.
    [[nodiscard]] std::string dump() const;

private:
    static constexpr std::uint32_t kNoSlot = 0xffff'ffff;
    struct Budget {
        BudgetRecord record;
        const TimeZone* zone = nullptr;  ///< null when this system does not know it
        Period period{};                 ///< the period looked at last; empty before the first look
        std::uint32_t slot = kNoSlot;    ///< its account, when there is one
        std::vector<std::uint32_t> slots;  ///< all its accounts in memory
        bool dirty = false;
    };
    struct Path {
        Spender spender;  ///< without end user and tags
        mutable std::uint64_t generation = 0;
        mutable std::uint32_t count = 0;
        mutable std::uint32_t shared_count = 0;  ///< those before the end user's own
        mutable std::array<std::uint32_t, kAccountsPerPathMax> budgets{};
    };
    struct NumberHash {
        std::size_t operator()(std::uint32_t id) const { return id * 0x9e3779b97f4a7c15ULL >> 24; }
    };
    /// Hash of a fixed number of numbers.
    struct NumbersHash {
        template <std::size_t N, typename T>
        std::size_t operator()(const std::array<T, N>& numbers) const {
            std::uint64_t hash = N;
            for (const T number : numbers) {
                hash = (hash ^ static_cast<std::uint64_t>(number)) * 0x9e3779b97f4a7c15ULL;
                hash ^= hash >> 29;
            }
            return hash;
        }
    };
    struct DimensionsHash {
        std::size_t operator()(const Dimensions& dimensions) const;
    };
    struct ScopedName {
        NameId scope = NameId::kNone;
        std::string_view text;
        friend bool operator==(const ScopedName&, const ScopedName&) = default;
    };
    struct ScopedNameHash {
        std::size_t operator()(const ScopedName& name) const {
            return std::hash<std::string_view>()(name.text) ^
                static_cast<std::size_t>(name.scope) * 0x9e3779b97f4a7c15ULL;
        }
    };
    struct NameEntry {
        std::string text;
        NameId scope = NameId::kNone;
    };
    using BudgetKey = std::tuple<OwnerKind, NameId, PeriodKind, NameId>;

    // Decisions.
    [[nodiscard]] const Path* path_at(PathId id) const;
    [[nodiscard]] Result<NameId> intern(const ScopedName& name);
    void look_at(Budget& budget, Instant at) const;
    /// The account of the period looked at last, kNoSlot when it is not in memory.
    [[nodiscard]] std::uint32_t slot_of(const Budget& budget, NameId end_user) const;
    /// That nobody has the request's idempotency key already.
    [[nodiscard]] Status find_unclaimed(
        const HoldRequest& request, NameId client_key, Refusal* refusal) const;
    /// A demand on budgets: what one hold or correction asks of them.
    struct Demand {
        std::span<const std::uint32_t> budgets;
        NameId end_user = NameId::kNone;
        Instant at;
        Money asked;
    };
    /// Checks that every budget has room.
    [[nodiscard]] Status find_room(const Demand& demand, Refusal* refusal);
    /// Opens the accounts that are not there yet, after `find_room` or `look_at`.
    [[nodiscard]] Status open_accounts(const Demand& demand);
    [[nodiscard]] Status look_up(const Demand& demand);
    [[nodiscard]] Standing standing_of(const Budget& budget, NameId end_user, Instant at) const;
    /// The budgets over a path; with an end user, his own too.
    [[nodiscard]] std::span<const std::uint32_t> budgets_of(
        const Path& path, NameId end_user) const;
    struct Short {
        const Budget& budget;
        const Account* account = nullptr;
        NameId end_user = NameId::kNone;
        Period period;
        Money limit;
        Money asked;
        bool only_holds = false;
    };
    [[nodiscard]] std::unexpected<Error> refuse(const Short& by, Refusal* refusal) const;
    template <typename R>
    [[nodiscard]] Result<std::uint64_t> write(const R& record, LogClass log_class);
    Attempt* find_attempt(const ExchangeId& exchange, std::uint16_t attempt);
    [[nodiscard]] Result<Attempt*> held_attempt(const ExchangeId& exchange, std::uint16_t attempt);
    [[nodiscard]] BudgetKey key_of(const BudgetRecord& record) const;

    // The state machine.
    [[nodiscard]] Status apply(const NameRecord& record);
    [[nodiscard]] Status apply(const BudgetRecord& record);
    [[nodiscard]] Status apply(const AccountRecord& record);
    [[nodiscard]] Status apply(const HoldRecord& record);
    [[nodiscard]] Status apply(const ResizeRecord& record);
    [[nodiscard]] Status apply(const SettleRecord& record);
    [[nodiscard]] Status apply(const ReleaseRecord& record);
    [[nodiscard]] Status apply(const CloseRecord& record);
    [[nodiscard]] Status apply(const AdjustRecord& record);
    [[nodiscard]] Status apply(const SealRecord& record);
    /// Slots of a record's accounts, brought back into memory where they had left it.
    [[nodiscard]] Status find_slots(
        std::span<const AccountId> accounts, std::span<std::uint32_t> slots);
    void end_hold(Attempt& attempt, Money settled, Money overdraft);
    void post(const Dimensions& dimensions, Money cost);
    [[nodiscard]] std::uint32_t put_attempt(const Attempt& attempt);
    [[nodiscard]] std::uint32_t put_account(const Account& account);
    [[nodiscard]] std::uint32_t dimensions_at(const Dimensions& dimensions);
    /// The row of the day of `dispatch`, or of the first day open.
    UsageDelta& usage_of(Instant dispatch, std::uint32_t dimensions);
    void charge(
        Instant dispatch, std::uint32_t dimensions, std::uint8_t meter, const MeterCost& line);
    [[nodiscard]] Instant booked_at(Instant dispatch) const {
        return std::max(dispatch, sealed_until_);
    }
    void touch(std::uint32_t account_slot);
    void forget(const Account& account);

    Log& log_;
    std::deque<NameEntry> names_;
    std::unordered_map<ScopedName, NameId, ScopedNameHash> name_index_;
    std::unordered_map<NameId, std::uint32_t> scoped_count_;
    std::size_t names_taken_ = 1;  ///< names before this are in a checkpoint

    std::map<NameId, TimeZone> zones_;
    std::deque<Budget> budgets_;
    std::map<BudgetKey, std::uint32_t> budget_index_;
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>>
        owners_;  ///< active budgets by owner
    std::vector<std::uint32_t> dirty_budgets_;
    std::uint64_t generation_ = 1;  ///< grows when an active budget comes or goes

    std::vector<Path> paths_;
    FlatIndex<std::array<NameId, 4>, NumbersHash> path_index_;

    std::vector<Account> accounts_;
    std::vector<std::uint32_t> free_accounts_;
    FlatIndex<std::uint32_t, NumberHash> account_index_;
    /// Budget and end user, to the first of their accounts' slots.
    FlatIndex<std::array<std::uint32_t, 2>, NumbersHash> end_user_accounts_;
    std::vector<std::uint32_t> dirty_accounts_;
    std::uint32_t accounts_made_ = 0;
    Instant horizon_{INT64_MIN};

    std::deque<Attempt> attempts_;  // grows without a copy of what is open
    std::vector<std::uint32_t> free_attempts_;
    FlatIndex<ExchangeId, ExchangeHash> exchanges_;  ///< to the slot of the last attempt
    std::size_t open_ = 0;

    std::vector<Balance> balances_;
    FlatIndex<std::array<NameId, 4>, NumbersHash> expense_index_;
    FlatIndex<std::array<NameId, 2>, NumbersHash> payable_index_;
    std::vector<std::uint32_t> dirty_balances_;
    Money debits_;
    Money credits_;

    std::vector<Dimensions> dimensions_;
    FlatIndex<Dimensions, DimensionsHash> dimensions_index_;
    std::vector<UsageChange> usage_;
    FlatIndex<std::array<std::uint32_t, 2>, NumbersHash> usage_index_;
    std::vector<ChargeChange> charges_;
    FlatIndex<std::array<std::uint32_t, 3>, NumbersHash> charge_index_;
    std::vector<Unverified> unverified_;

    std::vector<AdjustRequest> adjustments_;
    std::size_t adjustments_taken_ = 0;  ///< those before this are in a checkpoint
    FlatIndex<ExchangeId, ExchangeHash> adjustment_index_;
    Instant sealed_until_{INT64_MIN};
    IdempotencyIndex idempotency_;
};

}  // namespace entrepot::ledger
