// What the ledger can be asked, and the proof that it adds up.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "ledger/ledger.h"

namespace entrepot::ledger {

Ledger::Standing Ledger::standing_of(const Budget& budget, Instant at) const {
    Standing standing;
    standing.budget = &budget.record;
    if (budget.zone == nullptr) return standing;
    standing.period = budget.zone->period_of(budget.record.period, at);
    std::optional<Account> account;
    for (const std::uint32_t slot : budget.slots) {
        if (accounts_[slot].period.begin == standing.period.begin) account = accounts_[slot];
    }
    if (!account && standing.period.end < horizon_) {
        account = log_.recall(budget.record.id, standing.period.begin).value_or(std::nullopt);
    }
    if (account) {
        standing.settled = account->settled;
        standing.held = account->held;
        standing.overdraft = account->overdraft;
        standing.open = account->open;
    }
    return standing;
}

std::vector<Ledger::Standing> Ledger::standing(PathId path, Instant at) const {
    std::vector<Standing> all;
    if (const Path* found = path_at(path)) {
        for (const std::uint32_t id : budgets_of(*found))
            all.push_back(standing_of(budgets_[id], at));
    }
    return all;
}

std::vector<Ledger::Standing> Ledger::budgets(Instant at) const {
    std::vector<Standing> all;
    for (std::size_t id = 1; id < budgets_.size(); ++id) {
        if (budgets_[id].record.active) all.push_back(standing_of(budgets_[id], at));
    }
    return all;
}

std::vector<Account> Ledger::accounts() const {
    std::vector<bool> is_free(accounts_.size(), false);
    for (const std::uint32_t slot : free_accounts_) is_free[slot] = true;
    std::vector<Account> all;
    all.reserve(accounts_.size() - free_accounts_.size());
    for (std::size_t i = 0; i < accounts_.size(); ++i) {
        if (!is_free[i]) all.push_back(accounts_[i]);
    }
    std::ranges::sort(all, {}, &Account::id);
    return all;
}

std::vector<Attempt> Ledger::attempts() const {
    std::vector<Attempt> all;
    all.reserve(attempts_.size() - free_attempts_.size());
    std::vector<bool> is_free(attempts_.size(), false);
    for (const std::uint32_t slot : free_attempts_) is_free[slot] = true;
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
        if (!is_free[i]) all.push_back(attempts_[i]);
    }
    std::ranges::sort(all, [](const Attempt& a, const Attempt& b) {
        return std::tie(a.hold.exchange, a.hold.attempt) <
            std::tie(b.hold.exchange, b.hold.attempt);
    });
    return all;
}

std::vector<std::string> Ledger::verify() const {
    std::vector<std::string> wrong;
    struct Sum {
        Money held;
        std::uint32_t open = 0;
    };
    std::map<AccountId, Sum> sums;
    std::size_t open = 0;
    for (const Attempt& attempt : attempts()) {
        if (attempt.state != Attempt::State::kHeld) continue;
        ++open;
        for (std::size_t i = 0; i < attempt.hold.account_count; ++i) {
            Sum& sum = sums[attempt.hold.accounts[i]];
            sum.held += attempt.amount;
            ++sum.open;
        }
    }
    if (open != open_)
        wrong.push_back(fmt::format("{} attempts are open, {} are counted", open, open_));
    for (const Account& account : accounts()) {
        const auto id = static_cast<std::uint32_t>(account.id);
        const auto found = sums.find(account.id);
        const Sum sum = found != sums.end() ? found->second : Sum{};
        if (found != sums.end()) sums.erase(found);
        if (sum.held != account.held || sum.open != account.open) {
            wrong.push_back(
                fmt::format("account {} holds {} in {} holds; its open attempts hold {} in {}", id,
                    account.held.to_decimal(), account.open, sum.held.to_decimal(), sum.open));
        }
        if (account.held.is_negative() || account.settled.is_negative() ||
            account.overdraft.is_negative()) {
            wrong.push_back(fmt::format("account {} has a negative sum", id));
        }
        if (account.held + account.settled - account.overdraft > account.limit_max) {
            wrong.push_back(fmt::format(
                "account {} has {} held and {} settled ({} of it overdraft) under a limit of {}",
                id, account.held.to_decimal(), account.settled.to_decimal(),
                account.overdraft.to_decimal(), account.limit_max.to_decimal()));
        }
    }
    for (const auto& [id, sum] : sums) {
        wrong.push_back(fmt::format("{} is held in account {}, which is not there",
            sum.held.to_decimal(), static_cast<std::uint32_t>(id)));
    }
    Money debits, credits;
    for (const Balance& balance : balances_) {
        (balance.side == Balance::Side::kExpense ? debits : credits) += balance.amount;
    }
    if (debits != credits || debits != debits_ || credits != credits_) {
        wrong.push_back(
            fmt::format("debits are {} (counted {}), credits {} (counted {})", debits.to_decimal(),
                debits_.to_decimal(), credits.to_decimal(), credits_.to_decimal()));
    }
    return wrong;
}

std::string Ledger::dump() const {
    std::string out;
    const auto line = [&out](std::string text) { out += std::move(text) + '\n'; };
    for (std::size_t i = 1; i < names_.size(); ++i) line(fmt::format("name {} {}", i, names_[i]));
    for (std::size_t i = 1; i < budgets_.size(); ++i) {
        const BudgetRecord& budget = budgets_[i].record;
        line(fmt::format("budget {} {} {} {} {} limit {} active {}", i,
            owner_kind_name(budget.owner_kind), name_of(budget.owner),
            period_kind_name(budget.period), name_of(budget.zone), budget.limit.to_decimal(),
            budget.active));
    }
    for (const Account& account : accounts()) {
        line(fmt::format(
            "account {} of {} from {} to {} limit {} held {} in {} settled {} overdraft {}",
            static_cast<std::uint32_t>(account.id), account.budget, account.period.begin.ns,
            account.period.end.ns, account.limit_max.to_decimal(), account.held.to_decimal(),
            account.open, account.settled.to_decimal(), account.overdraft.to_decimal()));
    }
    for (const Attempt& attempt : attempts()) {
        line(fmt::format("attempt {} {} state {} held {} cost {} flags {}",
            attempt.hold.exchange.to_string(), attempt.hold.attempt,
            static_cast<int>(attempt.state), attempt.amount.to_decimal(),
            attempt.settled.cost.to_decimal(), attempt.settled.flags));
    }
    std::vector<std::string> rows;
    for (const Balance& balance : balances_) {
        rows.push_back(fmt::format("balance {} {}/{}/{} {} {}", static_cast<int>(balance.side),
            name_of(balance.org), name_of(balance.team), name_of(balance.key),
            name_of(balance.cloud), balance.amount.to_decimal()));
    }
    for (const UsageChange& row : usage_) {
        rows.push_back(fmt::format("usage {} {}/{}/{} {} {} {}: {} {} {} {} {} {}", row.key.day,
            name_of(row.key.org), name_of(row.key.team), name_of(row.key.key),
            name_of(row.key.model), name_of(row.key.offer), name_of(row.key.cloud),
            row.delta.exchanges, row.delta.attempts, row.delta.released,
            canon::to_json(row.delta.usage), row.delta.cost.to_decimal(),
            row.delta.overdraft.to_decimal()));
    }
    std::ranges::sort(rows);
    for (std::string& row : rows) line(std::move(row));
    line(fmt::format(
        "debits {} credits {} open {}", debits_.to_decimal(), credits_.to_decimal(), open_));
    return out;
}

}  // namespace entrepot::ledger
