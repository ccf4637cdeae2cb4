#include "pricing/price.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "pricing/compile.h"
#include "pricing/ladder.h"

namespace entrepot::pricing {
namespace {

using canon::kMeterCount;
using canon::Meter;
using canon::Usage;

/// No supplier can have served more in one request; keeps every product of counts and prices inside
/// 128 bits.
constexpr std::int64_t kCountMax = 1'000'000'000'000'000;

/// A day of them in one line of the books.
constexpr std::int64_t kLineCountMax = 1'000'000'000'000'000'000;

constexpr bool is_one(const Ratio& ratio) { return ratio.numerator == 1 && ratio.denominator == 1; }

bool applies(const RateCard::Band& band, std::int64_t prompt_tokens) {
    return band.ctx_over == 0 || prompt_tokens > band.ctx_over;
}

using Prices = std::array<std::int64_t, kMeterCount>;

/// Where a whole request is priced: the list's band, and what a contract makes of it. All are null
/// when the tier has none; `terms` is without a contract.
struct Place {
    const RateCard::Epoch* epoch = nullptr;
    const RateCard::Band* band = nullptr;
    const RateCard::Contracted* terms = nullptr;
    const Prices* prices = nullptr;  ///< what is paid, before its factor

    [[nodiscard]] std::int64_t price(std::size_t m) const {
        return prices == nullptr ? RateCard::kUnknownPrice : (*prices)[m];
    }
    [[nodiscard]] Meter source(std::size_t m) const {
        if (band == nullptr) return static_cast<Meter>(m);
        return terms == nullptr ? band->source[m] : terms->source[m];
    }
    [[nodiscard]] const Ratio& factor(std::size_t m) const {
        return epoch->factors[terms->factor[m]];
    }
    [[nodiscard]] const RateCard::Ladder* ladder(std::size_t m) const {
        return terms->ladder[m] == 0 ? nullptr : &epoch->ladders[terms->ladder[m] - 1u];
    }
};

Place place_of(const RateCard& card, Tier tier, std::int64_t prompt_tokens, Instant at) {
    Place place{card.at(at)};
    if (place.epoch == nullptr) return place;
    const auto bands = place.epoch->tier(tier);
    for (auto band = bands.rbegin(); band != bands.rend(); ++band) {
        if (!applies(*band, prompt_tokens)) continue;
        place.band = &*band;
        place.terms = place.epoch->terms_of(*band);
        place.prices = place.terms == nullptr ? &band->used : &place.terms->price;
        break;
    }
    return place;
}

Result<Ratio> whole_factor(const RateCard& card, const PriceOptions& options) {
    if (is_one(options.factor)) return card.factor();
    if (is_one(card.factor())) return options.factor;
    return multiply(card.factor(), options.factor);
}

Result<Money> amount_of(
    std::int64_t quantity, UnitPrice price, const Ratio& factor, Rounding rounding) {
    if (is_one(factor)) return Money::from_pico(static_cast<Int128>(quantity) * price.pico());
    return extend(quantity, price, factor, rounding);
}

bool add(Money& sum, Money amount) {
    Int128 total = 0;
    if (__builtin_add_overflow(sum.pico(), amount.pico(), &total)) return false;
    sum = Money::from_pico(total);
    return true;
}

/// A count that only describes the request unless a price says otherwise. Searches are billed by
/// every seller that has them, so for those a missing price is an unknown one.
constexpr bool is_descriptive(Meter meter) {
    return meter == Meter::kRequests || meter == Meter::kImages || meter == Meter::kAudioSeconds ||
        meter == Meter::kCharacters || meter == Meter::kToolCalls;
}

/// Whether the usage is of a card that sells by the piece alone and names such pieces.
bool is_paid_by_piece(const Usage& usage, const Place& place) {
    for (std::size_t m = 0; m <= index_of(Meter::kReasoning); ++m)
        if (place.price(m) != RateCard::kUnknownPrice) return false;
    for (const Meter m : {Meter::kImages, Meter::kAudioSeconds, Meter::kCharacters})
        if (place.price(index_of(m)) > 0 && usage[m] > 0) return true;
    return false;
}

/// Calls `line(meter, quantity)` for everything that is billed, whether or not its price is known.
/// Without a band every price is unknown.
template <typename Line>
void for_each_line(const Usage& usage, const Place& place, Line&& line) {
    bool has_tokens = false;
    const bool reasoning_apart = place.band != nullptr && place.band->is_reasoning_apart;
    for (std::size_t m = 0; m < kMeterCount; ++m) {
        const auto meter = static_cast<Meter>(m);
        std::int64_t quantity = usage.counts[m];
        if (quantity == 0) continue;
        if (meter == Meter::kReasoning && !reasoning_apart) continue;
        if (m < index_of(Meter::kReasoning)) has_tokens = true;
        if (meter == Meter::kOutput && reasoning_apart) {
            quantity -= usage[Meter::kReasoning];
            if (quantity == 0) continue;
        }
        const bool is_known = place.price(m) != RateCard::kUnknownPrice;
        // An image or a minute that came with tokens is paid through them.
        if (!is_known && is_descriptive(meter) && (has_tokens || meter == Meter::kRequests))
            continue;
        // And tokens that came with them through those, where no token has a price.
        if (!is_known && m <= index_of(Meter::kReasoning) && place.band != nullptr &&
            is_paid_by_piece(usage, place)) [[unlikely]]
            continue;
        line(meter, quantity);
    }
}

/// What a contract makes of a line that is on no volume step.
Result<Money> paid_of(
    std::int64_t quantity, UnitPrice price, const Ratio& factor, const RoundingRule& rule) {
    Int128 product = static_cast<Int128>(quantity) * price.pico();
    if (is_one(factor) && rule.decimals == RoundingRule::kDecimalsMax)
        return Money::from_pico(product);
    if (__builtin_mul_overflow(product, Int128{factor.numerator}, &product)) [[unlikely]]
        return fail(ErrorCode::kOverflow,
            fmt::format("{} units at {} times {} does not fit", quantity, price.to_per_million(),
                factor.to_string()));
    return divide(product, factor.denominator, rule);
}

/// Prices the lines of one charge, in their order: what a volume step counts goes on from line to
/// line.
class Till {
public:
    Till(const Place& place, const RateCard& card, const PriceOptions& options)
        : place_(place), card_(card), options_(options) {}

    /// Both amounts, where they are known. `list_factor` is the card's times the options'.
    [[nodiscard]] Status ring_up(ChargeLine& line, const Ratio& list_factor) {
        const std::size_t m = index_of(line.meter);
        line.priced_as = place_.source(m);
        const std::int64_t pico = place_.price(m);
        line.is_known = pico != RateCard::kUnknownPrice;
        const std::int64_t listed =
            place_.band == nullptr ? RateCard::kUnknownPrice : place_.band->used[m];
        line.is_list_known = listed != RateCard::kUnknownPrice;
        if (line.is_list_known) {
            line.list_price = UnitPrice::from_pico(listed);
            ENTREPOT_TRY(line.list,
                amount_of(line.quantity, line.list_price, list_factor, options_.rounding));
        }
        if (!line.is_known) return {};
        line.price = UnitPrice::from_pico(pico);
        if (place_.terms == nullptr) {
            line.factor = list_factor;
            line.cost = line.list;
            return {};
        }
        return contract(line, m);
    }

private:
    [[nodiscard]] Status contract(ChargeLine& line, std::size_t m) {
        const RoundingRule& rule = place_.epoch->rounding;
        line.factor = place_.factor(m);
        if (const RateCard::Ladder* ladder = place_.ladder(m)) [[unlikely]] {
            line.is_stepped = true;
            line.counts_units = ladder->measure == TermVolume::Measure::kUnits;
            line.counter = ladder->counter;
            const Climb climb{*ladder, line.quantity, line.price, line.list, card_.factor(),
                options_.factor, running(ladder->counter)};
            advance(ladder->counter, line.counted());
            ENTREPOT_TRY(line.cost, climb_of(climb, rule));
            return {};
        }
        if (!is_one(options_.factor)) {
            ENTREPOT_TRY(line.factor, multiply(line.factor, options_.factor));
        }
        ENTREPOT_TRY(line.cost, paid_of(line.quantity, line.price, line.factor, rule));
        return {};
    }

    [[nodiscard]] Int128 running(std::uint16_t counter) const {
        Int128 sum = counter < options_.running.size() ? options_.running[counter] : 0;
        for (std::size_t i = 0; i < counted_; ++i)
            if (here_[i].counter == counter) sum += here_[i].amount;
        return sum;
    }
    void advance(std::uint16_t counter, Int128 amount) { here_[counted_++] = {counter, amount}; }

    struct Counted {
        std::uint16_t counter;
        Int128 amount;
    };
    const Place& place_;
    const RateCard& card_;
    const PriceOptions& options_;
    std::array<Counted, kMeterCount> here_;  // the first `counted_` are set
    std::size_t counted_ = 0;
};

Status check_counts(const Usage& usage) {
    for (std::size_t m = 0; m < kMeterCount; ++m)
        if (usage.counts[m] < 0 || usage.counts[m] > kCountMax) [[unlikely]]
            return fail(ErrorCode::kInvalidField,
                fmt::format("a usage of {} {} cannot be priced; counts go from 0 to {}",
                    usage.counts[m], canon::meter_name(static_cast<Meter>(m)), kCountMax));
    if (usage[Meter::kReasoning] > usage[Meter::kOutput]) [[unlikely]]
        return fail(ErrorCode::kInvalidField,
            fmt::format("{} reasoning tokens cannot be part of {} output tokens",
                usage[Meter::kReasoning], usage[Meter::kOutput]));
    return {};
}

}  // namespace

Result<Charge> price(
    const Usage& usage, const RateCard& card, const PriceOptions& options, Instant at) {
    ENTREPOT_TRY_DO(check_counts(usage));
    ENTREPOT_TRY(const Ratio factor, whole_factor(card, options));
    Result<Charge> result;
    Charge& charge = *result;
    charge.tier = options.tier;
    charge.factor = factor;
    const Place place = place_of(card, options.tier, usage.prompt_tokens(), at);
    if (place.epoch != nullptr) charge.version = place.epoch->version;
    if (place.band != nullptr) charge.ctx_over = place.band->ctx_over;
    charge.is_contracted = place.terms != nullptr;

    Status status;
    Till till(place, card, options);
    for_each_line(usage, place, [&](Meter meter, std::int64_t quantity) {
        ChargeLine& line = charge.lines_storage[charge.line_count++];
        line.meter = meter;
        line.quantity = quantity;
        if (Status rung = till.ring_up(line, factor); !rung) {
            status = std::move(rung);
            return;
        }
        charge.is_known = charge.is_known && line.is_known;
        charge.is_list_known = charge.is_list_known && line.is_list_known;
        if ((line.is_known && !add(charge.total, line.cost)) ||
            (line.is_list_known && !add(charge.list_total, line.list)))
            status = fail(ErrorCode::kOverflow, "the total of a charge leaves 128 bits");
    });
    if (!status) return std::unexpected(std::move(status).error());
    return result;
}

Result<ChargeLine> price_line(const LineAt& at_line, const RateCard& card, Instant at) {
    if (at_line.quantity < 0 || at_line.quantity > kLineCountMax || at_line.ctx_over < 0 ||
        at_line.ctx_over > kCountMax)
        return fail(ErrorCode::kInvalidField,
            fmt::format("a line of {} {} cannot be priced", at_line.quantity,
                canon::meter_name(at_line.meter)));
    const Place place = place_of(card, at_line.tier, at_line.ctx_over + 1, at);
    ChargeLine line;
    line.meter = at_line.meter;
    line.quantity = at_line.quantity;
    const PriceOptions options{.tier = at_line.tier};
    Till till(place, card, options);
    ENTREPOT_TRY_DO(till.ring_up(line, card.factor()));
    return line;
}

bool has_price(const RateCard& card, Meter meter, Instant at) {
    const RateCard::Epoch* epoch = card.at(at);
    if (epoch == nullptr) return false;
    const std::size_t m = index_of(meter);
    return std::ranges::any_of(epoch->bands, [&](const RateCard::Band& band) {
        const RateCard::Contracted* terms = epoch->terms_of(band);
        return band.own[m] != RateCard::kUnknownPrice ||
            (terms != nullptr && terms->source[m] == meter &&
                terms->price[m] != RateCard::kUnknownPrice);
    });
}

Quote estimate(const Usage& usage, const RateCard& card, const PriceOptions& options, Instant at) {
    const Result<Ratio> factor = whole_factor(card, options);
    if (!factor || !check_counts(usage)) return {};
    const Place place = place_of(card, options.tier, usage.prompt_tokens(), at);
    Quote quote{true, {}};
    const auto sum = [&](const auto& amount_at) {
        for_each_line(usage, place, [&](Meter meter, std::int64_t quantity) {
            const std::size_t m = index_of(meter);
            const std::int64_t pico = place.price(m);
            if (pico == RateCard::kUnknownPrice) {
                quote.is_known = false;
                return;
            }
            const Result<Money> amount = amount_at(m, quantity, UnitPrice::from_pico(pico));
            if (!amount || !add(quote.amount, *amount)) quote.is_known = false;
        });
        return quote;
    };
    if (place.terms == nullptr)
        return sum([&](std::size_t, std::int64_t quantity, UnitPrice unit) {
            return amount_of(quantity, unit, *factor, options.rounding);
        });
    if (place.epoch->ladders.empty() && is_one(options.factor))
        return sum([&](std::size_t m, std::int64_t quantity, UnitPrice unit) {
            return paid_of(quantity, unit, place.factor(m), place.epoch->rounding);
        });
    Till till(place, card, options);
    for_each_line(usage, place, [&](Meter meter, std::int64_t quantity) {
        ChargeLine line;
        line.meter = meter;
        line.quantity = quantity;
        if (!till.ring_up(line, *factor) || !line.is_known || !add(quote.amount, line.cost))
            quote.is_known = false;
    });
    return quote;
}

namespace {

/// The dearest price per unit that a request within bounds can reach, by what it is paid for.
struct Dearest {
    std::int64_t prompt = 0;
    std::int64_t output = 0;
    std::int64_t request = 0;
    std::int64_t image = 0;
    std::int64_t search = 0;
    std::int64_t character = 0;
    std::int64_t audio_second = 0;
    bool is_known = true;
    MeterSet paid = 0;  ///< meters whose lines may come to something

    /// How many lines a charge within the bounds has at most, but for those that are free.
    [[nodiscard]] Int128 lines() const { return std::popcount(paid); }
    void count(const Prices& prices, const Bounds& bounds) {
        MeterSet reachable = kAllMeters;
        const auto without = [&](std::initializer_list<Meter> meters) {
            for (const Meter meter : meters) reachable &= ~bit_of(meter);
        };
        if (!bounds.is_piecework) {
            if (!bounds.has_images) without({Meter::kImageIn});
            if (!bounds.has_audio) without({Meter::kAudioIn, Meter::kAudioCacheRead});
            if (!bounds.may_answer_audio) without({Meter::kAudioOut});
            if (!bounds.may_answer_images) without({Meter::kImageOut});
        }
        for (std::size_t m = 0; m < kMeterCount; ++m)
            if (prices[m] > 0) paid |= reachable & bit_of(static_cast<Meter>(m));
    }

    void raise(std::int64_t& price, std::int64_t seen) { price = std::max(price, seen); }
    /// A price that is needed: unknown makes the whole unknown.
    void need(std::int64_t& price, std::int64_t seen) {
        if (seen == RateCard::kUnknownPrice) is_known = false;
        raise(price, seen);
    }
    void see(const Prices& prices, const Bounds& bounds) {
        const auto used = [&](Meter meter) { return prices[index_of(meter)]; };
        if (bounds.is_piecework) {
            see_pieces(prices, bounds);
            return;
        }
        if (bounds.prompt_tokens_max > 0) {
            // A supplier may cache what nobody asked it to, so cache prices are always reachable.
            need(prompt, used(Meter::kInput));
            for (const Meter m : {Meter::kCacheRead, Meter::kCacheWrite, Meter::kCacheWriteLong})
                raise(prompt, used(m));
            if (bounds.has_images) raise(prompt, used(Meter::kImageIn));
            if (bounds.has_audio) {
                raise(prompt, used(Meter::kAudioIn));
                raise(prompt, used(Meter::kAudioCacheRead));
            }
        }
        if (bounds.output_tokens_max > 0) {
            need(output, used(Meter::kOutput));
            raise(output, used(Meter::kReasoning));
            if (bounds.may_answer_audio) raise(output, used(Meter::kAudioOut));
            if (bounds.may_answer_images) raise(output, used(Meter::kImageOut));
        }
        raise(request, used(Meter::kRequests));
        if (bounds.images_max > 0) raise(image, used(Meter::kImages));
        if (bounds.searches_max > 0) need(search, used(Meter::kSearches));
        // Nothing bounds these counts before the answer is there.
        for (const Meter m : {Meter::kAudioSeconds, Meter::kCharacters, Meter::kToolCalls})
            if (used(m) > 0) is_known = false;
    }
    void see_pieces(const Prices& prices, const Bounds& bounds) {
        const auto dearest_of = [&](std::initializer_list<Meter> meters) {
            std::int64_t price = RateCard::kUnknownPrice;
            for (const Meter meter : meters) price = std::max(price, prices[index_of(meter)]);
            return price;
        };
        // Also of what has a price of its own alone: some lists of images leave text out.
        const std::int64_t of_prompt = dearest_of({Meter::kInput, Meter::kCacheRead,
            Meter::kCacheWrite, Meter::kCacheWriteLong, Meter::kImageIn, Meter::kAudioIn});
        const std::int64_t of_answer =
            dearest_of({Meter::kOutput, Meter::kReasoning, Meter::kImageOut, Meter::kAudioOut});
        bool is_priced = of_prompt >= 0 && (of_answer >= 0 || bounds.output_tokens_max == 0) &&
            !bounds.is_output_unbounded;
        if (of_answer > 0 && bounds.is_output_unbounded) is_known = false;
        raise(prompt, of_prompt);
        raise(output, of_answer);
        const auto count = [&](Meter meter, std::int64_t most, std::int64_t& price) {
            const std::int64_t seen = prices[index_of(meter)];
            if (seen < 0) return;
            if (seen > 0 && most == 0) is_known = false;  // nothing bounds it
            raise(price, seen);
            is_priced = true;
        };
        count(Meter::kImages, bounds.images_max, image);
        count(Meter::kSearches, bounds.searches_max, search);
        count(Meter::kCharacters, bounds.characters_max, character);
        count(Meter::kAudioSeconds, bounds.audio_seconds_max, audio_second);
        count(Meter::kRequests, 1, request);
        if (prices[index_of(Meter::kToolCalls)] > 0 || !is_priced) is_known = false;
    }
};

}  // namespace

Quote worst_case(
    const Bounds& bounds, const RateCard& card, const PriceOptions& options, Instant at) {
    const RateCard::Epoch* epoch = card.at(at);
    const bool is_contracted = epoch != nullptr && !epoch->contract.empty();
    // A contract's ceilings hold its factors already, at any volume step.
    const Result<Ratio> factor =
        is_contracted ? Result<Ratio>(options.factor) : whole_factor(card, options);
    const auto is_sane = [](std::int64_t count) { return count >= 0 && count <= kCountMax; };
    if (epoch == nullptr || !factor || !is_sane(bounds.prompt_tokens_max) ||
        !is_sane(bounds.output_tokens_max) || !is_sane(bounds.images_max) ||
        !is_sane(bounds.searches_max) || !is_sane(bounds.characters_max) ||
        !is_sane(bounds.audio_seconds_max))
        return {};
    const bool rounds_coarsely =
        is_contracted && epoch->rounding.decimals != RoundingRule::kDecimalsMax;
    Dearest dearest;
    for (std::size_t t = 0; t < kTierCount; ++t) {
        if ((bounds.tiers & Bounds::tier_bit(static_cast<Tier>(t))) == 0) continue;
        bool reached = false;
        for (const RateCard::Band& band : epoch->tier(static_cast<Tier>(t))) {
            if (!applies(band, bounds.prompt_tokens_max)) break;
            const RateCard::Contracted* terms = epoch->terms_of(band);
            const Prices& prices = terms == nullptr ? band.used : terms->ceiling;
            dearest.see(prices, bounds);
            if (rounds_coarsely) dearest.count(prices, bounds);
            reached = true;
        }
        // A discount that the list does not sell leaves the request at the standard price.
        const bool is_discount = t == static_cast<std::size_t>(Tier::kBatch) ||
            t == static_cast<std::size_t>(Tier::kFlex);
        const bool may_be_standard = (bounds.tiers & Bounds::tier_bit(Tier::kStandard)) != 0;
        if (!reached && !(is_discount && may_be_standard)) return {};
    }
    if (!dearest.is_known) return {};

    Quote quote{true, {}};
    // Each line of the real charge is rounded on its own and may gain up to one step of it.
    if (rounds_coarsely)
        quote.amount = Money::from_pico(dearest.lines() * pico_step(epoch->rounding));
    else if (factor->denominator != 1)
        quote.amount = Money::from_pico(kMeterCount);
    const auto pay = [&](std::int64_t quantity, std::int64_t pico) {
        if (quantity == 0 || pico == 0) return;
        const Result<Money> amount =
            amount_of(quantity, UnitPrice::from_pico(pico), *factor, Rounding::kUp);
        if (!amount || !add(quote.amount, *amount)) quote.is_known = false;
    };
    pay(bounds.prompt_tokens_max, dearest.prompt);
    pay(bounds.output_tokens_max, dearest.output);
    pay(1, dearest.request);
    pay(bounds.images_max, dearest.image);
    pay(bounds.searches_max, dearest.search);
    pay(bounds.characters_max, dearest.character);
    pay(bounds.audio_seconds_max, dearest.audio_second);
    return quote;
}

std::int64_t output_that_fits(
    Bounds bounds, const RateCard& card, const PriceOptions& options, Instant at, Money available) {
    const auto fits = [&](std::int64_t output) {
        bounds.output_tokens_max = output;
        const Quote quote = worst_case(bounds, card, options, at);
        return quote.is_known && quote.amount <= available;
    };
    std::int64_t high = bounds.output_tokens_max;
    if (fits(high)) return high;
    std::int64_t low = 0;
    if (!fits(low)) return -1;
    while (high - low > 1) {
        const std::int64_t middle = low + (high - low) / 2;
        (fits(middle) ? low : high) = middle;
    }
    return low;
}

}  // namespace entrepot::pricing
