#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/money.h"
#include "base/time.h"
#include "routing/health.h"
#include "routing/inline_list.h"
#include "routing/memory.h"
#include "routing/offers.h"

namespace entrepot::routing {

/// A request, as far as it decides where to go. Views are borrowed for the call.
struct RequestFacts {
    std::string_view model;
    canon::Task task = canon::Task::kConverse;
    RequestShape shape;
    std::int64_t prompt_tokens_estimate = 0;  ///< 0: a quarter of the prompt's bytes
    std::uint64_t length_key = 0;             ///< for OutputLengths: hash of model and client key
    std::uint64_t prefix_hash = 0;            ///< of the cacheable prefix; 0: none
    std::int64_t cache_write_tokens = 0;      ///< that the request marks to be cached, when cold
    Features needs = 0;
    catalog::Tier tier = catalog::Tier::kStandard;
    OnUnbounded on_unbounded = OnUnbounded::kRefuse;
    bool needs_bound =
        true;  ///< false for a key under no budget: unpriced and unbounded offers may serve
    const Reach* reach = nullptr;         ///< null: everything
    std::optional<std::uint8_t> dialect;  ///< the client's: an offer that speaks it wins a tie
};

/// Why an offer stands where it stands.
enum class Reason : std::uint8_t {
    // in the plan
    kOnly,  ///< the only offer that may serve
    kCheapest,
    kNextCheapest,
    kUnpriced,    ///< no price is known: after all that have one
    kProbe,       ///< half-open: one request tries it
    kLastResort,  ///< not available now, and nothing else is
    // excluded
    kCloudNotAllowed,
    kRegionNotAllowed,
    kFeatureMissing,
    kTaskMissing,
    kContextTooSmall,
    kPriceUnknown,
    kUnbounded,
    kBreakerOpen,
    kCoolingDown,
    kTakenOut,  ///< never the last resort either
};
/// Short and stable: `cheapest`, `region_not_allowed`.
[[nodiscard]] std::string_view reason_name(Reason reason);
/// A sentence for people.
[[nodiscard]] std::string_view reason_text(Reason reason);

/// One step of a plan: where to send, what it will probably cost, what it may cost at most.
struct Attempt {
    std::uint32_t offer = 0;
    Reason reason = Reason::kOnly;
    bool is_priced = false;   ///< false: the three amounts are not known
    bool is_bounded = false;  ///< false: `hold` and `bounds` are not known (needs_bound was false)
    bool is_clamped = false;
    std::int64_t inject_output_cap = 0;  ///< > 0: cap to send per choice
    Money expected;                      ///< what decides the order
    Money hold;                          ///< worst case, to be held before dispatch
    std::int64_t expected_prompt_tokens = 0;
    std::int64_t expected_output_tokens = 0;
    std::int64_t expected_cache_read = 0;
    pricing::Bounds bounds;
    MonotonicTime not_before{};  ///< kLastResort: when it is available again
};

struct Exclusion {
    std::uint32_t offer = 0;
    Reason reason = Reason::kCloudNotAllowed;
    MonotonicTime until{};  ///< kBreakerOpen, kCoolingDown: when it is over
};

struct Plan {
    InlineList<Attempt, 4> attempts;  ///< in order
    InlineList<Exclusion, 4> excluded;
};

/// What one core remembers. `lengths` and `caches` may be null.
struct Memory {
    const Health* health = nullptr;  ///< null: everything is healthy
    const OutputLengths* lengths = nullptr;
    const WarmCaches* caches = nullptr;
};

struct Now {
    Instant wall;          ///< chooses the rates
    MonotonicTime steady;  ///< ages health and caches
};

/// Orders the offers that may serve: by expected cost, then health, latency, load, then as
/// configured. An offer that is open or cooling down is excluded while another may serve, else it
/// comes last with `not_before`. Pure. Errors: kNotFound for a model nobody offers (names the
/// nearest); kUnbounded when every allowed offer fails only for want of a bound; kNoOffer when
/// every offer is excluded (the message says why for each).
[[nodiscard]] Result<Plan> make_plan(
    const RequestFacts& facts, const OfferTable& table, const Memory& memory, Now now);

/// As make_plan, but an empty plan is no error: `explain` wants the exclusions too. Errors:
/// kNotFound.
[[nodiscard]] Result<Plan> survey(
    const RequestFacts& facts, const OfferTable& table, const Memory& memory, Now now);

}  // namespace entrepot::routing
