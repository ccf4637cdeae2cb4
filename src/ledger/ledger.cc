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
}

}  // namespace

Result<NameId> Ledger::name(std::string_view text) {
    if (const auto found = name_index_.find(text); found != name_index_.end()) return found->second;
    if (text.empty() || text.size() > kNameBytesMax) {
        return fail(ErrorCode::kInvalidField,
            fmt::format(
                "a name in the books has 1 to {} bytes, this one {}", kNameBytesMax, text.size()));
    }
    const NameRecord record{static_cast<NameId>(names_.size()), text};
    ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    return record.id;
}

std::string_view Ledger::name_of(NameId id) const {
    const auto at = static_cast<std::size_t>(id);
    return at < names_.size() ? std::string_view(names_[at]) : std::string_view();
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
    std::map<BudgetKey, Money> wanted;
    std::map<std::pair<OwnerKind, NameId>, std::size_t> counts;
    for (const BudgetSpec& spec : specs) {
        if (spec.limit.is_negative() || spec.limit > kAmountMax) {
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("the budget of {} '{}' has the limit {}; it must be from 0 to {}",
                    owner_kind_name(spec.owner_kind), spec.owner, spec.limit.to_decimal(),
                    kAmountMax.to_decimal()));
        }
        ENTREPOT_TRY(const NameId owner, name(spec.owner));
        ENTREPOT_TRY(const NameId zone, name(spec.zone.name()));
        zones_.emplace(zone, spec.zone);
        const auto [at, fresh] =
            wanted.try_emplace({spec.owner_kind, owner, spec.period, zone}, spec.limit);
        at->second = std::min(at->second, spec.limit);
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
    for (const auto& [key, limit] : wanted) {
        const auto found = budget_index_.find(key);
        BudgetRecord record;
        if (found != budget_index_.end()) {
            record = budgets_[found->second].record;
            if (record.active && record.limit == limit) continue;
        } else {
            std::tie(record.owner_kind, record.owner, record.period, record.zone) = key;
            record.id = static_cast<std::uint32_t>(budgets_.size());
        }
        record.limit = limit;
        record.active = true;
        ENTREPOT_TRY_DO(write(record, LogClass::kBegin));
    }
    return {};
}

Result<PathId> Ledger::path(std::string_view key, std::string_view team, std::string_view org) {
    Path made;
    ENTREPOT_TRY(made.key, name(key));
    if (!team.empty()) {
        ENTREPOT_TRY(made.team, name(team));
    }
    if (!org.empty()) {
        ENTREPOT_TRY(made.org, name(org));
    }
    const std::array<NameId, 3> triple{made.key, made.team, made.org};
    std::uint32_t at = path_index_.find(triple);
    if (at == path_index_.kAbsent) {
        at = static_cast<std::uint32_t>(paths_.size());
        paths_.push_back(made);
        path_index_.put(triple, at);
    }
    return static_cast<PathId>(at);
}

const Ledger::Path* Ledger::path_at(PathId id) const {
    const auto at = static_cast<std::size_t>(id);
    return at != 0 && at < paths_.size() ? &paths_[at] : nullptr;
}

std::span<const std::uint32_t> Ledger::budgets_of(const Path& path) const {
    if (path.generation != generation_) {
        path.count = 0;
        const std::array<std::pair<OwnerKind, NameId>, 3> owners{{{OwnerKind::kKey, path.key},
            {OwnerKind::kTeam, path.team}, {OwnerKind::kOrg, path.org}}};
        for (const auto& [kind, owner] : owners) {
            const auto found = owners_.find(owner_key(kind, owner));
            if (owner == NameId::kNone || found == owners_.end()) continue;
            for (const std::uint32_t budget : found->second) path.budgets[path.count++] = budget;
        }
        path.generation = generation_;
    }
    return {path.budgets.data(), path.count};
}

bool Ledger::has_budget(PathId path) const {
    const Path* at = path_at(path);
    return at != nullptr && !budgets_of(*at).empty();
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

std::unexpected<Error> Ledger::refuse(const Budget& budget, const Period& period,
    const Account* account, Money asked, bool only_holds, Refusal* refusal) const {
    const Money limit = budget.record.limit;
    const Money settled = account != nullptr ? account->settled : Money();
    const Money held = account != nullptr ? account->held : Money();
    const Money available = limit - settled - held;
    const PeriodKind kind = budget.record.period;
    const bool renews = kind != PeriodKind::kTotal;
    const std::string_view owner = name_of(budget.record.owner);
    if (refusal != nullptr) {
        refusal->owner_kind = budget.record.owner_kind;
        refusal->owner = owner;
        refusal->period_kind = kind;
        refusal->zone = name_of(budget.record.zone);
        refusal->limit = limit;
        refusal->settled = settled;
        refusal->held = held;
        refusal->available = available;
        refusal->asked = asked;
        refusal->renews = renews ? std::optional<Instant>(period.end) : std::nullopt;
        refusal->only_holds = only_holds;
    }
    const std::string renewal =
        renews ? fmt::format("it renews at {}", to_rfc3339(period.end)) : "it does not renew";
    return fail(ErrorCode::kInsufficientBalance,
        fmt::format("the {} budget of {} '{}' has {} left of {} ({} held by open requests); this "
                    "request may cost up "
                    "to {}, and {}. {}",
            period_kind_name(kind), owner_kind_name(budget.record.owner_kind), owner,
            available.to_decimal(), limit.to_decimal(), held.to_decimal(), asked.to_decimal(),
            renewal,
            only_holds ? "Try again when open requests have ended, or lower the output limit."
                       : "Lower the output limit or raise the budget."));
}

/// Checks that every budget has room for `asked`, then opens the accounts that are not there yet.
Status Ledger::make_room(
    std::span<const std::uint32_t> budgets, Instant at, Money asked, Refusal* refusal) {
    const Budget* worst =
        nullptr;  // of those that refuse: one that no ending hold would help, then the emptiest
    bool only_holds = true;
    Money worst_room;
    for (const std::uint32_t id : budgets) {
        Budget& budget = budgets_[id];
        if (budget.zone == nullptr) {
            return fail(ErrorCode::kInternal,
                fmt::format(
                    "the time zone '{}' of a budget is unknown here", name_of(budget.record.zone)));
        }
        look_at(budget, at);
        if (budget.slot == kNoSlot && budget.period.end < horizon_) [[unlikely]] {
            ENTREPOT_TRY(const std::optional<Account> there, log_.recall(id, budget.period.begin));
            if (there) (void)put_account(*there);
        }
        const Account* account = budget.slot == kNoSlot ? nullptr : &accounts_[budget.slot];
        const Money unspent =
            account != nullptr ? budget.record.limit - account->settled : budget.record.limit;
        const Money room = account != nullptr ? unspent - account->held : unspent;
        if (room >= asked) [[likely]]
            continue;
        const bool by_holds = unspent >= asked;
        if (worst == nullptr || (only_holds && !by_holds) ||
            (only_holds == by_holds && room < worst_room)) {
            worst = &budget;
            worst_room = room;
        }
        only_holds = only_holds && by_holds;
    }
    if (worst != nullptr) {
        const Account* account = worst->slot == kNoSlot ? nullptr : &accounts_[worst->slot];
        return refuse(*worst, worst->period, account, asked, only_holds, refusal);
    }
    for (const std::uint32_t id : budgets) {
        if (budgets_[id].slot != kNoSlot) [[likely]]
            continue;
        const AccountRecord record{
            static_cast<AccountId>(accounts_made_ + 1), id, budgets_[id].period};
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

    if (const Attempt* found = find_attempt(request.exchange, request.attempt)) {
        const HoldRecord& there = found->hold;
        const bool same = there.key == path->key && there.team == path->team &&
            there.org == path->org && there.route == request.route &&
            there.bounded == request.amount.has_value() && there.amount == asked &&
            there.dispatch == dispatch;
        if (!same || found->state != Attempt::State::kHeld) {
            return fail(ErrorCode::kHoldConflict,
                fmt::format("{} {}", attempt_name(request.exchange, request.attempt),
                    same ? "is already over" : "is already held with other facts"));
        }
        return HoldTicket{request.exchange, request.attempt, found->amount, true, 0};
    }

    const std::span<const std::uint32_t> budgets = budgets_of(*path);
    if (!budgets.empty()) {
        if (!request.amount) {
            return fail(ErrorCode::kUnbounded,
                fmt::format(
                    "key '{}' is under a budget, so the request needs an upper bound of its cost",
                    name_of(path->key)));
        }
        ENTREPOT_TRY_DO(make_room(budgets, dispatch, asked, refusal));
    }
    HoldRecord record;
    record.exchange = request.exchange;
    record.attempt = request.attempt;
    record.key = path->key;
    record.team = path->team;
    record.org = path->org;
    record.route = request.route;
    record.bounded = request.amount.has_value();
    record.amount = asked;
    record.dispatch = dispatch;
    for (const std::uint32_t id : budgets) {
        record.accounts[record.account_count++] = accounts_[budgets_[id].slot].id;
    }
    ENTREPOT_TRY(const std::uint64_t position, write(record, LogClass::kBegin));
    return HoldTicket{request.exchange, request.attempt, asked, false, position};
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
        const Money unspent = budget.record.limit - account.settled;
        if (unspent - account.held >= more) continue;
        // Its own hold would not end, so only the others' count as what may free room.
        const bool only_holds = unspent >= amount;
        return refuse(budget, account.period, &account, more, only_holds, refusal);
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

Result<Posting> Ledger::settle(
    const ExchangeId& exchange, std::uint16_t attempt, const SettleRequest& given) {
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
        SettleRecord record{exchange, attempt, request};
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
        fill(record.facts.key, hold.key);
        fill(record.facts.team, hold.team);
        fill(record.facts.org, hold.org);
        fill(record.facts.route.model, hold.route.model);
        fill(record.facts.route.offer, hold.route.offer);
        fill(record.facts.route.cloud, hold.route.cloud);
    }
    return write(record, LogClass::kEnd);
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
        facts.key = attempts_[last].hold.key;
        facts.team = attempts_[last].hold.team;
        facts.org = attempts_[last].hold.org;
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
