#include "routing/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/text.h"

namespace entrepot::routing {
namespace {

/// Expected before anything was learned: close to the mean answer of public chat logs.
constexpr std::int64_t kOutputGuess = 256;
/// English text in any current tokenizer; only an expectation, never a bound.
constexpr std::int64_t kBytesPerToken = 4;
/// Error rates within a twentieth of each other are the same.
constexpr std::int32_t kErrorStep_ppm = 50'000;

struct Candidate {
    Attempt attempt;
    bool is_available = true;
    bool is_tight = false;    ///< the prompt is probably too large for its window
    bool is_foreign = false;  ///< speaks another dialect than the client
    std::int32_t errors = 0;
    std::int32_t latency = 0;
    std::int32_t in_flight = 0;
};
using Candidates = InlineList<Candidate, 4>;

/// Latencies within a quarter of each other are the same: order must not flap with noise.
std::int32_t latency_class(std::int64_t ttft_ns) {
    if (ttft_ns <= 0) return 0;
    const auto value = static_cast<std::uint64_t>(ttft_ns) >> 16;  // 65 microseconds
    const int width = std::bit_width(value);
    if (width <= 2) return width;
    return width * 4 + static_cast<std::int32_t>(value >> (width - 3) & 3);
}

bool is_before(const Candidate& a, const Candidate& b) {
    if (a.is_available != b.is_available) return a.is_available;
    if (a.is_tight != b.is_tight) return b.is_tight;
    if (!a.is_available && a.attempt.not_before != b.attempt.not_before)
        return a.attempt.not_before < b.attempt.not_before;
    if (a.attempt.is_priced != b.attempt.is_priced) return a.attempt.is_priced;
    if (a.attempt.is_priced && a.attempt.expected != b.attempt.expected)
        return a.attempt.expected < b.attempt.expected;
    if (a.errors != b.errors) return a.errors < b.errors;
    if (a.is_foreign != b.is_foreign) return b.is_foreign;
    if (a.latency != b.latency) return a.latency < b.latency;
    if (a.in_flight != b.in_flight) return a.in_flight < b.in_flight;
    return a.attempt.offer < b.attempt.offer;
}

/// The gates that have nothing to do with this request's money or with health that may recover;
/// nothing when the offer passes.
std::optional<Reason> gate(
    const RequestFacts& facts, const OfferTable& table, std::uint32_t index, const Health* health) {
    const Offer& offer = table.offer(index);
    if (facts.reach != nullptr) {
        if (!facts.reach->allows_cloud(offer.cloud.view())) return Reason::kCloudNotAllowed;
        if (!facts.reach->allows_region(offer.residency)) return Reason::kRegionNotAllowed;
    }
    if (health != nullptr && health->of(index).is_taken_out) return Reason::kTakenOut;
    if ((offer.tasks & canon::task_bit(facts.task)) == 0) return Reason::kTaskMissing;
    if ((facts.needs & ~offer.features) != 0) return Reason::kFeatureMissing;
    return std::nullopt;
}

/// What the request will probably use at this offer.
canon::Usage expect_usage(
    const RequestFacts& facts, const Offer& offer, const Memory& memory, Now now) {
    using canon::Meter;
    const std::int64_t prompt = facts.prompt_tokens_estimate > 0
        ? facts.prompt_tokens_estimate
        : facts.shape.prompt_bytes / kBytesPerToken + 1;
    canon::Usage usage;
    if (facts.prefix_hash != 0 && memory.caches != nullptr)
        usage[Meter::kCacheRead] = std::min(
            prompt, memory.caches->expect(facts.prefix_hash, offer.stable_key, now.steady));
    if (usage[Meter::kCacheRead] == 0)
        usage[Meter::kCacheWrite] = std::clamp<std::int64_t>(facts.cache_write_tokens, 0, prompt);
    if (facts.shape.is_piecework) {
        // Of an offer that sells by the piece these are the cost, and the tokens have no price.
        usage[Meter::kImages] = facts.shape.images_made;
        usage[Meter::kCharacters] = facts.shape.characters;
        usage[Meter::kSearches] = facts.shape.searches_max;
        usage[Meter::kAudioSeconds] = facts.shape.audio_seconds_max;
    }
    usage[Meter::kInput] = prompt - usage[Meter::kCacheRead] - usage[Meter::kCacheWrite];
    std::int64_t output = kOutputGuess * facts.shape.choices;
    if (memory.lengths != nullptr) output = memory.lengths->expect(facts.length_key, output);
    if (facts.shape.output_cap)
        output = std::min(output, *facts.shape.output_cap * facts.shape.choices);
    usage[Meter::kOutput] = std::max<std::int64_t>(output, 0);
    return usage;
}

bool sells_answers_by_token(const Offer& offer, Instant at) {
    using canon::Meter;
    constexpr std::array kAnswers{Meter::kOutput, Meter::kImageOut, Meter::kAudioOut};
    return offer.card != nullptr && std::ranges::any_of(kAnswers, [&](Meter meter) {
        return pricing::has_price(*offer.card, meter, at);
    });
}

/// Sizes and prices of one attempt, or why there can be none.
std::optional<Reason> weigh(const RequestFacts& facts, const Offer& offer, const Memory& memory,
    Now now, Candidate& candidate) {
    Attempt& attempt = candidate.attempt;
    const canon::Usage usage = expect_usage(facts, offer, memory, now);
    attempt.expected_prompt_tokens = usage.prompt_tokens();
    attempt.expected_output_tokens = usage[canon::Meter::kOutput];
    attempt.expected_cache_read = usage[canon::Meter::kCacheRead];
    if (canon::is_free(facts.task)) {
        attempt.is_priced = attempt.is_bounded = true;  // at nothing
        return std::nullopt;
    }
    // Of prompts that are read apart nothing says which is the longest.
    candidate.is_tight = offer.limits.context_tokens > 0 && facts.shape.prompts == 1 &&
        attempt.expected_prompt_tokens > offer.limits.context_tokens;

    const pricing::PriceOptions options{.tier = facts.tier};
    pricing::Quote hold;
    const Result<Bound> bound =
        bound_of(facts.shape, offer.limits, offer.expansion, facts.on_unbounded);
    if (bound) {
        attempt.bounds = bound->bounds;
        attempt.is_clamped = bound->is_clamped;
        attempt.inject_output_cap = bound->inject_output_cap;
        attempt.bounds.tiers |= pricing::Bounds::tier_bit(facts.tier);
        if (offer.card != nullptr)
            hold = pricing::worst_case(attempt.bounds, *offer.card, options, now.wall);
    } else if (facts.needs_bound) {
        return Reason::kUnbounded;
    }
    if (!hold.is_known && facts.needs_bound)
        return attempt.bounds.is_output_unbounded && sells_answers_by_token(offer, now.wall)
            ? Reason::kUnbounded
            : Reason::kPriceUnknown;
    attempt.is_bounded = hold.is_known;
    attempt.hold = hold.amount;
    if (offer.card != nullptr) {
        pricing::Quote expected = pricing::estimate(usage, *offer.card, options, now.wall);
        if (!expected.is_known && facts.tier != catalog::Tier::kStandard)  // served as standard
            expected = pricing::estimate(usage, *offer.card, {}, now.wall);
        attempt.is_priced = expected.is_known;
        if (expected.is_known) attempt.expected = expected.amount;
    }
    return std::nullopt;
}

void look_at_health(const Health* health, Now now, Candidate& candidate) {
    if (health == nullptr) return;
    const std::uint32_t offer = candidate.attempt.offer;
    const Health::State& state = health->of(offer);
    candidate.errors = state.error_ppm / kErrorStep_ppm;
    candidate.latency = latency_class(state.ttft_ns);
    candidate.in_flight = state.in_flight;
    candidate.is_available = health->is_available(offer, now.steady);
    if (!candidate.is_available)
        candidate.attempt.not_before = health->available_at(offer, now.steady);
    else if (state.breaker != Breaker::kClosed)
        candidate.attempt.reason = Reason::kProbe;
}

/// Moves the ordered candidates into the plan. Those that are not available, or too small for the
/// prompt, are excluded while there is anything better, and the last resort otherwise.
void settle_order(const Candidates& ordered, const Health* health, Now now, Plan& plan) {
    const bool has_good = std::ranges::any_of(
        ordered, [](const Candidate& c) { return c.is_available && !c.is_tight; });
    for (const Candidate& candidate : ordered) {
        const bool is_good = candidate.is_available && !candidate.is_tight;
        if (has_good && !is_good) {
            Reason why = Reason::kContextTooSmall;
            if (!candidate.is_available)
                why = health->breaker(candidate.attempt.offer, now.steady) == Breaker::kClosed
                    ? Reason::kCoolingDown
                    : Reason::kBreakerOpen;
            plan.excluded.push_back({candidate.attempt.offer, why, candidate.attempt.not_before});
            continue;
        }
        const bool is_first = plan.attempts.empty();
        plan.attempts.push_back(candidate.attempt);
        Attempt& attempt = plan.attempts[plan.attempts.size() - 1];
        if (!is_good)
            attempt.reason = Reason::kLastResort;
        else if (attempt.reason == Reason::kProbe)
            continue;
        else if (!attempt.is_priced && ordered.size() > 1)
            attempt.reason = Reason::kUnpriced;
        else
            attempt.reason = is_first ? Reason::kCheapest : Reason::kNextCheapest;
    }
    if (plan.attempts.size() == 1 &&
        (plan.attempts[0].reason == Reason::kCheapest ||
            plan.attempts[0].reason == Reason::kUnpriced))
        plan.attempts[0].reason = Reason::kOnly;
}

bool all_are(const Plan& plan, std::initializer_list<Reason> reasons) {
    return std::ranges::all_of(plan.excluded, [&](const Exclusion& exclusion) {
        return std::ranges::find(reasons, exclusion.reason) != reasons.end();
    });
}

const Exclusion* first_with(const Plan& plan, Reason reason) {
    const auto* at = std::ranges::find(plan.excluded, reason, &Exclusion::reason);
    return at == plan.excluded.end() ? nullptr : at;
}

/// The error of a plan without attempts: the one thing that would help comes first.
std::unexpected<Error> nowhere_to_go(
    const RequestFacts& facts, const OfferTable& table, const Plan& plan) {
    if (const Exclusion* unbounded = first_with(plan, Reason::kUnbounded)) {
        const Offer& offer = table.offer(unbounded->offer);
        Result<Bound> bound =
            bound_of(facts.shape, offer.limits, offer.expansion, facts.on_unbounded);
        if (!bound) return std::unexpected(std::move(bound).error());
        return fail_field(ErrorCode::kUnbounded, "model",
            fmt::format("the cost of this request has no upper bound: '{}' is billed by tokens of "
                        "its answer, and nothing caps them. State max_output_tokens of the offer, "
                        "for one answer or one image.",
                offer.id.view()));
    }
    if (const Exclusion* unpriced = first_with(plan, Reason::kPriceUnknown))
        return fail(ErrorCode::kUnbounded,
            fmt::format("no price is known for '{}' at this tier and size, so the budget of this "
                        "key cannot be held. State a price for the offer in the configuration.",
                table.offer(unpriced->offer).id.view()));
    if (all_are(plan, {Reason::kCloudNotAllowed, Reason::kRegionNotAllowed}))
        return fail(ErrorCode::kForbidden,
            fmt::format(
                "this key may not reach any cloud or region that offers '{}'", facts.model));
    if (all_are(plan, {Reason::kTaskMissing, Reason::kCloudNotAllowed, Reason::kRegionNotAllowed}))
        return fail_field(ErrorCode::kUnsupported, "model",
            fmt::format("no offer of '{}' that this key may reach can {}", facts.model,
                canon::task_words(facts.task)));
    std::string why;
    for (const Exclusion& exclusion : plan.excluded)
        why += fmt::format("{}{}: {}", why.empty() ? "" : "; ",
            table.offer(exclusion.offer).id.view(), reason_text(exclusion.reason));
    if (first_with(plan, Reason::kFeatureMissing) != nullptr) {
        std::string needs;
        for (unsigned bit = 0; bit < 10; ++bit)
            if ((facts.needs >> bit & 1U) != 0)
                needs += fmt::format("{}{}", needs.empty() ? "" : ", ",
                    feature_name(static_cast<Feature>(1U << bit)));
        return fail(ErrorCode::kUnsupported,
            fmt::format(
                "no offer of '{}' can do what the request asks for ({})", facts.model, needs),
            why);
    }
    return fail(ErrorCode::kNoOffer,
        fmt::format("no offer of '{}' can serve this request", facts.model), why);
}

}  // namespace

std::string_view reason_name(Reason reason) {
    switch (reason) {
        case Reason::kOnly: return "only";
        case Reason::kCheapest: return "cheapest";
        case Reason::kNextCheapest: return "next_cheapest";
        case Reason::kUnpriced: return "unpriced";
        case Reason::kProbe: return "probe";
        case Reason::kLastResort: return "last_resort";
        case Reason::kCloudNotAllowed: return "cloud_not_allowed";
        case Reason::kRegionNotAllowed: return "region_not_allowed";
        case Reason::kFeatureMissing: return "feature_missing";
        case Reason::kTaskMissing: return "task_missing";
        case Reason::kContextTooSmall: return "context_too_small";
        case Reason::kPriceUnknown: return "price_unknown";
        case Reason::kUnbounded: return "unbounded";
        case Reason::kBreakerOpen: return "breaker_open";
        case Reason::kCoolingDown: return "cooling_down";
        case Reason::kTakenOut: return "taken_out";
    }
    return "unknown";
}

std::string_view reason_text(Reason reason) {
    switch (reason) {
        case Reason::kOnly: return "the only offer that may serve";
        case Reason::kCheapest: return "the lowest expected cost";
        case Reason::kNextCheapest:
            return "the next lowest expected cost, or equal and less healthy";
        case Reason::kUnpriced: return "no price is known, so it comes after those that have one";
        case Reason::kProbe: return "was broken; this request tries whether it has recovered";
        case Reason::kLastResort: return "not fit at this moment, but nothing else is";
        case Reason::kCloudNotAllowed: return "the key or its team may not use this cloud";
        case Reason::kRegionNotAllowed:
            return "the key or its team may not reach this region, or it is not known";
        case Reason::kFeatureMissing: return "cannot do something the request needs";
        case Reason::kTaskMissing: return "its supplier has no call for this, or it is not served";
        case Reason::kContextTooSmall:
            return "the prompt is probably larger than its context window";
        case Reason::kPriceUnknown: return "no price is known, so no budget can be held for it";
        case Reason::kUnbounded: return "its cost would have no upper bound";
        case Reason::kBreakerOpen: return "its circuit breaker is open after failures";
        case Reason::kCoolingDown: return "it asked us to wait";
        case Reason::kTakenOut:
            return "its usage went beyond what was held; it does not enforce the cap it was given";
    }
    return "unknown";
}

namespace {

/// Fills an empty plan. Errors: kNotFound.
Status fill(
    const RequestFacts& facts, const OfferTable& table, const Memory& memory, Now now, Plan& plan) {
    const auto indexes = table.of_model(facts.model);
    if (indexes.empty()) {
        const std::string_view near = table.nearest_model(facts.model);
        return fail_field(ErrorCode::kNotFound, "model",
            near.empty() ? fmt::format("there is no model '{}'", excerpt(facts.model))
                         : fmt::format("there is no model '{}'; did you mean '{}'?",
                               excerpt(facts.model), near));
    }
    Candidates candidates;
    for (const std::uint32_t index : indexes) {
        const Offer& offer = table.offer(index);
        std::optional<Reason> refused = gate(facts, table, index, memory.health);
        if (!refused) {
            Candidate& candidate = candidates.emplace_back();
            candidate.attempt.offer = index;
            candidate.is_foreign = facts.dialect && *facts.dialect != offer.dialect;
            refused = weigh(facts, offer, memory, now, candidate);
            if (!refused)
                look_at_health(memory.health, now, candidate);
            else
                candidates.pop_back();
        }
        if (refused) plan.excluded.push_back({index, *refused, {}});
    }
    if (candidates.size() > 1) std::sort(candidates.begin(), candidates.end(), is_before);
    settle_order(candidates, memory.health, now, plan);
    return {};
}

}  // namespace

Result<Plan> survey(
    const RequestFacts& facts, const OfferTable& table, const Memory& memory, Now now) {
    Result<Plan> result;
    if (Status filled = fill(facts, table, memory, now, *result); !filled)
        result = std::unexpected(std::move(filled).error());
    return result;
}

Result<Plan> make_plan(
    const RequestFacts& facts, const OfferTable& table, const Memory& memory, Now now) {
    Result<Plan> result;
    Status filled = fill(facts, table, memory, now, *result);
    if (filled && result->attempts.empty()) filled = nowhere_to_go(facts, table, *result);
    if (!filled) result = std::unexpected(std::move(filled).error());
    return result;
}

}  // namespace entrepot::routing
