#pragma once

#include <string>
#include <vector>

#include "ledger/idempotency.h"
#include "ledger/record.h"

namespace entrepot::ledger {

/// One period of one budget. Invariant: held + settled - overdraft - adjusted_up <= limit_max;
/// available = limit - held - settled.
struct Account {
    AccountId id = AccountId::kNone;
    std::uint32_t budget = 0;
    Period period;
    NameId end_user = NameId::kNone;  ///< of a budget that each end user has for himself
    Money limit_max;                  ///< the highest limit under which a hold was taken
    Money held;
    Money settled;
    Money overdraft;         ///< the part of `settled` beyond its holds
    Money adjusted;          ///< the part of `settled` that corrections posted; signed
    Money adjusted_up;       ///< those of them that are above zero: no limit stops a correction
    std::uint32_t open = 0;  ///< open holds
    bool dirty = false;
    std::uint32_t next = 0xffff'ffff;  ///< slot of another period of the same end user
};

/// One attempt that may be sent, from its hold until its exchange is closed. Copied whole into
/// checkpoints.
struct Attempt {
    enum class State : std::uint8_t { kHeld, kSettled, kReleased };
    HoldRecord hold;
    Money amount;  ///< what is or was last held
    State state = State::kHeld;
    SettleRequest settled;                                   ///< when settled
    std::array<std::uint32_t, kAccountsPerPathMax> slots{};  ///< of hold.accounts, while held
    std::uint32_t previous = 0xffff'ffff;  ///< slot of the exchange's attempt before this one
};

/// Who bought what from whom, on which terms: what the books tell apart beside time.
struct Dimensions {
    Spender spender;
    Route route;
    NameId contract = NameId::kNone;
    NameId rate_version = NameId::kNone;
    std::uint8_t tier = 0;
    std::int64_t ctx_over = 0;
    friend bool operator==(const Dimensions&, const Dimensions&) = default;
};

/// What is to be added to a row since the last checkpoint.
struct UsageDelta {
    std::uint64_t exchanges = 0;
    std::uint64_t attempts = 0;
    std::uint64_t released = 0;
    canon::Usage usage;
    Money cost;
    Money list_cost;
    std::uint64_t estimated = 0;
    Money estimated_cost;
    std::uint64_t unverified = 0;
    Money unverified_cost;
    std::uint64_t unpriced = 0;
    Money overdraft;
    Money adjusted;  ///< the part of `cost` that corrections posted; signed
};

/// A row of the books: the UTC day of the dispatch (days since 1970-01-01), or the first one open.
struct UsageChange {
    std::int32_t day = 0;
    std::uint32_t dimensions = 0;  ///< index into Changes::dimensions
    UsageDelta delta;
};

/// Under no meter: what the lines of a settlement leave of its cost, and corrections.
inline constexpr std::uint8_t kRestMeter = canon::kMeterCount;
inline constexpr std::uint8_t kAdjustMeter = canon::kMeterCount + 1;
/// On a meter: what was dispatched in a closed month and is booked in the first hour open. It keeps
/// the rates of its dispatch, which its hour does not tell.
inline constexpr std::uint8_t kMovedBit = 0x80;
static_assert(kAdjustMeter < kMovedBit);

/// What one meter cost in one hour of dispatch (hours since 1970-01-01T00Z): as suppliers bill.
struct ChargeChange {
    std::int32_t hour = 0;
    std::uint32_t dimensions = 0;
    std::uint8_t meter = 0;  ///< canon::Meter, also with kMovedBit; kRestMeter or kAdjustMeter
    std::int64_t quantity = 0;
    Money cost;
    Money list_cost;
};

/// A general account of the double entry: what was spent by a key (debits), or what is owed to a
/// cloud under a contract (credits).
struct Balance {
    enum class Side : std::uint8_t { kExpense, kPayable };
    Side side = Side::kExpense;
    NameId key = NameId::kNone;       ///< expense
    NameId team = NameId::kNone;      ///< expense
    NameId project = NameId::kNone;   ///< expense
    NameId org = NameId::kNone;       ///< expense
    NameId cloud = NameId::kNone;     ///< payable
    NameId contract = NameId::kNone;  ///< payable
    Money amount;
    bool dirty = false;
};

/// An attempt settled at its hold after a crash, until it is resolved.
struct Unverified {
    HoldRecord hold;
    Money amount;
};

struct NameRow {
    NameId id;
    std::string name;
    NameId scope = NameId::kNone;
};

/// What a checkpoint must write: rows that changed since the last one, whole; usage as additions;
/// open attempts all.
struct Changes {
    std::vector<NameRow> names;
    std::vector<BudgetRecord> budgets;
    std::vector<Account> accounts;
    std::vector<Balance> balances;
    std::vector<Dimensions> dimensions;
    std::vector<UsageChange> usage;
    std::vector<ChargeChange> charges;
    std::vector<AdjustRequest> adjustments;  ///< all of them when a checkpoint is loaded
    std::vector<Unverified> unverified;
    std::vector<Attempt> attempts;
    std::vector<Fingerprint> idempotency_gone;  ///< taken away before `idempotency` is added
    std::vector<IdempotencyEntry> idempotency;
    std::uint32_t accounts_made = 0;  ///< the highest account id given out
    Instant horizon;                  ///< periods that ended before it may have left the memory
    Instant sealed_until{INT64_MIN};  ///< of the last SealRecord
};

}  // namespace entrepot::ledger
