// What was used is booked, once; what was not is given back.
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// Bytes of visible text to one token, for estimates of answers that were cut: the common mean of
/// English prose.
constexpr std::int64_t kBytesPerToken = 4;

/// Tokens of sound to two characters, for speech whose supplier bills tokens and tells nobody how
/// many: 20 a second (OpenAI), and about 15 characters of English are spoken in one.
constexpr std::int64_t kSpeechTokensPerTwoCharacters = 3;

/// Completes the usage of work by the piece with what the request itself says, where the offer's
/// card sells pieces and the reply does not count them. Returns whether what is booked is known.
bool count_pieces(const Exchange& x, const pricing::RateCard* card, canon::Usage& usage) {
    using canon::Meter;
    const bool is_reported = x.consumed.is_reported;
    bool is_sold = false;
    bool is_exact = true;
    for (const Meter meter :
        {Meter::kCharacters, Meter::kImages, Meter::kSearches, Meter::kAudioSeconds}) {
        const std::int64_t asked = (*x.counted)[meter];
        if (asked == 0 || card == nullptr || !pricing::has_price(*card, meter, x.attempt.dispatch))
            continue;
        is_sold = true;
        if (usage[meter] != 0) continue;
        usage[meter] = asked;
        is_exact = is_exact && meter == Meter::kCharacters;  // the others are bounds
    }
    if (is_sold) return is_exact;
    if (usage[Meter::kCharacters] == 0 && is_reported)
        usage[Meter::kCharacters] = (*x.counted)[Meter::kCharacters];  // for who reads the books
    if (!is_reported && x.task == canon::Task::kSpeak)
        usage[Meter::kAudioOut] =
            ((*x.counted)[Meter::kCharacters] * kSpeechTokensPerTwoCharacters + 1) / 2;
    return is_reported;
}

}  // namespace

void add_lines(ledger::MeterCosts& to, const pricing::Charge& charge) {
    for (const pricing::ChargeLine& line : charge.lines())
        to.add(line.meter, {line.quantity, line.cost, line.is_list_known ? line.list : line.cost});
}

namespace {

/// Books at the charge.
void take_charge(Settlement& settlement, const pricing::Charge& charge) {
    ledger::SettleRequest& request = settlement.request;
    request.cost = charge.total;
    // What only the contract prices has no list cost to compare with.
    request.list_cost = charge.is_list_known ? charge.list_total : charge.total;
    request.tier = static_cast<std::uint8_t>(charge.tier);
    request.ctx_over = charge.ctx_over;
    settlement.lines = {};
    add_lines(settlement.lines, charge);
}

/// An estimate never goes beyond what was promised.
void keep_to_hold(Settlement& settlement, const AttemptState& attempt) {
    ledger::SettleRequest& request = settlement.request;
    if (!settlement.is_estimate || !attempt.is_bounded || request.cost <= attempt.hold) return;
    request.cost = attempt.hold;
    request.list_cost = std::min(request.list_cost, attempt.hold);
    settlement.lines = {};  // they would say more than is booked
}

}  // namespace

RateNames Worker::rate_names_of(const Exchange& x, std::uint32_t index, Instant at) {
    const routing::Offer& offer = x.state->table.offer(index);
    const pricing::RateCard::Epoch* epoch = offer.card == nullptr ? nullptr : offer.card->at(at);
    if (epoch == nullptr) return {};
    return x.state->offers[index]
        .rate_names[static_cast<std::size_t>(epoch - offer.card->epochs().data())];
}

Settlement Worker::settlement_of(Exchange& x) {
    AttemptState& attempt = x.attempt;
    attempt.is_open = false;
    const Consumption& consumed = x.consumed;
    Settlement settlement;
    ledger::SettleRequest& request = settlement.request;
    request.upstream_status = attempt.upstream_status;
    request.at = wall_now();
    request.usage = consumed.usage;
    if (consumed.is_client_gone) request.flags |= ledger::settle_flag::kClientGone;
    if (canon::is_free(x.task)) {
        // Nobody bills it; that it was asked is booked.
        request.usage = {};
        request.usage[canon::Meter::kRequests] = 1;
        x.consumed.usage = request.usage;
        return settlement;
    }
    const routing::Offer& offer = x.state->table.offer(attempt.offer);
    const bool is_reported = x.counted == nullptr
        ? consumed.is_reported
        : count_pieces(x, offer.card.get(), request.usage);
    if (!is_reported) {
        // What the supplier said so far (Anthropic states the prompt at the start) is a floor.
        request.flags |= ledger::settle_flag::kEstimated;
        if (request.usage.prompt_tokens() == 0)
            request.usage[canon::Meter::kInput] = attempt.prompt_tokens_estimate;
        std::int64_t& output = request.usage[canon::Meter::kOutput];
        if (canon::answers_in_text(x.task))
            output =
                std::max(output, (consumed.answer_bytes + kBytesPerToken - 1) / kBytesPerToken);
    }
    // Nothing is known of images or sounds that nobody counted, so that their tokens have no price.
    const bool may_price = is_reported ||
        (x.task != canon::Task::kMakeImage && x.task != canon::Task::kTranscribe) ||
        request.usage[canon::Meter::kImages] + request.usage[canon::Meter::kAudioSeconds] > 0;
    bool is_priced = false;
    if (offer.card != nullptr && may_price) {
        pricing::PriceOptions options;
        options.tier = attempt.tier;
        if (!consumed.service_tier.empty())
            options.tier = catalog::parse_tier(consumed.service_tier).value_or(attempt.tier);
        if (const Result<pricing::Charge> charge =
                pricing::price(request.usage, *offer.card, options, attempt.dispatch);
            charge && charge->is_known) {
            is_priced = true;
            take_charge(settlement, *charge);
            settlement.is_stepped = std::ranges::any_of(
                charge->lines(), [](const pricing::ChargeLine& line) { return line.is_stepped; });
            const RateNames names = rate_names_of(x, attempt.offer, attempt.dispatch);
            request.rate_version = names.version;
            request.contract = names.contract;
        }
    }
    if (!is_priced && attempt.is_bounded) {
        // A cost that is not known is a state, never zero: the hold stands in for it.
        request.flags |= ledger::settle_flag::kEstimated;
        request.cost = request.list_cost = attempt.hold;
    } else if (!is_priced) {
        request.flags |= ledger::settle_flag::kUnpriced;
    }
    settlement.is_estimate = !is_reported;
    keep_to_hold(settlement, attempt);
    if (consumed.is_cut) {
        request.cost = request.list_cost = attempt.hold;
        settlement.lines = {};
        settlement.is_stepped = false;  // the hold is the price
    }
    x.cost += request.cost;
    x.is_cost_known = x.is_cost_known && is_priced;
    x.is_estimated = x.is_estimated || !is_reported;
    x.consumed.usage = request.usage;
    if (consumed.is_reported) {
        if (canon::answers_in_text(x.task))
            lengths_.learn(x.length_key, request.usage.answer_tokens());
        const std::int64_t cached = request.usage[canon::Meter::kCacheRead] +
            request.usage[canon::Meter::kCacheWrite] + request.usage[canon::Meter::kCacheWriteLong];
        if (x.prompt_hash != 0 && cached > 0)
            caches_.learn(x.prompt_hash, offer.stable_key, cached, seconds(300), core_.now());
    }
    return settlement;
}

Result<ledger::Posting> Worker::book(
    const Exchange& x, Settlement& settlement, store::Books& books) {
    if (settlement.is_stepped) price_on_steps(x, settlement, books);
    Result<ledger::Posting> posting =
        books.settle(x.id, x.attempt.number, settlement.request, settlement.lines);
    if (posting && !posting->repeated) count_on_steps(x, settlement);
    return posting;
}

void Worker::price_on_steps(const Exchange& x, Settlement& settlement, store::Books& books) {
    ledger::SettleRequest& request = settlement.request;
    Volumes& volumes = books_.volumes();
    const Instant dispatch = x.attempt.dispatch;
    const auto running = volumes.running(*x.state, books, dispatch);
    pricing::PriceOptions options;
    options.tier = static_cast<pricing::Tier>(request.tier);
    if (running) options.running = *running;
    // Without what was bought before it is priced at the first step.
    if (!running) settlement.trouble = running.error().message;
    const auto charge = pricing::price(
        request.usage, *x.state->table.offer(x.attempt.offer).card, options, dispatch);
    if (charge && charge->is_known) {
        take_charge(settlement, *charge);
        keep_to_hold(settlement, x.attempt);
    }
}

// By the lines of what is booked, as a restart counts: what was cut to its hold has none.
void Worker::count_on_steps(const Exchange& x, const Settlement& settlement) {
    if (settlement.lines.present == 0 || x.attempt.offer >= x.state->table.size()) return;
    const pricing::RateCard* const card = x.state->table.offer(x.attempt.offer).card.get();
    const Instant dispatch = x.attempt.dispatch;
    const pricing::RateCard::Epoch* const epoch = card == nullptr ? nullptr : card->at(dispatch);
    if (epoch == nullptr || epoch->ladders.empty()) [[likely]]
        return;
    // A period that is counted from the books here has these lines already.
    if (!books_.volumes().knows(*x.state, dispatch)) return;
    for (std::size_t m = 0; m < canon::kMeterCount; ++m) {
        if (!settlement.lines.has(m)) continue;
        const ledger::MeterCost& booked = settlement.lines.of[m];
        Result<pricing::ChargeLine> line = pricing::price_line(
            {static_cast<pricing::Tier>(settlement.request.tier), settlement.request.ctx_over,
                static_cast<canon::Meter>(m), booked.quantity},
            *card, dispatch);
        if (!line) continue;
        line->list = booked.list_cost;
        books_.volumes().add(*x.state, dispatch, *line);
    }
}

void Worker::take_cost(Exchange& x, Money expected, const Settlement& settlement) {
    x.cost += settlement.request.cost - expected;
    if (!settlement.trouble.empty())
        metrics_.alarm(x.state->offers[x.attempt.offer].name, settlement.trouble);
}

void Worker::settled(const Exchange& x, const Result<ledger::Posting>& posting) {
    const std::string& name = x.state->offers[x.attempt.offer].name;
    if (!posting) {
        metrics_.alarm(name, "a settlement was refused: " + posting.error().message);
    } else if (!posting->overdraft.is_zero()) {
        metrics_.overdraft(name, posting->overdraft);
        if (posting->cost <= x.attempt.first_hold) {
            metrics_.alarm(name,
                "an answer took more than its supplier's own count of the prompt had left of its "
                "hold");
            return;
        }
        // How long a recording lasts is what the client's file says of itself: no fault of the
        // offer, and nothing by which one client could take it from the others.
        if (x.task == canon::Task::kTranscribe) return;
        x.core->health.take_out(x.attempt.offer);  // here at once
        take_out_everywhere_(x.state, x.attempt.offer);
    }
}

bool Worker::settle_here(Exchange& x) {
    if (!x.attempt.is_open) return true;
    if (!books_.is_local(core_)) return false;
    Settlement settlement = settlement_of(x);
    const Money expected = settlement.request.cost;
    settled(x, book(x, settlement, books_.local()));
    take_cost(x, expected, settlement);
    return true;
}

Co<void> Worker::settle(Exchange& x) {
    if (!x.attempt.is_open) co_return;
    const ledger::Phase phase = std::exchange(x.phase, ledger::Phase::kSettle);
    Settlement settlement = settlement_of(x);
    const Money expected = settlement.request.cost;
    const auto work = [&](store::Books& books) { return book(x, settlement, books); };
    const Result<ledger::Posting> posting = co_await books_.call(core_, work);
    take_cost(x, expected, settlement);
    settled(x, posting);
    x.phase = phase;
}

Co<void> Worker::release(Exchange& x, std::optional<ErrorCode> error) {
    AttemptState& attempt = x.attempt;
    if (!attempt.is_open) co_return;
    attempt.is_open = false;
    Status released;
    if (books_.is_local(core_)) {
        released = books_.local().release(
            x.id, attempt.number, wall_now(), attempt.upstream_status, error);
    } else {
        const auto work = [&](store::Books& books) {
            return books.release(x.id, attempt.number, wall_now(), attempt.upstream_status, error);
        };
        released = co_await books_.call(core_, work);
    }
    if (!released)
        metrics_.alarm(x.state->offers[attempt.offer].name,
            "a release was refused: " + released.error().message);
}

void Worker::end_attempt(
    Exchange& x, routing::Outcome outcome, std::optional<nanoseconds> retry_after) {
    std::optional<nanoseconds> ttft;
    if (x.attempt.report.head_at.ns != 0) ttft = x.attempt.report.head_at - x.attempt.began;
    x.core->health.ended(x.attempt.offer, outcome, ttft, retry_after, core_.now());
    metrics_.attempt_ended(x.state->table.offer(x.attempt.offer).stable_key,
        x.state->offers[x.attempt.offer].name, outcome);
}

}  // namespace entrepot::gateway
