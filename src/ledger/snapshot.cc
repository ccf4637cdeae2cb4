// What goes into a checkpoint and comes back from it.
#include <fmt/format.h>

#include <algorithm>

#include "ledger/ledger.h"

namespace entrepot::ledger {

Changes Ledger::take_changes(Instant evict_before) {
    Changes changes;
    for (; names_taken_ < names_.size(); ++names_taken_) {
        changes.names.push_back({static_cast<NameId>(names_taken_), names_[names_taken_].text,
            names_[names_taken_].scope});
    }
    changes.budgets.reserve(dirty_budgets_.size());
    for (const std::uint32_t id : dirty_budgets_) {
        budgets_[id].dirty = false;
        changes.budgets.push_back(budgets_[id].record);
    }
    dirty_budgets_.clear();
    changes.accounts.reserve(dirty_accounts_.size());
    for (const std::uint32_t slot : dirty_accounts_) {
        accounts_[slot].dirty = false;
        changes.accounts.push_back(accounts_[slot]);
    }
    dirty_accounts_.clear();
    changes.balances.reserve(dirty_balances_.size());
    for (const std::uint32_t at : dirty_balances_) {
        balances_[at].dirty = false;
        changes.balances.push_back(balances_[at]);
    }
    dirty_balances_.clear();
    changes.dimensions.swap(dimensions_);
    dimensions_index_.clear();
    changes.usage.swap(usage_);
    usage_index_.clear();
    changes.charges.swap(charges_);
    charge_index_.clear();
    changes.adjustments.assign(
        adjustments_.begin() + static_cast<std::ptrdiff_t>(adjustments_taken_), adjustments_.end());
    adjustments_taken_ = adjustments_.size();
    changes.unverified.swap(unverified_);
    changes.attempts = attempts();
    idempotency_.take_changes(changes.idempotency, changes.idempotency_gone);
    changes.accounts_made = accounts_made_;

    if (evict_before > Instant{INT64_MIN}) {
        horizon_ = std::max(horizon_, evict_before);
        for (const Account& account : accounts()) {
            if (account.open != 0 || account.period.end >= evict_before) continue;
            forget(account);
        }
    }
    changes.horizon = horizon_;
    changes.sealed_until = sealed_until_;
    return changes;
}

void Ledger::forget(const Account& account) {
    const auto id = static_cast<std::uint32_t>(account.id);
    const std::uint32_t slot = account_index_.find(id);
    account_index_.erase(id);
    free_accounts_.push_back(slot);
    if (account.end_user != NameId::kNone) {
        const std::array key{account.budget, static_cast<std::uint32_t>(account.end_user)};
        const std::uint32_t first = end_user_accounts_.find(key);
        const std::uint32_t next = accounts_[slot].next;
        if (first == slot && next == kNoSlot) {
            end_user_accounts_.erase(key);
        } else if (first == slot) {
            end_user_accounts_.put(key, next);
        } else {
            std::uint32_t at = first;
            while (accounts_[at].next != slot) at = accounts_[at].next;
            accounts_[at].next = next;
        }
        return;
    }
    Budget& budget = budgets_[account.budget];
    std::erase(budget.slots, slot);
    if (budget.slot == slot) {
        budget.slot = kNoSlot;
        budget.period = {};
    }
}

Status Ledger::load(const Changes& checkpoint) {
    for (const NameRow& row : checkpoint.names) {
        ENTREPOT_TRY_DO(apply(NameRecord{row.id, row.name, row.scope}));
    }
    for (const BudgetRecord& record : checkpoint.budgets) {
        ENTREPOT_TRY_DO(apply(record));
    }
    horizon_ = checkpoint.horizon;
    accounts_made_ = checkpoint.accounts_made;
    for (const Account& row : checkpoint.accounts) {
        if (row.budget == 0 || row.budget >= budgets_.size()) {
            return fail(ErrorCode::kJournalCorrupt,
                fmt::format("the checkpoint has an account of the unknown budget {}", row.budget));
        }
        if (row.open == 0 && row.period.end < horizon_) continue;
        Account account = row;
        account.dirty = false;
        (void)put_account(account);
    }
    for (const Balance& row : checkpoint.balances) {
        const auto at = static_cast<std::uint32_t>(balances_.size());
        balances_.push_back(row);
        balances_.back().dirty = false;
        if (row.side == Balance::Side::kExpense) {
            expense_index_.put({row.key, row.team, row.project, row.org}, at);
            debits_ += row.amount;
        } else {
            payable_index_.put({row.cloud, row.contract}, at);
            credits_ += row.amount;
        }
    }
    for (Attempt attempt : checkpoint.attempts) {
        for (std::size_t i = 0; i < attempt.hold.account_count; ++i) {
            attempt.slots[i] =
                account_index_.find(static_cast<std::uint32_t>(attempt.hold.accounts[i]));
            if (attempt.slots[i] == kNoSlot && attempt.state == Attempt::State::kHeld) {
                return fail(
                    ErrorCode::kJournalCorrupt, "the checkpoint has a hold in an unknown account");
            }
        }
        if (attempt.state == Attempt::State::kHeld) ++open_;
        (void)put_attempt(attempt);
    }
    for (const AdjustRequest& row : checkpoint.adjustments) {
        adjustment_index_.put(row.id, static_cast<std::uint32_t>(adjustments_.size()));
        adjustments_.push_back(row);
    }
    adjustments_taken_ = adjustments_.size();
    sealed_until_ = checkpoint.sealed_until;
    idempotency_.load(checkpoint.idempotency);
    names_taken_ = names_.size();
    for (const std::uint32_t id : dirty_budgets_) budgets_[id].dirty = false;
    dirty_budgets_.clear();
    return {};
}

}  // namespace entrepot::ledger
