// The state machine: what each record does. Live operation and recovery both come through here.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "ledger/ledger.h"

namespace entrepot::ledger {

namespace {

constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;

std::int32_t day_of(Instant at) {
    const std::int64_t day = at.ns / kDayNs - (at.ns % kDayNs < 0 ? 1 : 0);
    return static_cast<std::int32_t>(day);
}

std::unexpected<Error> does_not_follow(std::string what) {
    return fail(ErrorCode::kJournalCorrupt,
        "a record does not follow from those before it: " + std::move(what));
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    return hash ^ hash >> 29;
}

std::uint64_t pair_of(NameId a, NameId b) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 |
        static_cast<std::uint32_t>(b);
}

UsageKey usage_key(Instant at, NameId key, NameId team, NameId org, const Route& route) {
    return {day_of(at), org, team, key, route.model, route.offer, route.cloud};
}

UsageKey usage_key(const HoldRecord& hold) {
    return usage_key(hold.dispatch, hold.key, hold.team, hold.org, hold.route);
}

}  // namespace

std::size_t Ledger::UsageHash::operator()(const UsageKey& key) const {
    std::uint64_t hash = mix(static_cast<std::uint32_t>(key.day), pair_of(key.org, key.team));
    hash = mix(hash, pair_of(key.key, key.model));
    return mix(hash, pair_of(key.offer, key.cloud));
}

std::size_t Ledger::TripleHash::operator()(const std::array<NameId, 3>& key) const {
    return mix(mix(1, pair_of(key[0], key[1])), static_cast<std::uint32_t>(key[2]));
}

Status Ledger::apply(std::string_view payload) {
    ENTREPOT_TRY(const Record record, decode(payload));
    return std::visit([this](const auto& one) { return apply(one); }, record);
}

Status Ledger::apply(const NameRecord& record) {
    if (static_cast<std::size_t>(record.id) != names_.size()) {
        return does_not_follow(fmt::format("name {} comes after name {}",
            static_cast<std::uint32_t>(record.id), names_.size() - 1));
    }
    if (name_index_.contains(record.name))
        return does_not_follow(fmt::format("the name '{}' twice", record.name));
    names_.emplace_back(record.name);
    name_index_.emplace(names_.back(), record.id);
    return {};
}

Status Ledger::apply(const BudgetRecord& record) {
    const auto owner_number = static_cast<std::uint32_t>(record.owner);
    if (name_of(record.owner).empty() || name_of(record.zone).empty())
        return does_not_follow("a budget without names");
    const auto found = budget_index_.find(key_of(record));
    const std::uint32_t known =
        found != budget_index_.end() ? found->second : static_cast<std::uint32_t>(budgets_.size());
    if (record.id != known)
        return does_not_follow(fmt::format("budget {} in the place of {}", record.id, known));
    if (record.id == budgets_.size()) {
        budgets_.emplace_back();
        budget_index_.emplace(key_of(record), record.id);
        budgets_.back().record = record;
        budgets_.back().record.active = false;
    }
    Budget& budget = budgets_[record.id];
    if (budget.zone == nullptr) {
        auto zone = zones_.find(record.zone);
        if (zone == zones_.end()) {
            if (Result<TimeZone> looked = TimeZone::find(name_of(record.zone))) {
                zone = zones_.emplace(record.zone, *std::move(looked)).first;
            }
        }
        if (zone != zones_.end()) budget.zone = &zone->second;
    }
    std::vector<std::uint32_t>& owned =
        owners_[static_cast<std::uint64_t>(record.owner_kind) << 32 | owner_number];
    if (record.active != budget.record.active) {
        ++generation_;
        if (record.active) {
            if (owned.size() >= kBudgetsPerOwnerMax)
                return does_not_follow("too many budgets of one owner");
            owned.push_back(record.id);
        } else {
            std::erase(owned, record.id);
        }
    }
    budget.record = record;
    if (!budget.dirty) {
        budget.dirty = true;
        dirty_budgets_.push_back(record.id);
    }
    return {};
}

std::uint32_t Ledger::put_account(const Account& account) {
    std::uint32_t slot;
    if (free_accounts_.empty()) {
        slot = static_cast<std::uint32_t>(accounts_.size());
        accounts_.push_back(account);
    } else {
        slot = free_accounts_.back();
        free_accounts_.pop_back();
        accounts_[slot] = account;
    }
    account_index_.put(static_cast<std::uint32_t>(account.id), slot);
    Budget& budget = budgets_[account.budget];
    budget.slots.push_back(slot);
    if (budget.period.begin == account.period.begin && budget.period.end == account.period.end)
        budget.slot = slot;
    return slot;
}

void Ledger::touch(std::uint32_t account_slot) {
    Account& account = accounts_[account_slot];
    if (account.dirty) return;
    account.dirty = true;
    dirty_accounts_.push_back(account_slot);
}

Status Ledger::apply(const AccountRecord& record) {
    if (static_cast<std::uint32_t>(record.id) != accounts_made_ + 1) {
        return does_not_follow(fmt::format("account {} comes after account {}",
            static_cast<std::uint32_t>(record.id), accounts_made_));
    }
    if (record.budget == 0 || record.budget >= budgets_.size())
        return does_not_follow("an account of no budget");
    ++accounts_made_;
    Account account;
    account.id = record.id;
    account.budget = record.budget;
    account.period = record.period;
    touch(put_account(account));
    return {};
}

std::uint32_t Ledger::put_attempt(const Attempt& attempt) {
    std::uint32_t slot;
    if (free_attempts_.empty()) {
        slot = static_cast<std::uint32_t>(attempts_.size());
        attempts_.push_back(attempt);
    } else {
        slot = free_attempts_.back();
        free_attempts_.pop_back();
        attempts_[slot] = attempt;
    }
    attempts_[slot].previous = exchanges_.find(attempt.hold.exchange);
    exchanges_.put(attempt.hold.exchange, slot);
    return slot;
}

Status Ledger::apply(const HoldRecord& record) {
    if (find_attempt(record.exchange, record.attempt) != nullptr) {
        return does_not_follow(fmt::format(
            "exchange {} attempt {} held twice", record.exchange.to_string(), record.attempt));
    }
    Attempt attempt;
    attempt.hold = record;
    attempt.amount = record.amount;
    for (std::size_t i = 0; i < record.account_count; ++i) {
        attempt.slots[i] = account_index_.find(static_cast<std::uint32_t>(record.accounts[i]));
        if (attempt.slots[i] == kNoSlot) {
            ENTREPOT_TRY(const std::optional<Account> there, log_.recall(record.accounts[i]));
            if (there && there->budget != 0 && there->budget < budgets_.size())
                attempt.slots[i] = put_account(*there);
        }
        if (attempt.slots[i] == kNoSlot) {
            return does_not_follow(fmt::format("a hold in the unknown account {}",
                static_cast<std::uint32_t>(record.accounts[i])));
        }
    }
    for (std::size_t i = 0; i < record.account_count; ++i) {
        Account& account = accounts_[attempt.slots[i]];
        account.held += record.amount;
        account.limit_max = std::max(account.limit_max, budgets_[account.budget].record.limit);
        ++account.open;
        touch(attempt.slots[i]);
    }
    (void)put_attempt(attempt);
    ++open_;
    return {};
}

Status Ledger::apply(const ResizeRecord& record) {
    Attempt* const attempt = find_attempt(record.exchange, record.attempt);
    if (attempt == nullptr || attempt->state != Attempt::State::kHeld || !attempt->hold.bounded) {
        return does_not_follow("a resize of what is not held");
    }
    for (std::size_t i = 0; i < attempt->hold.account_count; ++i) {
        Account& account = accounts_[attempt->slots[i]];
        account.held += record.amount - attempt->amount;
        if (record.amount > attempt->amount) {
            account.limit_max = std::max(account.limit_max, budgets_[account.budget].record.limit);
        }
        touch(attempt->slots[i]);
    }
    attempt->amount = record.amount;
    return {};
}

void Ledger::end_hold(Attempt& attempt, Money settled, Money overdraft) {
    for (std::size_t i = 0; i < attempt.hold.account_count; ++i) {
        Account& account = accounts_[attempt.slots[i]];
        account.held -= attempt.amount;
        account.settled += settled;
        account.overdraft += overdraft;
        --account.open;
        touch(attempt.slots[i]);
    }
    --open_;
}

/// One entry, two sides: the spender's expense is debited, what we owe the cloud is credited.
void Ledger::post(const Attempt& attempt, Money cost) {
    const std::array<NameId, 3> spender{attempt.hold.key, attempt.hold.team, attempt.hold.org};
    const auto cloud = static_cast<std::uint32_t>(attempt.hold.route.cloud);
    std::uint32_t expense = expense_index_.find(spender);
    if (expense == kNoSlot) {
        expense = static_cast<std::uint32_t>(balances_.size());
        balances_.push_back({Balance::Side::kExpense, spender[0], spender[1], spender[2],
            NameId::kNone, Money(), false});
        expense_index_.put(spender, expense);
    }
    std::uint32_t payable = payable_index_.find(cloud);
    if (payable == kNoSlot) {
        payable = static_cast<std::uint32_t>(balances_.size());
        balances_.push_back({Balance::Side::kPayable, NameId::kNone, NameId::kNone, NameId::kNone,
            attempt.hold.route.cloud, Money(), false});
        payable_index_.put(cloud, payable);
    }
    balances_[expense].amount += cost;
    debits_ += cost;
    balances_[payable].amount += cost;
    credits_ += cost;
    for (const std::uint32_t at : {expense, payable}) {
        if (balances_[at].dirty) continue;
        balances_[at].dirty = true;
        dirty_balances_.push_back(at);
    }
}

UsageDelta& Ledger::usage_of(const UsageKey& key) {
    std::uint32_t at = usage_index_.find(key);
    if (at == kNoSlot) {
        at = static_cast<std::uint32_t>(usage_.size());
        usage_.push_back({key, {}});
        usage_index_.put(key, at);
    }
    return usage_[at].delta;
}

Status Ledger::apply(const SettleRecord& record) {
    Attempt* const attempt = find_attempt(record.exchange, record.attempt);
    if (attempt == nullptr || attempt->state != Attempt::State::kHeld) {
        return does_not_follow(fmt::format("exchange {} attempt {} is settled and is not held",
            record.exchange.to_string(), record.attempt));
    }
    const SettleRequest& request = record.request;
    const bool over = attempt->hold.bounded && request.cost > attempt->amount;
    const Money overdraft = over ? request.cost - attempt->amount : Money();
    if (over != ((request.flags & settle_flag::kOverdraft) != 0))
        return does_not_follow("an overdraft that is none");
    end_hold(*attempt, request.cost, overdraft);
    attempt->state = Attempt::State::kSettled;
    attempt->settled = request;
    post(*attempt, request.cost);

    UsageDelta& row = usage_of(usage_key(attempt->hold));
    ++row.attempts;
    for (std::size_t i = 0; i < canon::kMeterCount; ++i)
        row.usage.counts[i] += request.usage.counts[i];
    row.cost += request.cost;
    row.list_cost += request.list_cost;
    row.overdraft += overdraft;
    if ((request.flags & settle_flag::kEstimated) != 0) {
        ++row.estimated;
        row.estimated_cost += request.cost;
    }
    if ((request.flags & settle_flag::kUnverified) != 0) {
        ++row.unverified;
        row.unverified_cost += request.cost;
        unverified_.push_back({attempt->hold, attempt->amount});
    }
    if ((request.flags & settle_flag::kUnpriced) != 0) ++row.unpriced;
    return {};
}

Status Ledger::apply(const ReleaseRecord& record) {
    Attempt* const attempt = find_attempt(record.exchange, record.attempt);
    if (attempt == nullptr || attempt->state != Attempt::State::kHeld) {
        return does_not_follow(fmt::format("exchange {} attempt {} is released and is not held",
            record.exchange.to_string(), record.attempt));
    }
    end_hold(*attempt, Money(), Money());
    attempt->state = Attempt::State::kReleased;
    ++usage_of(usage_key(attempt->hold)).released;
    return {};
}

Status Ledger::apply(const CloseRecord& record) {
    const ExchangeClose& facts = record.facts;
    const std::uint32_t last = exchanges_.find(facts.exchange);
    for (std::uint32_t at = last; at != kNoSlot; at = attempts_[at].previous) {
        if (attempts_[at].state == Attempt::State::kHeld)
            return does_not_follow("an exchange closed over an open hold");
    }
    // Under the day of its first dispatch, so that an exchange and its attempts stand in one row.
    Instant began = facts.exchange.time();
    for (std::uint32_t at = last; at != kNoSlot;) {
        began = attempts_[at].hold.dispatch;
        free_attempts_.push_back(at);
        at = attempts_[at].previous;
    }
    if (last != kNoSlot) exchanges_.erase(facts.exchange);
    ++usage_of(usage_key(began, facts.key, facts.team, facts.org, facts.route)).exchanges;
    return {};
}

}  // namespace entrepot::ledger
