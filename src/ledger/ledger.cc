#include "ledger/ledger.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace entrepot::ledger {

namespace {

std::uint64_t owner_key(OwnerKind kind, NameId owner) {
    return static_cast<std::uint64_t>(kind) << 32 | static_cast<std::uint32_t>(owner);
}

std::string attempt_name(const ExchangeId& exchange, std::uint16_t attempt) {
    return fmt::format("exchange {} attempt {}", exchange.to_string(), attempt);
}

std::unexpected<Error> unknown_hold(const ExchangeId& exchange, std::uint16_t attempt) {
    return fail(ErrorCode::kUnknownHold,
        fmt::format("{} has no hold in the books", attempt_name(exchange, attempt)));
}

/// A supplier may claim anything: no claim may stop the process or leave the sums' range.
void bring_into_range(SettleRequest& request) {
    for (std::int64_t& count : request.usage.counts)
        count = std::clamp<std::int64_t>(count, 0, kCountMax);
    request.cost = std::clamp(request.cost, Money(), kAmountMax);
    request.list_cost = std::clamp(request.list_cost, Money(), kAmountMax);
    request.ctx_over = std::clamp<std::int64_t>(request.ctx_over, 0, kCountMax);
}

void bring_into_range(MeterCosts& lines) {
    for (MeterCost& line : lines.of) {
        line.quantity = std::clamp<std::int64_t>(line.quantity, 0, kCountMax);
        line.cost = std::clamp(line.cost, Money(), kAmountMax);
        line.list_cost = std::clamp(line.list_cost, Money(), kAmountMax);
    }
}

}  // namespace

Result<NameId> Ledger::name(std::string_view text) { return intern({NameId::kNone, text}); }

Result<NameId> Ledger::scoped_name(NameId key, std::string_view text) {
    ENTREPOT_CHECK(key != NameId::kNone);
    return intern({key, text});
}

Result<NameId> Ledger::intern(const ScopedName& name) {
    if (const auto found = name_index_.find(name); found != name_index_.end()) return found->second;
    if (name.text.empty() || name.text.size() > kNameBytesMax) {
        return fail(ErrorCode::kInvalidField,
            fmt::format("a name in the books has 1 to {} bytes, this one {}", kNameBytesMax,
                name.text.size()));
    }
    if (name.scope != NameId::kNone) {
        const auto count = scoped_count_.find(name.scope);
        if (count != scoped_count_.end() && count->second >= kScopedNamesMax) {
            return fail(ErrorCode::kInvalidField,
                fmt::format("key '{}' has brought {} end users and sets of tags into the books, "
                            "which is the most; take few and steady values for both",
                    name_of(name.scope), kScopedNamesMax));
        }
    }
    const NameRecord record{static_cast<NameId>(names_.size()), name.text, name.scope};
    ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    return record.id;
}

std::string_view Ledger::name_of(NameId id) const {
    const auto at = static_cast<std::size_t>(id);
    return at < names_.size() ? std::string_view(names_[at].text) : std::string_view();
}

template <typename R>
Result<std::uint64_t> Ledger::write(const R& record, LogClass log_class) {
    EncodedRecord encoded;
    encode(record, encoded);
    ENTREPOT_TRY(const std::uint64_t position, log_.append(encoded.view(), log_class, open_));
    // What was decided here follows from the state; a refusal now would mean that it does not.
    const Status applied = apply(record);
    ENTREPOT_CHECK(applied.has_value());
    return position;
}

Ledger::BudgetKey Ledger::key_of(const BudgetRecord& record) const {
    return {record.owner_kind, record.owner, record.period, record.zone};
}

Status Ledger::set_budgets(std::span<const BudgetSpec> specs) {
    // Two budgets of one owner, period and zone say the same as the lower of them.
    struct Limits {
        Money limit;
        Money raise;
        Instant raise_until;
    };
    std::map<BudgetKey, Limits> wanted;
    std::map<std::pair<OwnerKind, NameId>, std::size_t> counts;
    for (const BudgetSpec& spec : specs) {
        if (spec.limit.is_negative() || spec.limit > kAmountMax) {
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("the budget of {} '{}' has the limit {}; it must be from 0 to {}",
                    owner_kind_name(spec.owner_kind), spec.owner, spec.limit.to_decimal(),
                    kAmountMax.to_decimal()));
        }
        if (spec.raise.is_negative() || spec.raise > kAmountMax - spec.limit) {
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("the budget of {} '{}' is to be raised by {}; a raise is from 0 to "
                            "what takes the limit to {}",
                    owner_kind_name(spec.owner_kind), spec.owner, spec.raise.to_decimal(),
                    kAmountMax.to_decimal()));
        }
        ENTREPOT_TRY(const NameId owner, name(spec.owner));
        ENTREPOT_TRY(const NameId zone, name(spec.zone.name()));
        zones_.emplace(zone, spec.zone);
        const Limits limits{spec.limit, spec.raise, spec.raise_until};
        const auto [at, fresh] =
            wanted.try_emplace({spec.owner_kind, owner, spec.period, zone}, limits);
        if (spec.limit < at->second.limit) at->second = limits;
        if (fresh && ++counts[{spec.owner_kind, owner}] > kBudgetsPerOwnerMax) {
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("{} '{}' has more than {} budgets; keep the tighter ones",
                    owner_kind_name(spec.owner_kind), spec.owner, kBudgetsPerOwnerMax));
        }
    }
    for (std::uint32_t id = 1; id < budgets_.size(); ++id) {
        if (!budgets_[id].record.active || wanted.contains(key_of(budgets_[id].record))) continue;
        BudgetRecord record = budgets_[id].record;
        record.active = false;
        ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    }
    for (const auto& [key, limits] : wanted) {
        const auto found = budget_index_.find(key);
        BudgetRecord record;
        if (found != budget_index_.end()) {
            record = budgets_[found->second].record;
            if (record.active && record.limit == limits.limit && record.raise == limits.raise &&
                record.raise_until == limits.raise_until)
                continue;
        } else {
            std::tie(record.owner_kind, record.owner, record.period, record.zone) = key;
            record.id = static_cast<std::uint32_t>(budgets_.size());
        }
        record.limit = limits.limit;
        record.raise = limits.raise;
        record.raise_until = limits.raise_until;
        record.active = true;
        ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    }
    return {};
}

Result<PathId> Ledger::path(const PathNames& names) {
    Path made;
    const auto take = [this](std::string_view text, NameId& to) -> Status {
        if (text.empty()) return {};
        ENTREPOT_TRY(to, name(text));
        return {};
    };
    ENTREPOT_TRY(made.spender.key, name(names.key));
    ENTREPOT_TRY_DO(take(names.team, made.spender.team));
    ENTREPOT_TRY_DO(take(names.project, made.spender.project));
    ENTREPOT_TRY_DO(take(names.org, made.spender.org));
    const std::array four{
        made.spender.key, made.spender.team, made.spender.project, made.spender.org};
    std::uint32_t at = path_index_.find(four);
    if (at == path_index_.kAbsent) {
        at = static_cast<std::uint32_t>(paths_.size());
        paths_.push_back(made);
        path_index_.put(four, at);
    }
    return static_cast<PathId>(at);
}

const Ledger::Path* Ledger::path_at(PathId id) const {
    const auto at = static_cast<std::size_t>(id);
    return at != 0 && at < paths_.size() ? &paths_[at] : nullptr;
}

std::span<const std::uint32_t> Ledger::budgets_of(const Path& path, NameId end_user) const {
    if (path.generation != generation_) {
        path.count = 0;
        const Spender& spender = path.spender;
        const std::array<std::pair<OwnerKind, NameId>, kOwnerKindCount> owners{
            {{OwnerKind::kKey, spender.key}, {OwnerKind::kProject, spender.project},
                {OwnerKind::kTeam, spender.team}, {OwnerKind::kOrg, spender.org},
                {OwnerKind::kEndUser, spender.key}}};
        for (const auto& [kind, owner] : owners) {
            if (kind == OwnerKind::kEndUser) path.shared_count = path.count;
            const auto found = owners_.find(owner_key(kind, owner));
            if (owner == NameId::kNone || found == owners_.end()) continue;
            for (const std::uint32_t budget : found->second) path.budgets[path.count++] = budget;
        }
        path.generation = generation_;
    }
    return {path.budgets.data(), end_user == NameId::kNone ? path.shared_count : path.count};
}

bool Ledger::has_budget(PathId path, NameId end_user) const {
    const Path* at = path_at(path);
    return at != nullptr && !budgets_of(*at, end_user).empty();
}

/// Makes `budget.period` and `budget.slot` those of `at`; asks the time zone only when the period
/// is another.
void Ledger::look_at(Budget& budget, Instant at) const {
    if (at >= budget.period.begin && at < budget.period.end) return;
    budget.period = budget.zone->period_of(budget.record.period, at);
    budget.slot = kNoSlot;
    for (const std::uint32_t slot : budget.slots) {
        if (accounts_[slot].period.begin == budget.period.begin) budget.slot = slot;
    }
}

std::uint32_t Ledger::slot_of(const Budget& budget, NameId end_user) const {
    if (budget.record.owner_kind != OwnerKind::kEndUser) return budget.slot;
    std::uint32_t slot =
        end_user_accounts_.find({budget.record.id, static_cast<std::uint32_t>(end_user)});
    while (slot != kNoSlot && accounts_[slot].period.begin != budget.period.begin)
        slot = accounts_[slot].next;
    return slot;
}

std::unexpected<Error> Ledger::refuse(const Short& by, Refusal* refusal) const {
    const BudgetRecord& budget = by.budget.record;
    const Money settled = by.account != nullptr ? by.account->settled : Money();
    const Money held = by.account != nullptr ? by.account->held : Money();
    const Money available = by.limit - settled - held;
    const bool renews = budget.period != PeriodKind::kTotal;
    const bool is_end_user = budget.owner_kind == OwnerKind::kEndUser;
    const std::string_view owner = name_of(is_end_user ? by.end_user : budget.owner);
    if (refusal != nullptr) {
        refusal->owner_kind = budget.owner_kind;
        refusal->owner = owner;
        refusal->period_kind = budget.period;
        refusal->zone = name_of(budget.zone);
        refusal->limit = by.limit;
        refusal->settled = settled;
        refusal->held = held;
        refusal->available = available;
        refusal->asked = by.asked;
        refusal->renews = renews ? std::optional<Instant>(by.period.end) : std::nullopt;
        refusal->only_holds = by.only_holds;
    }
    const std::string renewal =
        renews ? fmt::format("it renews at {}", to_rfc3339(by.period.end)) : "it does not renew";
    return fail(ErrorCode::kInsufficientBalance,
        fmt::format("the {} budget of {} '{}' has {} left of {} ({} held by open requests); this "
                    "request may cost up "
                    "to {}, and {}. {}",
            period_kind_name(budget.period), owner_kind_words(budget.owner_kind), owner,
            available.to_decimal(), by.limit.to_decimal(), held.to_decimal(), by.asked.to_decimal(),
            renewal,
            by.only_holds ? "Try again when open requests have ended, or lower the output limit."
                          : "Lower the output limit or raise the budget."));
}

Status Ledger::look_up(const Demand& demand) {
    for (const std::uint32_t id : demand.budgets) {
        Budget& budget = budgets_[id];
        if (budget.zone == nullptr) {
            return fail(ErrorCode::kInternal,
                fmt::format(
                    "the time zone '{}' of a budget is unknown here", name_of(budget.record.zone)));
        }
        look_at(budget, demand.at);
        if (budget.period.end < horizon_ && slot_of(budget, demand.end_user) == kNoSlot)
            [[unlikely]] {
            const bool is_own = budget.record.owner_kind == OwnerKind::kEndUser;
            ENTREPOT_TRY(const std::optional<Account> there,
                log_.recall(id, is_own ? demand.end_user : NameId::kNone, budget.period.begin));
            if (there) (void)put_account(*there);
        }
    }
    return {};
}

Status Ledger::find_room(const Demand& demand, Refusal* refusal) {
    ENTREPOT_TRY_DO(look_up(demand));
    const Budget* worst =
        nullptr;  // of those that refuse: one that no ending hold would help, then the emptiest
    bool only_holds = true;
    Money worst_room;
    for (const std::uint32_t id : demand.budgets) {
        const Budget& budget = budgets_[id];
        const std::uint32_t slot = slot_of(budget, demand.end_user);
        const Account* account = slot == kNoSlot ? nullptr : &accounts_[slot];
        const Money limit = budget.record.limit_at(demand.at);
        const Money unspent = account != nullptr ? limit - account->settled : limit;
        const Money room = account != nullptr ? unspent - account->held : unspent;
        if (room >= demand.asked) [[likely]]
            continue;
        const bool by_holds = unspent >= demand.asked;
        if (worst == nullptr || (only_holds && !by_holds) ||
            (only_holds == by_holds && room < worst_room)) {
            worst = &budget;
            worst_room = room;
        }
        only_holds = only_holds && by_holds;
    }
    if (worst == nullptr) [[likely]]
        return {};
    const std::uint32_t slot = slot_of(*worst, demand.end_user);
    return refuse({*worst, slot == kNoSlot ? nullptr : &accounts_[slot], demand.end_user,
                      worst->period, worst->record.limit_at(demand.at), demand.asked, only_holds},
        refusal);
}

Status Ledger::open_accounts(const Demand& demand) {
    for (const std::uint32_t id : demand.budgets) {
        const Budget& budget = budgets_[id];
        if (slot_of(budget, demand.end_user) != kNoSlot) [[likely]]
            continue;
        const bool is_own = budget.record.owner_kind == OwnerKind::kEndUser;
        const AccountRecord record{static_cast<AccountId>(accounts_made_ + 1), id, budget.period,
            is_own ? demand.end_user : NameId::kNone};
        ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    }
    return {};
}

Result<HoldTicket> Ledger::hold(const HoldRequest& request, Refusal* refusal) {
    const Path* path = path_at(request.path);
    if (path == nullptr)
        return fail(ErrorCode::kUnknownAccount, "the hold names a path the ledger never gave out");
    ENTREPOT_CHECK(request.attempt != 0);
    ENTREPOT_CHECK(
        !request.amount || (!request.amount->is_negative() && *request.amount <= kAmountMax));
    const Money asked = request.amount.value_or(Money());
    const Instant dispatch = request.dispatch;
    Spender spender = path->spender;
    spender.end_user = request.end_user;
    spender.tags = request.tags;

    if (const Attempt* found = find_attempt(request.exchange, request.attempt)) {
        const HoldRecord& there = found->hold;
        const bool same = there.spender == spender && there.route == request.route &&
            there.bounded == request.amount.has_value() && there.amount == asked &&
            there.dispatch == dispatch && there.idempotency == request.idempotency;
        if (!same || found->state != Attempt::State::kHeld) {
            return fail(ErrorCode::kHoldConflict,
                fmt::format("{} {}", attempt_name(request.exchange, request.attempt),
                    same ? "is already over" : "is already held with other facts"));
        }
        return HoldTicket{request.exchange, request.attempt, found->amount, true, 0};
    }

    if (request.idempotency) ENTREPOT_TRY_DO(find_unclaimed(request, path->spender.key, refusal));
    const Demand demand{budgets_of(*path, request.end_user), request.end_user, dispatch, asked};
    if (!demand.budgets.empty()) {
        if (!request.amount) {
            return fail(ErrorCode::kUnbounded,
                fmt::format(
                    "key '{}' is under a budget, so the request needs an upper bound of its cost",
                    name_of(spender.key)));
        }
        ENTREPOT_TRY_DO(find_room(demand, refusal));
        ENTREPOT_TRY_DO(open_accounts(demand));
    }
    HoldRecord record;
    record.exchange = request.exchange;
    record.attempt = request.attempt;
    record.spender = spender;
    record.route = request.route;
    record.bounded = request.amount.has_value();
    record.amount = asked;
    record.dispatch = dispatch;
    record.idempotency = request.idempotency;
    for (const std::uint32_t id : demand.budgets) {
        record.accounts[record.account_count++] =
            accounts_[slot_of(budgets_[id], request.end_user)].id;
    }
    ENTREPOT_TRY(const std::uint64_t position, write(record, LogClass::kBegin));
    return HoldTicket{request.exchange, request.attempt, asked, false, position};
}

Status Ledger::find_unclaimed(
    const HoldRequest& request, NameId client_key, Refusal* refusal) const {
    const IdempotencyEntry* const there = idempotency_.find(request.idempotency->key);
    const bool is_taken = there != nullptr && !there->is_over_at(request.dispatch);
    if (is_taken && there->exchange == request.exchange) return {};
    if (!is_taken) {
        if (idempotency_.has_room(client_key, request.dispatch)) return {};
        return fail(ErrorCode::kRateLimited,
            fmt::format("too many idempotency keys are in use: of one client key at most {} are "
                        "remembered, for 24 hours, and of all {}; ask without one, or later",
                kIdempotencyPerKeyMax, kIdempotencyMax));
    }
    if (refusal != nullptr) {
        refusal->earlier = there->exchange;
        refusal->earlier_is_open = there->is_open;
    }
    const std::string exchange = there->exchange.to_string();
    if (there->idempotency.request != request.idempotency->request) {
        return fail(ErrorCode::kIdempotencyMismatch,
            fmt::format("this Idempotency-Key belongs to another request, exchange {}, which asked "
                        "something else; take a new key for each request",
                exchange));
    }
    if (there->is_open) {
        return fail(ErrorCode::kIdempotencyConflict,
            fmt::format("the request with this Idempotency-Key is under way as exchange {}; it is "
                        "not sent a second time",
                exchange));
    }
    return fail(ErrorCode::kIdempotencyConflict,
        fmt::format("the request with this Idempotency-Key was done as exchange {} ({}); it is not "
                    "sent a second time. What it cost is at /api/exchanges/{}; take a new key to "
                    "ask again",
            exchange,
            there->status != 0 ? fmt::format("answered {}", there->status)
                               : "its client got no answer",
            exchange));
}

Attempt* Ledger::find_attempt(const ExchangeId& exchange, std::uint16_t attempt) {
    for (std::uint32_t at = exchanges_.find(exchange); at != kNoSlot; at = attempts_[at].previous) {
        if (attempts_[at].hold.attempt == attempt) return &attempts_[at];
    }
    return nullptr;
}

const Attempt* Ledger::find(const ExchangeId& exchange, std::uint16_t attempt) const {
    for (std::uint32_t at = exchanges_.find(exchange); at != kNoSlot; at = attempts_[at].previous) {
        if (attempts_[at].hold.attempt == attempt) return &attempts_[at];
    }
    return nullptr;
}

Result<Attempt*> Ledger::held_attempt(const ExchangeId& exchange, std::uint16_t attempt) {
    Attempt* found = find_attempt(exchange, attempt);
    if (found == nullptr) return unknown_hold(exchange, attempt);
    if (found->state != Attempt::State::kHeld || !found->hold.bounded) {
        return fail(ErrorCode::kHoldConflict,
            fmt::format("{} {}", attempt_name(exchange, attempt),
                found->hold.bounded ? "is already over" : "was held without an amount"));
    }
    return found;
}

Result<HoldTicket> Ledger::extend(
    const ExchangeId& exchange, std::uint16_t attempt, Money amount, Refusal* refusal) {
    ENTREPOT_CHECK(!amount.is_negative() && amount <= kAmountMax);
    ENTREPOT_TRY(Attempt* const found, held_attempt(exchange, attempt));
    if (amount == found->amount) return HoldTicket{exchange, attempt, amount, true, 0};
    if (amount < found->amount) {
        return fail(ErrorCode::kHoldConflict,
            fmt::format("{} holds {}, more than the {} it is to be extended to",
                attempt_name(exchange, attempt), found->amount.to_decimal(), amount.to_decimal()));
    }
    const Money more = amount - found->amount;
    for (std::size_t i = 0; i < found->hold.account_count; ++i) {
        const Account& account = accounts_[found->slots[i]];
        const Budget& budget = budgets_[account.budget];
        if (!budget.record.active) continue;  // the configuration took this limit away
        const Money limit = budget.record.limit_at(found->hold.dispatch);
        const Money unspent = limit - account.settled;
        if (unspent - account.held >= more) continue;
        // Its own hold would not end, so only the others' count as what may free room.
        const bool only_holds = unspent >= amount;
        return refuse(
            {budget, &account, account.end_user, account.period, limit, more, only_holds}, refusal);
    }
    ENTREPOT_TRY(const std::uint64_t position,
        write(ResizeRecord{exchange, attempt, amount}, LogClass::kBegin));
    return HoldTicket{exchange, attempt, amount, false, position};
}

Status Ledger::shrink(const ExchangeId& exchange, std::uint16_t attempt, Money amount) {
    ENTREPOT_CHECK(!amount.is_negative());
    ENTREPOT_TRY(Attempt* const found, held_attempt(exchange, attempt));
    if (amount == found->amount) return {};
    if (amount > found->amount) {
        return fail(ErrorCode::kHoldConflict,
            fmt::format("{} holds {}, less than the {} it is to be shrunk to",
                attempt_name(exchange, attempt), found->amount.to_decimal(), amount.to_decimal()));
    }
    // Not an ending: it is refused with the holds, so that it cannot use up the room kept for
    // settlements.
    ENTREPOT_TRY_DO(write(ResizeRecord{exchange, attempt, amount}, LogClass::kBegin));
    return {};
}

Result<Posting> Ledger::settle(const ExchangeId& exchange, std::uint16_t attempt,
    const SettleRequest& given, const MeterCosts& lines) {
    SettleRequest request = given;
    bring_into_range(request);
    ENTREPOT_CHECK((request.flags & settle_flag::kUnpriced) == 0 || request.cost.is_zero());
    Attempt* const found = find_attempt(exchange, attempt);
    if (found == nullptr) return unknown_hold(exchange, attempt);
    const bool over = found->hold.bounded && request.cost > found->amount;
    Posting posting;
    posting.cost = request.cost;
    posting.overdraft = over ? request.cost - found->amount : Money();
    posting.returned = !found->hold.bounded || over ? Money() : found->amount - request.cost;
    if (found->state == Attempt::State::kHeld) [[likely]] {
        SettleRecord record{exchange, attempt, request, lines};
        bring_into_range(record.lines);
        record.request.flags = static_cast<std::uint8_t>(
            (request.flags & ~settle_flag::kOverdraft) | (over ? settle_flag::kOverdraft : 0));
        ENTREPOT_TRY_DO(write(record, LogClass::kEnd));
        return posting;
    }
    if (found->state == Attempt::State::kReleased || found->settled.cost != request.cost ||
        !(found->settled.usage == request.usage)) {
        return fail(ErrorCode::kSettleConflict,
            found->state == Attempt::State::kReleased
                ? fmt::format("{} was released", attempt_name(exchange, attempt))
                : fmt::format("{} was settled at {}, not at {}", attempt_name(exchange, attempt),
                      found->settled.cost.to_decimal(), request.cost.to_decimal()));
    }
    posting.repeated = true;
    return posting;
}

Status Ledger::release(const ReleaseRecord& record) {
    const Attempt* const found = find_attempt(record.exchange, record.attempt);
    if (found == nullptr) return unknown_hold(record.exchange, record.attempt);
    if (found->state == Attempt::State::kReleased) return {};
    if (found->state == Attempt::State::kSettled) {
        return fail(ErrorCode::kSettleConflict,
            fmt::format("{} was settled at {}", attempt_name(record.exchange, record.attempt),
                found->settled.cost.to_decimal()));
    }
    ENTREPOT_TRY_DO(write(record, LogClass::kEnd));
    return {};
}

Result<std::uint64_t> Ledger::close(const ExchangeClose& facts) {
    for (std::uint32_t at = exchanges_.find(facts.exchange); at != kNoSlot;
        at = attempts_[at].previous) {
        if (attempts_[at].state == Attempt::State::kHeld) {
            return fail(ErrorCode::kHoldConflict,
                fmt::format("{} is still open; settle or release it before its exchange is closed",
                    attempt_name(facts.exchange, attempts_[at].hold.attempt)));
        }
    }
    CloseRecord record{facts};
    if (const std::uint32_t last = exchanges_.find(facts.exchange); last != kNoSlot) {
        // Names the caller left out are those of its last attempt: an exchange stands in one row
        // with its attempts.
        const HoldRecord& hold = attempts_[last].hold;
        const auto fill = [](NameId& name, NameId from) {
            if (name == NameId::kNone) name = from;
        };
        fill(record.facts.spender.org, hold.spender.org);
        fill(record.facts.spender.team, hold.spender.team);
        fill(record.facts.spender.project, hold.spender.project);
        fill(record.facts.spender.key, hold.spender.key);
        fill(record.facts.spender.end_user, hold.spender.end_user);
        fill(record.facts.spender.tags, hold.spender.tags);
        fill(record.facts.route.model, hold.route.model);
        fill(record.facts.route.offer, hold.route.offer);
        fill(record.facts.route.cloud, hold.route.cloud);
    }
    return write(record, LogClass::kEnd);
}

Result<bool> Ledger::adjust(const AdjustRequest& request) {
    if (request.cost > kAmountMax || request.cost < -kAmountMax || request.list_cost > kAmountMax ||
        request.list_cost < -kAmountMax) {
        return fail(ErrorCode::kInvalidField,
            fmt::format("a correction of {} is beyond {}", request.cost.to_decimal(),
                kAmountMax.to_decimal()));
    }
    if (const std::uint32_t known = adjustment_index_.find(request.id); known != kNoSlot) {
        if (adjustments_[known] == request) return false;
        return fail(ErrorCode::kSettleConflict,
            fmt::format("correction {} was posted with other facts", request.id.to_string()));
    }
    AdjustRecord record{request, 0, {}};
    const Spender& spender = request.spender;
    std::vector<std::uint32_t> budgets;
    const std::array<std::pair<OwnerKind, NameId>, kOwnerKindCount> owners{
        {{OwnerKind::kKey, spender.key}, {OwnerKind::kProject, spender.project},
            {OwnerKind::kTeam, spender.team}, {OwnerKind::kOrg, spender.org},
            {OwnerKind::kEndUser,
                spender.end_user == NameId::kNone ? NameId::kNone : spender.key}}};
    for (const auto& [kind, owner] : owners) {
        const auto found = owners_.find(owner_key(kind, owner));
        if (owner == NameId::kNone || found == owners_.end()) continue;
        budgets.insert(budgets.end(), found->second.begin(), found->second.end());
    }
    const Demand demand{budgets, spender.end_user, request.at, {}};
    ENTREPOT_TRY_DO(look_up(demand));
    ENTREPOT_TRY_DO(open_accounts(demand));
    for (const std::uint32_t id : budgets)
        record.accounts[record.account_count++] =
            accounts_[slot_of(budgets_[id], spender.end_user)].id;
    ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    return true;
}

Status Ledger::seal(const SealRecord& record) {
    if (record.until <= sealed_until_ || record.until > record.at) {
        return fail(ErrorCode::kInvalidField,
            fmt::format("the books cannot be closed up to {}: {}", to_rfc3339(record.until),
                record.until > record.at
                    ? "that lies ahead"
                    : fmt::format("they are closed up to {}", to_rfc3339(sealed_until_))));
    }
    ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    return {};
}

Result<std::uint64_t> Ledger::end_open_attempts(
    Instant now, std::vector<Unverified>& ended, std::span<const ExchangeId> kept) {
    struct Exchange {
        Instant dispatch;
        ExchangeId id;
    };
    std::vector<Exchange> open;
    std::vector<bool> is_free(attempts_.size(), false);
    for (const std::uint32_t slot : free_attempts_) is_free[slot] = true;
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
        if (!is_free[i] && std::ranges::find(kept, attempts_[i].hold.exchange) == kept.end())
            open.push_back({attempts_[i].hold.dispatch, attempts_[i].hold.exchange});
    }
    std::ranges::sort(open, [](const Exchange& a, const Exchange& b) {
        return std::tie(a.dispatch.ns, a.id) < std::tie(b.dispatch.ns, b.id);
    });
    std::uint64_t closed = 0;
    for (const Exchange& exchange : open) {
        const std::uint32_t last = exchanges_.find(exchange.id);
        if (last == kNoSlot) continue;  // closed by an earlier attempt of it
        ExchangeClose facts;
        facts.exchange = exchange.id;
        facts.at = now;
        facts.spender = attempts_[last].hold.spender;
        facts.route = attempts_[last].hold.route;
        facts.ended_by = EndedBy::kCrash;
        for (std::uint32_t at = last; at != kNoSlot; at = attempts_[at].previous) {
            facts.attempts = std::max(facts.attempts, attempts_[at].hold.attempt);
            if (attempts_[at].state != Attempt::State::kHeld) continue;
            const Unverified entry{attempts_[at].hold, attempts_[at].amount};
            SettleRequest request;
            request.cost = entry.amount;
            request.list_cost = entry.amount;
            request.flags = settle_flag::kEstimated | settle_flag::kUnverified;
            if (!entry.hold.bounded) request.flags |= settle_flag::kUnpriced;
            request.at = now;
            ENTREPOT_TRY_DO(settle(entry.hold.exchange, entry.hold.attempt, request));
            ended.push_back(entry);
        }
        ENTREPOT_TRY_DO(close(facts));
        ++closed;
    }
    return closed;
}

}  // namespace entrepot::ledger
