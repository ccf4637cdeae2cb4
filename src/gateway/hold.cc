// The worst case of an attempt, held in every budget before a byte leaves.
#include <fmt/format.h>

#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// Room also comes without a hold that ends: a raise, another limit, the next period.
constexpr milliseconds kLookAgain{250};

/// Who may have budgets over a request.
std::vector<std::string> budgets_over(const Exchange& x) {
    using ledger::OwnerKind;
    const auth::Principal& who = *x.principal;
    std::vector<std::string> all;
    const auto add = [&all](OwnerKind kind, std::string_view owner) {
        if (!owner.empty()) all.push_back(BudgetQueue::place_of(kind, owner));
    };
    add(OwnerKind::kKey, who.key.view());
    add(OwnerKind::kTeam, who.team.view());
    add(OwnerKind::kProject, who.project.view());
    add(OwnerKind::kOrg, who.org.view());
    if (x.attribution != nullptr) add(OwnerKind::kEndUser, x.attribution->end_user);
    return all;
}

}  // namespace

ledger::HoldRequest Worker::hold_request_of(const Exchange& x, const routing::Attempt& step) {
    ledger::HoldRequest request;
    request.exchange = x.id;
    request.attempt = static_cast<std::uint16_t>(x.attempts_made + 1);
    request.path = x.key->path;
    request.route = x.state->offers[step.offer].route;
    if (step.is_bounded) request.amount = step.hold;
    request.dispatch = core_.wall();
    request.tags = x.key->spender.tags;
    if (x.named != nullptr) request.idempotency = x.named->claim;
    return request;
}

Result<ledger::HoldTicket> Worker::hold_in(store::Books& books, const Exchange& x,
    ledger::HoldRequest& request, ledger::Refusal& refusal) {
    if (x.attribution != nullptr) {
        const ledger::NameId key = x.key->spender.key;
        if (const std::string& end_user = x.attribution->end_user; !end_user.empty()) {
            ENTREPOT_TRY(request.end_user, books.scoped_name(key, end_user));
        }
        if (const std::string& tags = x.attribution->tags; !tags.empty()) {
            ENTREPOT_TRY(request.tags, books.scoped_name(key, tags));
        }
    }
    return books.hold(request, &refusal);
}

void Worker::held(Exchange& x, const routing::Attempt& step, const ledger::HoldRequest& request) {
    AttemptState attempt;
    attempt.tier = x.attempt.tier;
    attempt.offer = step.offer;
    attempt.number = request.attempt;
    attempt.is_open = true;
    attempt.is_bounded = step.is_bounded;
    attempt.hold = attempt.first_hold = step.is_bounded ? step.hold : Money();
    attempt.dispatch = request.dispatch;
    attempt.prompt_tokens_estimate = step.expected_prompt_tokens;
    x.attempt = attempt;
    ++x.attempts_made;
}

bool Worker::hold_here(Exchange& x, const routing::Attempt& step, Status& status) {
    if (!books_.is_local(core_) || x.state->settings.durability == config::Durability::kPower)
        return false;
    x.phase = ledger::Phase::kHold;
    const bool may_wait = x.principal->policy.budget_wait_ms > 0;
    if (may_wait && !books_.queue().empty() && books_.queue().is_behind(budgets_over(x)))
        return false;
    ledger::HoldRequest request = hold_request_of(x, step);
    ledger::Refusal refusal;
    Result<ledger::HoldTicket> ticket = hold_in(books_.local(), x, request, refusal);
    if (ticket) {
        held(x, step, request);
        return true;
    }
    note_earlier(x, refusal);
    const bool is_refused = ticket.error().code == ErrorCode::kInsufficientBalance;
    if (is_refused && refusal.only_holds && may_wait) return false;
    status =
        std::unexpected(is_refused ? explain_refusal(x, step, refusal, std::move(ticket).error())
                                   : std::move(ticket).error());
    return true;
}

Task<void> Worker::hold(Exchange& x, const routing::Attempt& step, Cancel* cancel) {
    x.phase = ledger::Phase::kHold;
    const milliseconds wait_max(x.principal->policy.budget_wait_ms);
    const Deadline patience = core_.after(wait_max);
    ledger::HoldRequest request = hold_request_of(x, step);
    BudgetQueue::Entry entry;
    entry.may_wait = wait_max > milliseconds(0);
    if (entry.may_wait) entry.budgets = budgets_over(x);
    entry.ask = [&](store::Books& books, ledger::Refusal& refusal) {
        request.dispatch = wall_now();
        return hold_in(books, x, request, refusal);
    };
    Waiter waiter;
    bool is_answered = false;
    entry.answered = [&] {
        core_.post([&] {
            is_answered = true;
            waiter.wake();
        });
    };
    const auto begin = [&](store::Books& books) { return books_.queue().begin(books, entry); };
    bool is_done = co_await books_.call(core_, begin);
    while (!is_done && !is_answered) {
        const Until until{core_.after(kLookAgain).sooner(patience), cancel};
        const Wake wake = co_await waiter.wait(until);
        if (is_answered) break;
        const bool is_over = patience.passed(core_.now()) ||
            (!wake.ready && wake.reason != ErrorCode::kRequestTimeout);
        const bool is_called_off = is_over && !patience.passed(core_.now());
        const auto look = [&](store::Books& books) {
            if (!is_over) books_.queue().go_on(books);
            if (!is_over || !books_.queue().leave(entry)) return false;
            if (!is_called_off) entry.outcome = entry.ask(books, entry.refusal);
            return true;
        };
        const bool has_left = co_await books_.call(core_, look);
        if (has_left && is_called_off)
            co_return fail(wake.reason, "the wait for room in a budget was called off");
        if (has_left) break;
        if (!is_over) continue;
        while (!is_answered) (void)co_await waiter.wait(Until{});  // its answer is on the way
    }
    if (!*entry.outcome) {
        Error error = std::move(*entry.outcome).error();
        note_earlier(x, entry.refusal);
        if (error.code != ErrorCode::kInsufficientBalance) co_return std::unexpected(error);
        co_return std::unexpected(explain_refusal(x, step, entry.refusal, std::move(error)));
    }
    held(x, step, request);
    if (x.state->settings.durability != config::Durability::kPower) co_return Status{};
    const std::uint64_t position = (*entry.outcome)->position;
    Status durable = co_await books_.durable(core_, position);
    if (!durable) {
        co_await release(x, durable.error().code);
        metrics_.alarm("journal", durable.error().cause);
    }
    co_return durable;
}

std::string Worker::refusal_words(const Exchange& x, const ledger::Refusal& refusal) {
    const std::string_view currency = x.state->settings.currency.code();
    return fmt::format(
        "the {} budget of {} '{}' ({} {}) has {} {} left; this request may cost up to {} {}",
        period_kind_name(refusal.period_kind), ledger::owner_kind_words(refusal.owner_kind),
        refusal.owner, refusal.limit.to_decimal(), currency, refusal.available.to_decimal(),
        currency, refusal.asked.to_decimal(), currency);
}

Error Worker::explain_refusal(
    const Exchange& x, const routing::Attempt& step, const ledger::Refusal& refusal, Error error) {
    const routing::Offer& offer = x.state->table.offer(step.offer);
    std::string message = refusal_words(x, refusal);
    std::int64_t fits = -1;
    if (offer.card != nullptr && !refusal.available.is_negative())
        fits = pricing::output_that_fits(
            step.bounds, *offer.card, {}, core_.wall(), refusal.available);
    const bool is_one = step.bounds.prompt_tokens_max > 0;  // a batch is many requests
    const std::int64_t choices = std::max<std::int64_t>(x.bench->facts.choices, 1);
    if (is_one && fits / choices >= 1)
        message += fmt::format("; max_tokens up to {} would fit", fits / choices);
    else if (is_one)
        message += "; no max_tokens would make it fit";
    if (refusal.only_holds)
        message += "; requests under way hold the rest and return what they do not use";
    if (refusal.renews)
        message += fmt::format("; the budget renews at {}", to_rfc3339(*refusal.renews));
    error.message = std::move(message);
    return error;
}

}  // namespace entrepot::gateway
