#include "gateway/budget_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace entrepot::gateway {

std::string BudgetQueue::place_of(ledger::OwnerKind kind, std::string_view owner) {
    return fmt::format("{} {}", ledger::owner_kind_name(kind), owner);
}

bool BudgetQueue::ask(store::Books& books, Entry& entry, Result<ledger::HoldTicket>& out) {
    entry.refusal = {};
    out = entry.ask(books, entry.refusal);
    if (out || out.error().code != ErrorCode::kInsufficientBalance || !entry.refusal.only_holds)
        return false;
    entry.waits_for = place_of(entry.refusal.owner_kind, entry.refusal.owner);
    return true;
}

bool BudgetQueue::is_behind(const std::vector<std::string>& budgets) const {
    return std::ranges::any_of(
        budgets, [this](const std::string& budget) { return places_.contains(budget); });
}

void BudgetQueue::join(Entry& entry) {
    waiting_.push_back(&entry);
    ++places_[entry.waits_for];
}

void BudgetQueue::unlink(std::list<Entry*>::iterator at) {
    const auto place = places_.find((*at)->waits_for);
    if (--place->second == 0) places_.erase(place);
    waiting_.erase(at);
}

bool BudgetQueue::begin(store::Books& books, Entry& entry) {
    const bool has_room = entry.may_wait && waiting_.size() < kWaitingMax;
    if (has_room && is_behind(entry.budgets)) {
        const auto first = std::ranges::find_if(
            entry.budgets, [this](const std::string& one) { return places_.contains(one); });
        entry.waits_for = *first;
        join(entry);
        return false;
    }
    Result<ledger::HoldTicket> ticket;
    if (ask(books, entry, ticket) && has_room) {
        join(entry);
        return false;
    }
    entry.outcome = std::move(ticket);
    return true;
}

bool BudgetQueue::leave(Entry& entry) {
    const auto at = std::ranges::find(waiting_, &entry);
    if (at == waiting_.end()) return false;
    unlink(at);
    return true;
}

void BudgetQueue::go_on(store::Books& books) {
    std::set<std::string> taken;  // somebody who came before waits for it
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        const auto here = at++;
        Entry& entry = **here;
        if (std::ranges::any_of(
                entry.budgets, [&](const std::string& one) { return taken.contains(one); }))
            continue;
        const std::string waited_for = entry.waits_for;
        Result<ledger::HoldTicket> ticket;
        if (ask(books, entry, ticket)) {
            taken.insert(entry.waits_for);
            if (--places_[waited_for] == 0) places_.erase(waited_for);
            ++places_[entry.waits_for];
            continue;
        }
        entry.waits_for = waited_for;
        unlink(here);
        entry.outcome = std::move(ticket);
        entry.answered();
    }
}

}  // namespace entrepot::gateway
