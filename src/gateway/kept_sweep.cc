// What suppliers still work on when nobody waits for it: looked after until it ends, then settled.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dialect/registry.h"
#include "gateway/kept.h"
#include "gateway/kept_door.h"
#include "gateway/lane.h"
#include "gateway/worker.h"
#include "runtime/scope.h"

namespace entrepot::gateway {
namespace {

using store::Kept;
using store::KeptKind;

constexpr seconds kFirstLook{1};
constexpr seconds kLastLook{60};
constexpr seconds kPrune{30};
constexpr seconds kLookMax{30};
/// So that neither one slow answer nor one large batch keeps the rest of its cloud waiting.
constexpr std::size_t kLooksAtCloudMax = 4;

const dialect::Dialect& responses_dialect() {
    static const dialect::Dialect& dialect = *dialect::find_dialect("openai-responses");
    return dialect;
}

}  // namespace

void Worker::watch(const Kept& thing) {
    watched_.push_back({.thing = thing, .at = core_.after(kFirstLook), .pause = kFirstLook});
}

Co<bool> Worker::watch_left() {
    const auto held = [](store::KeptStore& store) { return store.held(); };
    const Result<std::vector<Kept>> left = co_await kept_.call(core_, held);
    if (!left) metrics_.alarm("kept.db", left.error().message);
    if (!left) co_return false;
    // What was begun meanwhile is there twice: who looks second finds it over.
    for (const Kept& thing : *left) watch(thing);
    co_return true;
}

Co<void> Worker::keep_watch(Cancel& stop) {
    Scope looks(core_);
    bool knows_left = false;
    Deadline prune_at = core_.after(kPrune);
    for (;;) {
        if (!knows_left) knows_left = co_await watch_left();
        const Until until{core_.after(kFirstLook), &stop};
        const Status slept = co_await core_.sleep(until);
        if (!slept) break;
        look_after_due(looks);
        if (!prune_at.passed(core_.now())) continue;
        prune_at = core_.after(kPrune);
        const auto prune = [now = core_.wall()](
                               store::KeptStore& store) { return store.prune(now); };
        const Status pruned = co_await kept_.call(core_, prune);
        if (!pruned) metrics_.alarm("kept.db", pruned.error().message);
    }
    looks.cancel(ErrorCode::kDraining);
    co_await looks.join();
}

void Worker::look_after_due(Scope& looks) {
    std::erase_if(watched_, [](const Watched& entry) { return entry.is_over; });
    std::map<std::string_view, std::size_t> under_way;  // by cloud
    std::vector<Watched*> due;
    for (Watched& entry : watched_) {
        if (entry.is_looked_at)
            ++under_way[entry.thing.cloud];
        else if (entry.at.passed(core_.now()))
            due.push_back(&entry);
    }
    std::ranges::sort(due, {}, &Watched::at);  // who waits for longest
    for (Watched* entry : due) {
        std::size_t& count = under_way[entry->thing.cloud];
        if (count == kLooksAtCloudMax) continue;
        ++count;
        entry->is_looked_at = true;
        looks.spawn(look_once(*entry, looks.token()));
    }
}

Co<void> Worker::look_once(Watched& entry, Cancel& stop) {
    entry.is_over = co_await look_after(entry.thing, &stop);
    entry.is_looked_at = false;
    entry.pause = std::min<seconds>(entry.pause * 2, kLastLook);
    entry.at = core_.after(entry.pause);
}

Co<bool> Worker::look_after(const Kept& watched, Cancel* cancel) {
    // Somebody who asked for it may have seen its end.
    const auto look = [&watched](store::KeptStore& store) { return store.find(watched.id); };
    const Result<std::vector<Kept>> found = co_await kept_.call(core_, look);
    if (!found) co_return false;
    const auto is_it = [&watched](const Kept& one) {
        return one.cloud == watched.cloud && one.exchange == watched.exchange;
    };
    const auto row = std::ranges::find_if(*found, is_it);
    if (row == found->end()) co_return true;
    const Kept& thing = *row;  // as it stands there now
    const bool has_expired = thing.expires.ns != 0 && thing.expires < core_.wall();
    Exchange x = begin_exchange(responses_dialect());
    const std::optional<std::uint32_t> cloud = cloud_index(*x.state, thing.cloud);
    if (!cloud && !has_expired) co_return false;
    if (has_expired) co_return co_await end_deferred(thing, nullptr);
    const bool is_batch = thing.kind == KeptKind::kBatch;
    const bool is_anthropic =
        x.state->clouds[*cloud].supplier->keeping().style == upstream::KeepingStyle::kAnthropic;
    const std::string path = fmt::format("/{}/{}",
        !is_batch          ? "responses"
            : is_anthropic ? "messages/batches"
                           : "batches",
        thing.id);
    const dialect::Dialect& dialect =
        is_anthropic ? *dialect::find_dialect("anthropic-messages") : responses_dialect();
    CloudCall call = plain_call(x, *cloud, dialect, path);
    call.total_max = kLookMax;
    Result<net::ClientExchange> answered = co_await call_cloud(x, call, cancel);
    if (!answered) co_return false;
    if (answered->status() == 404)  // deleted behind our back
        co_return co_await end_deferred(thing, nullptr);
    if (answered->status() != 200) co_return false;
    const Result<std::string> body = co_await answered->read_whole_body(kKeptBytesMax);
    if (!body) co_return false;
    if (is_batch) co_return co_await take_batch(x, thing, *cloud, *body, cancel);
    co_return co_await take_look(thing, *body);
}

Co<bool> Worker::take_look(const Kept& thing, std::string_view body) {
    WholeReply reply = carry_passing(responses_dialect(), {}, body, true);
    const bool is_response = reply.status.has_value() && reply.consumed.names != nullptr &&
        reply.consumed.names->reply == thing.id;
    if (!is_response || reply.consumed.names->is_pending) co_return false;
    std::vector<Kept> items;
    const auto note = [&](KeptKind kind, const std::string& id) {
        Kept& item = items.emplace_back(thing);
        item.id = id;
        item.kind = kind;
        item.exchange.clear();
        item.detail.clear();
    };
    for (const std::string& id : reply.consumed.names->items) note(KeptKind::kItem, id);
    for (const std::string& id : reply.consumed.names->containers) note(KeptKind::kContainer, id);
    if (!items.empty() && !kept_.note(std::move(items)))
        metrics_.alarm("kept.db", "too much waits to be written; an answer's items are lost");
    co_return co_await end_deferred(thing, &reply.consumed);
}

Co<bool> Worker::end_deferred(
    const Kept& thing, const Consumption* consumed, const BatchTally* tally) {
    const Result<ExchangeId> id = ExchangeId::parse(thing.exchange);
    const Result<Deferred> deferred = read_deferred(thing.detail);
    if (!id || !deferred) {
        metrics_.alarm("kept.db", "a hold cannot be ended: its row is damaged: " + thing.id);
        co_return false;
    }
    const dialect::Dialect* spoken = dialect::find_dialect(deferred->dialect);
    Exchange x = begin_exchange(spoken != nullptr ? *spoken : responses_dialect());
    x.id = *id;
    x.model = thing.model;
    x.status = 200;
    x.ended_by = ledger::EndedBy::kSupplier;
    x.phase = ledger::Phase::kSettle;
    const auto offer = std::ranges::find(x.state->offers, deferred->offer, &OfferState::name);
    const bool is_offered = offer != x.state->offers.end();
    // An offer that has left the configuration has no number there.
    x.attempts_made = is_offered ? deferred->attempt : 0;
    AttemptState& attempt = x.attempt;
    attempt.number = deferred->attempt;
    attempt.is_open = true;
    attempt.is_bounded = deferred->is_bounded;
    attempt.hold = deferred->hold;
    attempt.dispatch = deferred->dispatch;
    attempt.tier = deferred->tier;
    attempt.prompt_tokens_estimate = deferred->prompt_tokens_estimate;
    attempt.upstream_status = deferred->status;
    if (consumed != nullptr) x.consumed = *consumed;
    Settlement settlement;
    ledger::SettleRequest& request = settlement.request;
    if (is_offered) attempt.offer = static_cast<std::uint32_t>(offer - x.state->offers.begin());
    // Answers are priced one by one: their sum would reach rates that none of them did.
    const bool is_counted = tally != nullptr && tally->is_priced && tally->is_reported;
    if (is_counted) {
        request.at = wall_now();
        request.usage = tally->usage;
        request.upstream_status = deferred->status;
        request.cost = x.cost = tally->cost;
        request.list_cost = tally->list_cost;
        if (is_offered) {
            const RateNames names = rate_names_of(x, attempt.offer, attempt.dispatch);
            request.rate_version = names.version;
            request.contract = names.contract;
            request.tier = static_cast<std::uint8_t>(deferred->tier);
            request.ctx_over = tally->ctx_over.value_or(0);
        }
        settlement.lines = tally->lines;
    } else if (is_offered && consumed != nullptr && tally == nullptr) {
        settlement = settlement_of(x);
    } else {  // its price has left the configuration, or its usage is not to be had
        request.at = wall_now();
        request.usage = x.consumed.usage;
        request.upstream_status = deferred->status;
        request.flags = ledger::settle_flag::kEstimated;
        x.is_estimated = true;
        x.is_cost_known = false;
        if (deferred->is_bounded)
            request.cost = request.list_cost = deferred->hold;
        else
            request.flags |= ledger::settle_flag::kUnpriced;
    }
    ledger::ExchangeClose facts = close_of(x);
    facts.attempts = deferred->attempt;
    facts.duration_us = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, (core_.wall() - thing.made).count() / 1000));
    const Money expected = request.cost;
    const auto end = [&](store::Books& books) {
        Result<ledger::Posting> posting = book(x, settlement, books);
        (void)books.close(facts);
        return posting;
    };
    const Result<ledger::Posting> posting = co_await books_.call(core_, end);
    take_cost(x, expected, settlement);
    // Two who saw the end at once have both said so; the books took the first.
    const bool is_over = posting || posting.error().code == ErrorCode::kSettleConflict ||
        posting.error().code == ErrorCode::kUnknownHold;
    if (posting && is_offered) settled(x, posting);
    if (posting && !posting->repeated) recorded_late(x, facts, thing);
    if (!is_over) {
        metrics_.alarm(thing.cloud, "a settlement was refused: " + posting.error().message);
        co_return false;
    }
    const auto forget = [&thing](store::KeptStore& store) {
        return store.end_hold(thing.id, thing.cloud);
    };
    const Status forgotten = co_await kept_.call(core_, forget);
    if (!forgotten) metrics_.alarm("kept.db", forgotten.error().message);
    co_return forgotten.has_value();
}

}  // namespace entrepot::gateway
