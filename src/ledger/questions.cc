// What the ledger can be asked, and the proof that it adds up.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "ledger/ledger.h"

namespace entrepot::ledger {

Ledger::Standing Ledger::standing_of(const Budget& budget, NameId end_user, Instant at) const {
    Standing standing;
    standing.budget = &budget.record;
    const bool is_own = budget.record.owner_kind == OwnerKind::kEndUser;
    if (is_own) standing.end_user = end_user;
    if (budget.zone == nullptr) return standing;
    standing.period = budget.zone->period_of(budget.record.period, at);
    std::optional<Account> account;
    const auto see = [&](std::uint32_t slot) {
        if (accounts_[slot].period.begin == standing.period.begin) account = accounts_[slot];
    };
    if (is_own) {
        const std::array key{budget.record.id, static_cast<std::uint32_t>(end_user)};
        for (std::uint32_t slot = end_user_accounts_.find(key); slot != kNoSlot;
            slot = accounts_[slot].next)
            see(slot);
    } else {
        for (const std::uint32_t slot : budget.slots) see(slot);
    }
    if (!account && standing.period.end < horizon_) {
        account = log_.recall(budget.record.id, standing.end_user, standing.period.begin)
                      .value_or(std::nullopt);
    }
    if (account) {
        standing.settled = account->settled;
        standing.held = account->held;
        standing.overdraft = account->overdraft;
        standing.open = account->open;
    }
    return standing;
}

std::vector<Ledger::Standing> Ledger::standing(PathId path, Instant at, NameId end_user) const {
    std::vector<Standing> all;
    if (const Path* found = path_at(path)) {
        for (const std::uint32_t id : budgets_of(*found, end_user))
            all.push_back(standing_of(budgets_[id], end_user, at));
    }
    return all;
}

std::vector<Ledger::Standing> Ledger::budgets(Instant at) const {
    std::vector<Standing> all;
    for (std::size_t id = 1; id < budgets_.size(); ++id) {
        if (!budgets_[id].record.active) continue;
        if (budgets_[id].record.owner_kind != OwnerKind::kEndUser)
            all.push_back(standing_of(budgets_[id], NameId::kNone, at));
    }
    for (const Account& account : accounts()) {
        if (account.end_user == NameId::kNone || at < account.period.begin ||
            at >= account.period.end || !budgets_[account.budget].record.active)
            continue;
        all.push_back(standing_of(budgets_[account.budget], account.end_user, at));
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
        if (account.held.is_negative() || (account.settled - account.adjusted).is_negative() ||
            account.overdraft.is_negative()) {
            wrong.push_back(fmt::format("account {} has a negative sum", id));
        }
        if (account.held + account.settled - account.overdraft - account.adjusted_up >
            account.limit_max) {
            wrong.push_back(fmt::format(
                "account {} has {} held and {} settled ({} of it overdraft, {} corrected) under a "
                "limit of {}",
                id, account.held.to_decimal(), account.settled.to_decimal(),
                account.overdraft.to_decimal(), account.adjusted_up.to_decimal(),
                account.limit_max.to_decimal()));
        }
    }
    for (const auto& [id, sum] : sums) {
        wrong.push_back(fmt::format("{} is held in account {}, which is not there",
            sum.held.to_decimal(), static_cast<std::uint32_t>(id)));
    }
    for (const IdempotencyEntry& entry : idempotency_.entries()) {
        if (entry.is_open && !is_open(entry.exchange))
            wrong.push_back(fmt::format("an idempotency key waits for exchange {}, which is over",
                entry.exchange.to_string()));
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
    for (std::size_t i = 1; i < names_.size(); ++i)
        line(fmt::format(
            "name {} {} {}", i, static_cast<std::uint32_t>(names_[i].scope), names_[i].text));
    for (std::size_t i = 1; i < budgets_.size(); ++i) {
        const BudgetRecord& budget = budgets_[i].record;
        line(fmt::format("budget {} {} {} {} {} limit {} active {}", i,
            owner_kind_name(budget.owner_kind), name_of(budget.owner),
            period_kind_name(budget.period), name_of(budget.zone), budget.limit.to_decimal(),
            budget.active, budget.raise.to_decimal(), budget.raise_until.ns));
    }
    for (const Account& account : accounts()) {
        line(fmt::format(
            "account {} of {}/{} from {} to {} limit {} held {} in {} settled {} overdraft {} "
            "adjusted {} up {}",
            static_cast<std::uint32_t>(account.id), account.budget,
            static_cast<std::uint32_t>(account.end_user), account.period.begin.ns,
            account.period.end.ns, account.limit_max.to_decimal(), account.held.to_decimal(),
            account.open, account.settled.to_decimal(), account.overdraft.to_decimal(),
            account.adjusted.to_decimal(), account.adjusted_up.to_decimal()));
    }
    for (const Attempt& attempt : attempts()) {
        line(fmt::format("attempt {} {} state {} held {} cost {} flags {}",
            attempt.hold.exchange.to_string(), attempt.hold.attempt,
            static_cast<int>(attempt.state), attempt.amount.to_decimal(),
            attempt.settled.cost.to_decimal(), attempt.settled.flags));
    }
    for (const IdempotencyEntry& entry : idempotency_.entries()) {
        line(fmt::format("idempotency {} {} of {} key {} at {} open {} status {}",
            fmt::join(entry.idempotency.key, ","), fmt::join(entry.idempotency.request, ","),
            entry.exchange.to_string(), static_cast<std::uint32_t>(entry.client_key),
            entry.claimed.ns, entry.is_open, entry.status));
    }
    std::vector<std::string> rows;
    for (const Balance& balance : balances_) {
        rows.push_back(fmt::format("balance {} {}/{}/{}/{} {} {} {}",
            static_cast<int>(balance.side), name_of(balance.org), name_of(balance.team),
            name_of(balance.project), name_of(balance.key), name_of(balance.cloud),
            name_of(balance.contract), balance.amount.to_decimal()));
    }
    const auto terms_of = [&](std::uint32_t at) {
        const Dimensions& d = dimensions_[at];
        return fmt::format("{}/{}/{}/{}/{} [{}] {} {} {} {} {} {} {}", name_of(d.spender.org),
            name_of(d.spender.team), name_of(d.spender.project), name_of(d.spender.key),
            name_of(d.spender.end_user), name_of(d.spender.tags), name_of(d.route.model),
            name_of(d.route.offer), name_of(d.route.cloud), name_of(d.contract),
            name_of(d.rate_version), d.tier, d.ctx_over);
    };
    for (const UsageChange& row : usage_) {
        rows.push_back(fmt::format("usage {} {}: {} {} {} {} {} {} {}", row.day,
            terms_of(row.dimensions), row.delta.exchanges, row.delta.attempts, row.delta.released,
            canon::to_json(row.delta.usage), row.delta.cost.to_decimal(),
            row.delta.overdraft.to_decimal(), row.delta.adjusted.to_decimal()));
    }
    for (const ChargeChange& row : charges_) {
        rows.push_back(fmt::format("charge {} {} {}: {} {} {}", row.hour, terms_of(row.dimensions),
            row.meter, row.quantity, row.cost.to_decimal(), row.list_cost.to_decimal()));
    }
    std::ranges::sort(rows);
    for (std::string& row : rows) line(std::move(row));
    line(fmt::format("debits {} credits {} open {} adjustments {} sealed until {}",
        debits_.to_decimal(), credits_.to_decimal(), open_, adjustments_.size(), sealed_until_.ns));
    return out;
}

}  // namespace entrepot::ledger
