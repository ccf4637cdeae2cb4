// The state machine: what each record does. Live operation and recovery both come through here.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "ledger/ledger.h"

namespace entrepot::ledger {

namespace {

constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;
constexpr std::int64_t kDayNs = 24 * kHourNs;

/// Whole units since 1970, also before it.
std::int64_t floor_to(Instant at, std::int64_t unit_ns) {
    return at.ns / unit_ns - (at.ns % unit_ns < 0 ? 1 : 0);
}

std::unexpected<Error> does_not_follow(std::string what) {
    return fail(ErrorCode::kJournalCorrupt,
        "a record does not follow from those before it: " + std::move(what));
}

Dimensions dimensions_of(const HoldRecord& hold) {
    Dimensions dimensions;
    dimensions.spender = hold.spender;
    dimensions.route = hold.route;
    return dimensions;
}

Dimensions dimensions_of(const HoldRecord& hold, const SettleRequest& settled) {
    Dimensions dimensions = dimensions_of(hold);
    dimensions.contract = settled.contract;
    dimensions.rate_version = settled.rate_version;
    dimensions.tier = settled.tier;
    dimensions.ctx_over = settled.ctx_over;
    return dimensions;
}

}  // namespace

std::size_t Ledger::DimensionsHash::operator()(const Dimensions& d) const {
    const auto number = [](NameId id) { return static_cast<std::uint64_t>(id); };
    const auto pair = [&](NameId a, NameId b) { return number(a) << 32 | number(b); };
    return NumbersHash()(std::array<std::uint64_t, 7>{pair(d.spender.org, d.spender.team),
        pair(d.spender.project, d.spender.key), pair(d.spender.end_user, d.spender.tags),
        pair(d.route.model, d.route.offer), pair(d.route.cloud, d.contract),
        number(d.rate_version) << 8 | d.tier, static_cast<std::uint64_t>(d.ctx_over)});
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
    if (static_cast<std::size_t>(record.scope) >= names_.size())
        return does_not_follow(fmt::format("the name '{}' of an unknown key", record.name));
    if (name_index_.contains({record.scope, record.name}))
        return does_not_follow(fmt::format("the name '{}' twice", record.name));
    names_.push_back({std::string(record.name), record.scope});
    name_index_.emplace(ScopedName{record.scope, names_.back().text}, record.id);
    if (record.scope != NameId::kNone) ++scoped_count_[record.scope];
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
    if (account.end_user != NameId::kNone) {
        const std::array key{account.budget, static_cast<std::uint32_t>(account.end_user)};
        accounts_[slot].next = end_user_accounts_.find(key);
        end_user_accounts_.put(key, slot);
        return slot;
    }
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
    account.end_user = record.end_user;
    touch(put_account(account));
    return {};
}

Status Ledger::find_slots(std::span<const AccountId> accounts, std::span<std::uint32_t> slots) {
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        slots[i] = account_index_.find(static_cast<std::uint32_t>(accounts[i]));
        if (slots[i] == kNoSlot) [[unlikely]] {
            ENTREPOT_TRY(const std::optional<Account> there, log_.recall(accounts[i]));
            if (there && there->budget != 0 && there->budget < budgets_.size())
                slots[i] = put_account(*there);
        }
        if (slots[i] == kNoSlot) {
            return does_not_follow(fmt::format(
                "an entry in the unknown account {}", static_cast<std::uint32_t>(accounts[i])));
        }
    }
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
    ENTREPOT_TRY_DO(
        find_slots(std::span(record.accounts).first(record.account_count), attempt.slots));
    if (record.idempotency) {
        const IdempotencyEntry* there = idempotency_.find(record.idempotency->key);
        if (there == nullptr || there->exchange != record.exchange) {
            if (there != nullptr && !there->is_over_at(record.dispatch))
                return does_not_follow("an idempotency key taken twice");
            IdempotencyEntry entry;
            entry.idempotency = *record.idempotency;
            entry.exchange = record.exchange;
            entry.client_key = record.spender.key;
            entry.claimed = record.dispatch;
            idempotency_.put(entry);
        }
    }
    for (std::size_t i = 0; i < record.account_count; ++i) {
        Account& account = accounts_[attempt.slots[i]];
        account.held += record.amount;
        account.limit_max =
            std::max(account.limit_max, budgets_[account.budget].record.limit_at(record.dispatch));
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
            account.limit_max = std::max(account.limit_max,
                budgets_[account.budget].record.limit_at(attempt->hold.dispatch));
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
void Ledger::post(const Dimensions& dimensions, Money cost) {
    const Spender& spender = dimensions.spender;
    const std::array spends{spender.key, spender.team, spender.project, spender.org};
    const std::array owed{dimensions.route.cloud, dimensions.contract};
    std::uint32_t expense = expense_index_.find(spends);
    if (expense == kNoSlot) {
        expense = static_cast<std::uint32_t>(balances_.size());
        Balance& balance = balances_.emplace_back();
        balance.side = Balance::Side::kExpense;
        balance.key = spender.key;
        balance.team = spender.team;
        balance.project = spender.project;
        balance.org = spender.org;
        expense_index_.put(spends, expense);
    }
    std::uint32_t payable = payable_index_.find(owed);
    if (payable == kNoSlot) {
        payable = static_cast<std::uint32_t>(balances_.size());
        Balance& balance = balances_.emplace_back();
        balance.side = Balance::Side::kPayable;
        balance.cloud = dimensions.route.cloud;
        balance.contract = dimensions.contract;
        payable_index_.put(owed, payable);
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

std::uint32_t Ledger::dimensions_at(const Dimensions& dimensions) {
    std::uint32_t at = dimensions_index_.find(dimensions);
    if (at == kNoSlot) {
        at = static_cast<std::uint32_t>(dimensions_.size());
        dimensions_.push_back(dimensions);
        dimensions_index_.put(dimensions, at);
    }
    return at;
}

UsageDelta& Ledger::usage_of(Instant dispatch, std::uint32_t dimensions) {
    const auto day = static_cast<std::int32_t>(floor_to(booked_at(dispatch), kDayNs));
    const std::array key{static_cast<std::uint32_t>(day), dimensions};
    std::uint32_t at = usage_index_.find(key);
    if (at == kNoSlot) {
        at = static_cast<std::uint32_t>(usage_.size());
        usage_.push_back({day, dimensions, {}});
        usage_index_.put(key, at);
    }
    return usage_[at].delta;
}

void Ledger::charge(
    Instant dispatch, std::uint32_t dimensions, std::uint8_t meter, const MeterCost& line) {
    const Instant booked = booked_at(dispatch);
    const auto hour = static_cast<std::int32_t>(floor_to(booked, kHourNs));
    if (booked != dispatch && meter < canon::kMeterCount) meter |= kMovedBit;
    const std::array<std::uint32_t, 3> key{static_cast<std::uint32_t>(hour), dimensions, meter};
    std::uint32_t at = charge_index_.find(key);
    if (at == kNoSlot) {
        at = static_cast<std::uint32_t>(charges_.size());
        charges_.push_back({hour, dimensions, meter, 0, {}, {}});
        charge_index_.put(key, at);
    }
    ChargeChange& row = charges_[at];
    row.quantity += line.quantity;
    row.cost += line.cost;
    row.list_cost += line.list_cost;
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
    const Dimensions terms = dimensions_of(attempt->hold, request);
    post(terms, request.cost);

    const Instant dispatch = attempt->hold.dispatch;
    const std::uint32_t dimensions = dimensions_at(terms);
    UsageDelta& row = usage_of(dispatch, dimensions);
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

    MeterCost rest{0, request.cost, request.list_cost};
    for (std::size_t meter = 0; meter < canon::kMeterCount; ++meter) {
        if (!record.lines.has(meter)) continue;
        const MeterCost& line = record.lines.of[meter];
        charge(dispatch, dimensions, static_cast<std::uint8_t>(meter), line);
        rest.cost -= line.cost;
        rest.list_cost -= line.list_cost;
    }
    if (!rest.cost.is_zero() || !rest.list_cost.is_zero())
        charge(dispatch, dimensions, kRestMeter, rest);
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
    ++usage_of(attempt->hold.dispatch, dimensions_at(dimensions_of(attempt->hold))).released;
    return {};
}

Status Ledger::apply(const CloseRecord& record) {
    const ExchangeClose& facts = record.facts;
    const std::uint32_t last = exchanges_.find(facts.exchange);
    for (std::uint32_t at = last; at != kNoSlot; at = attempts_[at].previous) {
        if (attempts_[at].state == Attempt::State::kHeld)
            return does_not_follow("an exchange closed over an open hold");
    }
    // Under the day of its first dispatch and the terms of the attempt that answered, so that an
    // exchange and its attempts stand in one row.
    Dimensions dimensions;
    dimensions.spender = facts.spender;
    dimensions.route = facts.route;
    Instant began = facts.exchange.time();
    bool is_answered = false;
    bool may_be_billed = false;
    std::optional<Idempotency> idempotency;
    for (std::uint32_t at = last; at != kNoSlot;) {
        const Attempt& attempt = attempts_[at];
        may_be_billed = may_be_billed || attempt.state == Attempt::State::kSettled;
        if (attempt.hold.idempotency) idempotency = attempt.hold.idempotency;
        if (!is_answered && attempt.state == Attempt::State::kSettled &&
            attempt.hold.route == facts.route) {
            dimensions = dimensions_of(attempt.hold, attempt.settled);
            is_answered = true;
        }
        began = attempt.hold.dispatch;
        free_attempts_.push_back(at);
        at = attempt.previous;
    }
    if (last != kNoSlot) exchanges_.erase(facts.exchange);
    // What nobody did may be asked again under its name.
    if (idempotency) idempotency_.end(idempotency->key, facts, may_be_billed);
    ++usage_of(began, dimensions_at(dimensions)).exchanges;
    return {};
}

Status Ledger::apply(const AdjustRecord& record) {
    const AdjustRequest& request = record.request;
    if (adjustment_index_.find(request.id) != kNoSlot)
        return does_not_follow(fmt::format("adjustment {} twice", request.id.to_string()));
    std::array<std::uint32_t, kAccountsPerPathMax> slots{};
    ENTREPOT_TRY_DO(find_slots(std::span(record.accounts).first(record.account_count), slots));
    for (std::size_t i = 0; i < record.account_count; ++i) {
        Account& account = accounts_[slots[i]];
        account.limit_max =
            std::max(account.limit_max, budgets_[account.budget].record.limit_at(request.at));
        account.settled += request.cost;
        account.adjusted += request.cost;
        if (request.cost > Money()) account.adjusted_up += request.cost;
        touch(slots[i]);
    }
    Dimensions terms;
    terms.spender = request.spender;
    terms.route = request.route;
    terms.contract = request.contract;
    post(terms, request.cost);
    const std::uint32_t dimensions = dimensions_at(terms);
    UsageDelta& row = usage_of(request.at, dimensions);
    row.cost += request.cost;
    row.list_cost += request.list_cost;
    row.adjusted += request.cost;
    charge(request.at, dimensions, kAdjustMeter, {0, request.cost, request.list_cost});
    adjustment_index_.put(request.id, static_cast<std::uint32_t>(adjustments_.size()));
    adjustments_.push_back(request);
    return {};
}

Status Ledger::apply(const SealRecord& record) {
    if (record.until <= sealed_until_)
        return does_not_follow("the books are closed to an earlier date than before");
    sealed_until_ = record.until;
    return {};
}

}  // namespace entrepot::ledger
