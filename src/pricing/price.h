#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "pricing/rate_card.h"

namespace entrepot::pricing {

/// One ledger line of a charge: quantity x price x factor, rounded once, at the list and as
/// contracted.
struct ChargeLine {
    canon::Meter meter = canon::Meter::kInput;
    canon::Meter priced_as = canon::Meter::kInput;  ///< the meter whose price is paid
    bool is_known = false;       ///< false: no price; `cost` is meaningless, not zero
    bool is_list_known = false;  ///< false: only the contract has a price; `list` is meaningless
    bool is_stepped = false;     ///< what it costs depends on what was bought before
    bool counts_units = false;   ///< what it adds there: units, or else list cost
    std::uint16_t counter = 0;   ///< TermVolume::counter, when stepped
    std::int64_t quantity = 0;
    UnitPrice list_price;  ///< before `Charge::factor`
    UnitPrice price;  ///< what is paid, before `factor`; a contract's stated price, or the list's
    Ratio factor;     ///< of `price`; below any volume step
    Money list;
    Money cost;  ///< what is paid: without a contract `list`

    /// What a line on steps adds to its counter.
    [[nodiscard]] Int128 counted() const { return counts_units ? Int128{quantity} : list.pico(); }
};

/// What a usage costs. Unknown prices are a state: `is_known` is false and `total` holds only the
/// known lines; the same for the list's.
struct Charge {
    std::array<ChargeLine, canon::kMeterCount> lines_storage{};
    std::uint8_t line_count = 0;
    bool is_known = true;
    bool is_list_known = true;
    bool is_contracted = false;  ///< RateCard::at(at)->contract names it
    Tier tier = Tier::kStandard;
    std::int64_t ctx_over = 0;  ///< the context band the whole request was priced at
    Ratio factor;               ///< of list prices: uplifts
    Money list_total;
    Money total;  ///< what is paid
    RateVersion version;

    [[nodiscard]] std::span<const ChargeLine> lines() const {
        return {lines_storage.data(), line_count};
    }
};

struct PriceOptions {
    Tier tier = Tier::kStandard;
    Rounding rounding = Rounding::kHalfEven;  ///< of list amounts, and of all without a contract
    Ratio factor;                             ///< on top of the card's, on list and cost
    /// What this period's purchases come to so far, by TermVolume::counter: pico-units of list
    /// cost, or units. A counter beyond its end stands at nothing.
    std::span<const Int128> running = {};
};

/// Prices a usage at the rates in force at `at`. The band is chosen by the whole prompt (cache
/// reads and writes included) and moves the whole request. Errors: kOverflow; kInvalidField for a
/// count that is negative or above 10^15, or for more `reasoning` than `output`.
[[nodiscard]] Result<Charge> price(
    const canon::Usage& usage, const RateCard& card, const PriceOptions& options, Instant at);

/// What one meter counted at one tier and in one context band: a line of the books.
struct LineAt {
    Tier tier = Tier::kStandard;
    std::int64_t ctx_over = 0;  ///< of prompts of more tokens than this
    canon::Meter meter = canon::Meter::kInput;
    std::int64_t quantity = 0;
};

/// What such a line costs at the rates of `at`, rounded once; without a price it says so. Of what
/// is on volume steps it says what the first of them costs. Errors: as of `price`.
[[nodiscard]] Result<ChargeLine> price_line(const LineAt& line, const RateCard& card, Instant at);

/// An amount, or the statement that it is not known.
struct Quote {
    bool is_known = false;
    Money amount;
};

/// The total of `price`, without lines: what the router compares. Unknown where any needed price
/// is, or on overflow.
[[nodiscard]] Quote estimate(
    const canon::Usage& usage, const RateCard& card, const PriceOptions& options, Instant at);

/// Whether the card has a price of its own for that meter at that time.
[[nodiscard]] bool has_price(const RateCard& card, canon::Meter meter, Instant at);

/// The most a request may consume.
struct Bounds {
    std::int64_t prompt_tokens_max = 0;  ///< of every modality together
    std::int64_t output_tokens_max = 0;  ///< over all choices (`n` applied)
    bool has_images =
        false;  ///< image tokens may be part of the prompt (documents become images too)
    bool has_audio = false;
    bool may_answer_audio = false;
    bool may_answer_images = false;
    std::int64_t images_max = 0;  ///< counted, for cards that price images apart
    std::int64_t searches_max = 0;
    std::int64_t characters_max = 0;
    std::int64_t audio_seconds_max = 0;
    /// Work that is billed by the piece at some sellers and by tokens at others: a card has to
    /// price the one or the other, and what it prices is paid.
    bool is_piecework = false;
    /// With it: nothing bounds the tokens of the answer, should the card price them.
    bool is_output_unbounded = false;
    std::uint8_t tiers = 1;  ///< bit per Tier that the supplier may serve at

    [[nodiscard]] static constexpr std::uint8_t tier_bit(Tier tier) {
        return static_cast<std::uint8_t>(1U << static_cast<unsigned>(tier));
    }
};

/// No usage within `bounds` can cost more than this: the dearest reachable rate over tiers, context
/// bands and cache writes, rounded up. `options.tier` is ignored. Unknown where a reachable price
/// is not known.
[[nodiscard]] Quote worst_case(
    const Bounds& bounds, const RateCard& card, const PriceOptions& options, Instant at);

/// The largest `output_tokens_max` whose worst case fits `available`, or -1 when not even the
/// prompt does. For "which max_tokens would fit".
[[nodiscard]] std::int64_t output_that_fits(
    Bounds bounds, const RateCard& card, const PriceOptions& options, Instant at, Money available);

}  // namespace entrepot::pricing
