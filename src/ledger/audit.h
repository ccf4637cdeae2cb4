#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "ledger/record.h"

namespace entrepot::ledger {

/// A second, slow and simple reading of the journal, which shares no bookkeeping with `Ledger`:
/// what `ledger verify` and the tests compare the books with.
class Audit {
public:
    struct Sums {
        Money held, settled, overdraft;
        std::uint32_t open = 0;
        friend bool operator==(const Sums&, const Sums&) = default;
    };
    struct Entry {
        Money amount;
        std::vector<AccountId> accounts;
        Spender spender;
        NameId cloud = NameId::kNone;
        bool bounded = false;
        bool over = false;
    };
    using AttemptKey = std::pair<ExchangeId, std::uint16_t>;

    /// Errors: kJournalCorrupt; what is merely wrong goes to `differences()`.
    [[nodiscard]] Status read(std::string_view payload);
    [[nodiscard]] const std::map<AccountId, Sums>& accounts() const { return accounts_; }
    /// By who spent, without end users and tags.
    [[nodiscard]] const std::map<Spender, Money>& expenses() const { return expenses_; }
    /// By cloud and contract.
    [[nodiscard]] const std::map<std::pair<NameId, NameId>, Money>& payables() const {
        return payables_;
    }
    [[nodiscard]] std::size_t open_attempts() const;
    [[nodiscard]] std::uint64_t records() const { return records_; }
    [[nodiscard]] const std::vector<std::string>& differences() const { return differences_; }

private:
    void read_one(const NameRecord&) {}
    void read_one(const BudgetRecord&) {}
    void read_one(const AccountRecord& record);
    void read_one(const HoldRecord& record);
    void read_one(const ResizeRecord& record);
    void read_one(const SettleRecord& record);
    void read_one(const ReleaseRecord& record);
    void read_one(const CloseRecord& record);
    void read_one(const AdjustRecord& record);
    void read_one(const SealRecord&) {}
    Entry* open_entry(const ExchangeId& exchange, std::uint16_t attempt, const char* what);

    std::map<AttemptKey, Entry> attempts_;  ///< until their exchange is closed
    std::map<AccountId, Sums> accounts_;
    std::map<Spender, Money> expenses_;
    std::map<std::pair<NameId, NameId>, Money> payables_;
    std::vector<std::string> differences_;
    std::uint64_t records_ = 0;
};

}  // namespace entrepot::ledger
