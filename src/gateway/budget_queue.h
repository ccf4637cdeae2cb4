#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/books.h"

namespace entrepot::gateway {

/// Requests that nothing but other requests' holds keeps from their money wait here, in the order
/// they came: of those that wait for one budget none overtakes another, also not one that comes
/// when there is room again. Thread rule: the books' core alone.
class BudgetQueue {
public:
    static constexpr std::size_t kWaitingMax = 4096;

    /// One that may have to wait. Lives where it waits; the queue refers to it until it has its
    /// answer or has left.
    struct Entry {
        /// Asks for its hold, as of now.
        std::function<Result<ledger::HoldTicket>(store::Books&, ledger::Refusal&)> ask;
        /// Told once that `outcome` is there, from the books' core.
        std::function<void()> answered;
        std::vector<std::string> budgets;  ///< owners whose budgets may stand over it: `place_of`
        bool may_wait = false;
        std::optional<Result<ledger::HoldTicket>> outcome;
        ledger::Refusal refusal;  ///< the last one
        std::string waits_for;    ///< the owner of the budget that had no room
    };

    /// An owner as entries name them. Of end users two keys' may meet: then one waits for the other
    /// though it need not, for a moment.
    [[nodiscard]] static std::string place_of(ledger::OwnerKind kind, std::string_view owner);

    /// Asks, unless somebody who came before waits for a budget of its own. True: it has its
    /// outcome, and `answered` will not be called.
    [[nodiscard]] bool begin(store::Books& books, Entry& entry);
    /// True: it waited and is gone. False: it has its outcome, and `answered` was or will be
    /// called.
    [[nodiscard]] bool leave(Entry& entry);
    /// Whether one under those budgets would wait behind another.
    [[nodiscard]] bool is_behind(const std::vector<std::string>& budgets) const;
    [[nodiscard]] bool empty() const { return waiting_.empty(); }
    [[nodiscard]] std::size_t size() const { return waiting_.size(); }
    /// There may be room: asks for those that wait, in their order.
    void go_on(store::Books& books);

private:
    /// True: nothing but holds is in its way.
    static bool ask(store::Books& books, Entry& entry, Result<ledger::HoldTicket>& out);
    void join(Entry& entry);
    void unlink(std::list<Entry*>::iterator at);

    std::list<Entry*> waiting_;                  // at most kWaitingMax
    std::map<std::string, std::size_t> places_;  // how many wait for it
};

}  // namespace entrepot::gateway
