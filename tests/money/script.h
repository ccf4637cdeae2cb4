#pragma once

#include <map>
#include <string>
#include <vector>

#include "rig.h"
#include "store/books.h"

namespace entrepot::rig {

/// One change of the books that is either there after a crash or not.
struct Op {
    enum class Kind : std::uint8_t {
        kHold,
        kResize,
        kSettle,
        kRelease,
        kClose,
        kName,     ///< a long name: nothing to see of it but the journal's length
        kEndOpen,  ///< a start after a crash: what is open is settled at its hold
    };
    Kind kind = Kind::kName;
    std::uint64_t exchange = 0;
    std::uint16_t attempt = 1;
    std::size_t path = 0;
    Instant dispatch;
    Money amount;  ///< of the hold, its new size, or the cost
};

/// A key under its team and org.
struct PathNames {
    std::string key, team, org;
};

/// The books as a child would keep them: a list of attempts, every sum taken anew. Shares nothing
/// with the ledger but the words.
class Model {
public:
    struct Attempt {
        enum class State : std::uint8_t { kHeld, kSettled, kReleased };
        State state = State::kHeld;
        Money held, cost;
        bool unverified = false;
        std::size_t path = 0;
        Instant dispatch;
    };
    struct Exchange {
        std::vector<Attempt> attempts;
        bool closed = false;
    };
    struct Sums {
        Money settled, held, overdraft;
    };

    Model(std::vector<PathNames> paths, std::vector<ledger::BudgetSpec> budgets)
        : paths_(std::move(paths)), budgets_(std::move(budgets)) {}
    void apply(const Op& op);
    /// Whether every budget of the path has room for `more` at that time.
    [[nodiscard]] bool fits(std::size_t path, Instant at, Money more) const;
    [[nodiscard]] bool is_bounded(std::size_t path) const;
    [[nodiscard]] Sums sums_of(const ledger::BudgetSpec& budget, const Period& period) const;
    [[nodiscard]] const std::map<std::uint64_t, Exchange>& exchanges() const { return exchanges_; }
    [[nodiscard]] const std::vector<PathNames>& paths() const { return paths_; }
    [[nodiscard]] const std::vector<ledger::BudgetSpec>& budgets() const { return budgets_; }
    /// The exchanges as text, one a line.
    [[nodiscard]] std::string exchanges_text() const;
    /// What was spent: one line a budget and period, then all of it.
    [[nodiscard]] std::string sums_text() const;

private:
    [[nodiscard]] bool stands_over(const ledger::BudgetSpec& budget, std::size_t path) const;
    std::vector<PathNames> paths_;
    std::vector<ledger::BudgetSpec> budgets_;
    std::map<std::uint64_t, Exchange> exchanges_;
};

/// The first instant of every run, and the next day of it: both are dispatched in.
inline constexpr Instant kStart{1'763'900'000'000'000'000};
inline constexpr Instant kNextDay{kStart.ns + 86'400LL * 1'000'000'000};

[[nodiscard]] ExchangeId exchange_id(std::uint64_t n);
/// Two keys of one team and a third of another, under budgets of key, team and org; a fourth key
/// under none.
[[nodiscard]] Model new_model();
/// The next change, at random: one that the books must make.
[[nodiscard]] Op random_op(const Model& model, std::uint64_t next_exchange, Random& random);
/// Makes it in the books. False with the reason when they refuse.
struct Made {
    bool done = false;
    ErrorCode code = ErrorCode::kInternal;
    std::string why;
    std::uint64_t position = 0;  ///< of a hold
};
[[nodiscard]] Made make(store::Books& books, const Model& model, const Op& op, std::size_t serial);
/// The same texts as the model's, from the books themselves.
[[nodiscard]] std::string exchanges_text(const store::Books& books, std::uint64_t exchanges);
[[nodiscard]] std::string sums_text(const store::Books& books);

}  // namespace entrepot::rig
