// A stream and its hold: the one shrinks when the supplier has counted the prompt, and what goes
// beyond it is cut.
#include <fmt/format.h>

#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/lane.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// A hold that would give back less than this part of it stays: a record of the journal is worth
/// more.
constexpr Int128 kWorthwhile = 8;

}  // namespace

std::int64_t Worker::answer_bound(const Exchange& x, const routing::Attempt& step) {
    const pricing::Bounds& bounds = step.bounds;
    // What goes on in the background cannot be stopped by not listening.
    const bool is_bound = x.attempt.is_bounded && x.key->has_budget &&
        canon::answers_in_text(x.task) && !bounds.is_output_unbounded && !bounds.may_answer_audio &&
        !bounds.may_answer_images && !is_background(x);
    return is_bound ? bounds.output_tokens_max : 0;
}

bool Worker::must_cut(const Exchange& x) {
    const OpenStream& stream = *x.stream;
    if (stream.answer_tokens_max == 0) return false;
    const std::int64_t tokens = stream.lane->answer_tokens_min();
    if (tokens <= stream.answer_tokens_max) [[likely]]
        return false;
    if (!x.attempt.is_open || !stream.broken || stream.is_last() || !stream.lane->may_cut())
        return false;
    const routing::Offer& offer = x.state->table.offer(x.attempt.offer);
    if (offer.card == nullptr) return false;
    canon::Usage used;
    if (const canon::Usage* said = stream.lane->usage_so_far()) used = *said;
    used[canon::Meter::kOutput] += tokens - used.answer_tokens();
    pricing::PriceOptions options;
    options.tier = x.attempt.tier;
    const pricing::Quote cost = pricing::estimate(used, *offer.card, options, x.attempt.dispatch);
    return cost.is_known && cost.amount > x.attempt.hold;
}

Co<void> Worker::cut_stream(Exchange& x, net::ResponseWriter& response) {
    OpenStream& stream = *x.stream;
    x.consumed = stream.lane->consumption(false);
    x.consumed.is_reported = false;
    x.consumed.is_cut = true;
    note_kept(x);
    if (!settle_here(x)) co_await settle(x);
    metrics_.alarm(x.state->offers[x.attempt.offer].name,
        fmt::format("an answer went beyond the {} tokens it was bounded by, and its hold, and was "
                    "cut: this supplier does not keep the cap it is given",
            stream.answer_tokens_max));
    end_attempt(x, routing::Outcome::kServed, std::nullopt);
    note_dropped(x, stream.lane->dropped());
    const std::string ending = stream.lane->cut(x.consumed.usage);
    const Status wrote = co_await response.finish(ending);
    x.ended_by = wrote ? ledger::EndedBy::kGateway : ended_by(wrote);
    x.stream.reset();  // and with it the supplier's connection
}

std::optional<Money> Worker::smaller_hold(const Exchange& x, const routing::Attempt& step) {
    const canon::Usage* said = x.stream->lane->usage_so_far();
    const routing::Offer& offer = x.state->table.offer(step.offer);
    if (said == nullptr || said->prompt_tokens() <= 0 || !x.attempt.is_bounded ||
        !x.key->has_budget || x.task != canon::Task::kConverse || offer.card == nullptr)
        return std::nullopt;
    // A supplier that runs tools reads the prompt again after each of them.
    if (!x.bench->facts.open_ended_field.empty()) return std::nullopt;
    pricing::Bounds bounds = step.bounds;
    if (said->prompt_tokens() >= bounds.prompt_tokens_max) return std::nullopt;
    bounds.prompt_tokens_max = said->prompt_tokens();
    const pricing::Quote most = pricing::worst_case(bounds, *offer.card, {}, x.attempt.dispatch);
    if (!most.is_known) return std::nullopt;
    const Money returned = x.attempt.hold - most.amount;
    if (returned.pico() * kWorthwhile < x.attempt.hold.pico()) return std::nullopt;
    return most.amount;
}

Co<void> Worker::shrink(Exchange& x, Money amount) {
    const auto work = [&](store::Books& books) {
        return books.shrink(x.id, x.attempt.number, amount);
    };
    const Status shrunk = co_await books_.call(core_, work);
    if (shrunk) x.attempt.hold = amount;  // else it is only larger than it has to be
}

}  // namespace entrepot::gateway
