#pragma once

#include <string>
#include <vector>

#include "ledger/record.h"

namespace entrepot::ledger {

/// One period of one budget. Invariant: held + settled - overdraft <= limit_max; available = limit
/// - held - settled.
struct Account {
    AccountId id = AccountId::kNone;
    std::uint32_t budget = 0;
    Period period;
    Money limit_max;  ///< the highest limit under which a hold was taken
    Money held;
    Money settled;
    Money overdraft;         ///< the part of `settled` beyond its holds
    std::uint32_t open = 0;  ///< open holds
    bool dirty = false;
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

/// A row of the books: the UTC day of the dispatch and who bought what from whom.
struct UsageKey {
    std::int32_t day = 0;  ///< days since 1970-01-01
    NameId org = NameId::kNone;
    NameId team = NameId::kNone;
    NameId key = NameId::kNone;
    NameId model = NameId::kNone;
    NameId offer = NameId::kNone;
    NameId cloud = NameId::kNone;
    friend auto operator<=>(const UsageKey&, const UsageKey&) = default;
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
};

struct UsageChange {
    UsageKey key;
    UsageDelta delta;
};

/// A general account of the double entry: what a key's org spent (debits), or what is owed to a
/// cloud (credits).
struct Balance {
    enum class Side : std::uint8_t { kExpense, kPayable };
    Side side = Side::kExpense;
    NameId key = NameId::kNone;    ///< expense
    NameId team = NameId::kNone;   ///< expense
    NameId org = NameId::kNone;    ///< expense
    NameId cloud = NameId::kNone;  ///< payable
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
};

/// What a checkpoint must write: rows that changed since the last one, whole; usage as additions;
/// open attempts all.
struct Changes {
    std::vector<NameRow> names;
    std::vector<BudgetRecord> budgets;
    std::vector<Account> accounts;
    std::vector<Balance> balances;
    std::vector<UsageChange> usage;
    std::vector<Unverified> unverified;
    std::vector<Attempt> attempts;
    std::uint32_t accounts_made = 0;  ///< the highest account id given out
    Instant horizon;                  ///< periods that ended before it may have left the memory
};

}  // namespace entrepot::ledger
