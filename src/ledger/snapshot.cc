// What goes into a checkpoint and comes back from it.
#include <fmt/format.h>

#include <algorithm>

#include "ledger/ledger.h"

namespace entrepot::ledger {

Changes Ledger::take_changes(Instant evict_before) {
    Changes changes;
    for (; names_taken_ < names_.size(); ++names_taken_) {
        changes.names.push_back({static_cast<NameId>(names_taken_), names_[names_taken_]});
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
    changes.usage.swap(usage_);
    usage_index_.clear();
    changes.unverified.swap(unverified_);
    changes.attempts = attempts();
    changes.accounts_made = accounts_made_;

    if (evict_before > Instant{INT64_MIN}) {
        horizon_ = std::max(horizon_, evict_before);
        for (const Account& account : accounts()) {
            if (account.open != 0 || account.period.end >= evict_before) continue;
            const auto id = static_cast<std::uint32_t>(account.id);
            const std::uint32_t slot = account_index_.find(id);
            Budget& budget = budgets_[account.budget];
            std::erase(budget.slots, slot);
            if (budget.slot == slot) {
                budget.slot = kNoSlot;
                budget.period = {};
            }
            account_index_.erase(id);
            free_accounts_.push_back(slot);
        }
    }
    changes.horizon = horizon_;
    return changes;
}

Status Ledger::load(const Changes& checkpoint) {
    for (const NameRow& row : checkpoint.names) {
        ENTREPOT_TRY_DO(apply(NameRecord{row.id, row.name}));
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
            expense_index_.put({row.key, row.team, row.org}, at);
            debits_ += row.amount;
        } else {
            payable_index_.put(static_cast<std::uint32_t>(row.cloud), at);
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
    names_taken_ = names_.size();
    for (const std::uint32_t id : dirty_budgets_) budgets_[id].dirty = false;
    dirty_budgets_.clear();
    return {};
}

}  // namespace entrepot::ledger
