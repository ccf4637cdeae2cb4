// A rate card under contracts: epochs, bands and prices as list and contract have them together.
#include "pricing/terms.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "pricing/compile.h"

namespace entrepot::pricing {

using canon::kMeterCount;
using canon::Meter;

namespace {

constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

bool is_in_force(const auto& term, Instant at) { return term.from <= at && at < term.to; }

Result<Ratio> subtract(const Ratio& a, const Ratio& b) {
    Int128 numerator = static_cast<Int128>(a.numerator) * b.denominator -
        static_cast<Int128>(b.numerator) * a.denominator;
    Int128 denominator = static_cast<Int128>(a.denominator) * b.denominator;
    Int128 x = numerator < 0 ? -numerator : numerator;
    Int128 y = denominator;
    while (y != 0) x = std::exchange(y, x % y);
    numerator /= x;
    denominator /= x;
    if (numerator > kInt64Max || numerator < -kInt64Max || denominator > kInt64Max)
        return fail(ErrorCode::kOverflow,
            fmt::format("{} less {} needs more than 63 bits", a.to_string(), b.to_string()));
    return Ratio{static_cast<std::int64_t>(numerator), static_cast<std::int64_t>(denominator)};
}

/// What is paid of a list price and of a stated one.
struct Factors {
    Ratio of_list;       ///< less what is off the list, times `of_net`
    Ratio of_net;        ///< of a stated price
    Ratio left_of_list;  ///< before `of_net`, without the card's own factor
};

}  // namespace

class TermsCompiler {
public:
    TermsCompiler(const RateCard& list, RateCard& out) : list_(list), out_(out) {}

    Status run(std::span<const Terms> contracts) {
        ENTREPOT_TRY_DO(check_order(contracts));
        const std::vector<Instant> edges = edges_of(contracts);
        for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
            const RateCard::Epoch* listed = list_.at(edges[i]);
            const auto terms = std::ranges::find_if(
                contracts, [&](const Terms& t) { return is_in_force(t, edges[i]); });
            RateCard::Epoch epoch;
            if (terms == contracts.end()) {
                if (listed == nullptr) continue;
                epoch = *listed;
                epoch.from = edges[i];
                epoch.to = edges[i + 1];
            } else {
                epoch.from = edges[i];
                epoch.to = edges[i + 1];
                ENTREPOT_TRY_DO(fill(epoch, listed, *terms));
                if (epoch.bands.empty()) continue;
            }
            out_.epochs_.push_back(std::move(epoch));
        }
        return {};
    }

private:
    static Status check_order(std::span<const Terms> contracts) {
        for (const Terms& a : contracts)
            for (const Terms& b : contracts)
                if (&a < &b && a.from < b.to && b.from < a.to)
                    return fail(ErrorCode::kInvalidField,
                        fmt::format("the contracts '{}' and '{}' cover one offer at the same time; "
                                    "end one before the other begins",
                            a.contract, b.contract));
        return {};
    }

    std::vector<Instant> edges_of(std::span<const Terms> contracts) const {
        std::vector<Instant> edges;
        const auto add = [&](const auto& period) {
            edges.push_back(period.from);
            edges.push_back(period.to);
        };
        for (const RateCard::Epoch& epoch : list_.epochs()) add(epoch);
        for (const Terms& terms : contracts) {
            add(terms);
            std::ranges::for_each(terms.prices, add);
            std::ranges::for_each(terms.discounts, add);
            std::ranges::for_each(terms.volumes, add);
        }
        std::ranges::sort(edges);
        edges.erase(std::ranges::unique(edges).begin(), edges.end());
        return edges;
    }

    Status fill(RateCard::Epoch& epoch, const RateCard::Epoch* listed, const Terms& terms) {
        epoch.contract = terms.contract;
        epoch.rounding = terms.rounding;
        for (std::size_t t = 0; t < kTierCount; ++t) {
            epoch.first_band[t] = static_cast<std::uint16_t>(epoch.bands.size());
            const auto tier = static_cast<Tier>(t);
            std::vector<std::int64_t> borders;
            if (listed != nullptr)
                for (const RateCard::Band& band : listed->tier(tier))
                    borders.push_back(band.ctx_over);
            for (const TermPrice& price : terms.prices)
                if (is_in_force(price, epoch.from) && (price.tiers & bit_of(tier)) != 0)
                    borders.push_back(price.ctx_over);
            std::ranges::sort(borders);
            borders.erase(std::ranges::unique(borders).begin(), borders.end());
            for (const std::int64_t ctx_over : borders)
                ENTREPOT_TRY_DO(add_band(epoch, listed, terms, tier, ctx_over));
        }
        epoch.first_band[kTierCount] = static_cast<std::uint16_t>(epoch.bands.size());
        epoch.version = version_of(epoch, listed);
        return {};
    }

    static RateCard::Band list_band(
        const RateCard::Epoch* listed, Tier tier, std::int64_t ctx_over) {
        RateCard::Band band;
        band.own.fill(RateCard::kUnknownPrice);
        band.used.fill(RateCard::kUnknownPrice);
        for (std::size_t m = 0; m < kMeterCount; ++m) band.source[m] = static_cast<Meter>(m);
        if (listed != nullptr)
            for (const RateCard::Band& each : listed->tier(tier))
                if (each.ctx_over <= ctx_over) band = each;
        band.ctx_over = ctx_over;
        return band;
    }

    Status add_band(RateCard::Epoch& epoch, const RateCard::Epoch* listed, const Terms& terms,
        Tier tier, std::int64_t ctx_over) {
        RateCard::Band band = list_band(listed, tier, ctx_over);
        std::array<const TermPrice*, kMeterCount> stated{};
        for (const TermPrice& price : terms.prices) {
            if (!is_in_force(price, epoch.from) || (price.tiers & bit_of(tier)) == 0 ||
                price.ctx_over > ctx_over)
                continue;
            const TermPrice*& slot = stated[index_of(price.meter)];
            if (slot == nullptr || slot->ctx_over < price.ctx_over) slot = &price;
        }
        if (stated[index_of(Meter::kReasoning)] != nullptr && !band.is_reasoning_apart) {
            // The contract parts what the list does not: at the list it costs what output does.
            band.is_reasoning_apart = true;
            band.used[index_of(Meter::kReasoning)] = band.used[index_of(Meter::kOutput)];
            band.source[index_of(Meter::kReasoning)] = band.source[index_of(Meter::kOutput)];
        }
        RateCard::Contracted contracted;
        for (std::size_t m = 0; m < kMeterCount; ++m) {
            const auto listed_at = [&](Meter meter) {
                const std::size_t i = index_of(meter);
                return band.source[i] == meter ? band.used[i] : RateCard::kUnknownPrice;
            };
            auto source = static_cast<Meter>(m);
            while (stated[index_of(source)] == nullptr &&
                listed_at(source) == RateCard::kUnknownPrice && stand_in(source) != source)
                source = stand_in(source);
            const TermPrice* own = stated[index_of(source)];
            contracted.source[m] = source;
            contracted.price[m] = own != nullptr ? own->price.pico() : listed_at(source);
            ENTREPOT_TRY_DO(set_factor(epoch, contracted, terms, tier, m, own != nullptr));
        }
        epoch.bands.push_back(band);
        epoch.contracted.push_back(contracted);
        return {};
    }

    Result<Factors> factors_of(const Terms& terms, Instant at, Tier tier, std::size_t meter) const {
        Factors factors;
        for (const TermDiscount& discount : terms.discounts) {
            if (!is_in_force(discount, at) || (discount.tiers & bit_of(tier)) == 0 ||
                (discount.meters & bit_of(static_cast<Meter>(meter))) == 0)
                continue;
            if (discount.is_of_net) {
                ENTREPOT_TRY(const Ratio left, subtract(Ratio{}, discount.off));
                ENTREPOT_TRY(factors.of_net, multiply(factors.of_net, left));
            } else {
                ENTREPOT_TRY(factors.left_of_list, subtract(factors.left_of_list, discount.off));
            }
        }
        if (factors.left_of_list.numerator < 0)
            return fail(ErrorCode::kInvalidField,
                fmt::format(
                    "the discounts of the contract '{}' on {} at the {} tier take more than "
                    "the whole list price; lower them",
                    terms.contract, canon::meter_name(static_cast<Meter>(meter)),
                    catalog::tier_name(tier)));
        ENTREPOT_TRY(factors.of_list, multiply(list_.factor(), factors.left_of_list));
        ENTREPOT_TRY(factors.of_list, multiply(factors.of_list, factors.of_net));
        return factors;
    }

    Status set_factor(RateCard::Epoch& epoch, RateCard::Contracted& out, const Terms& terms,
        Tier tier, std::size_t meter, bool is_stated) const {
        ENTREPOT_TRY(const Factors factors, factors_of(terms, epoch.from, tier, meter));
        const Ratio& factor = is_stated ? factors.of_net : factors.of_list;
        const auto known = std::ranges::find(epoch.factors, factor);
        out.factor[meter] = static_cast<std::uint16_t>(known - epoch.factors.begin());
        if (known == epoch.factors.end()) epoch.factors.push_back(factor);
        if (out.price[meter] == RateCard::kUnknownPrice) {
            out.ceiling[meter] = RateCard::kUnknownPrice;
            return {};
        }
        ENTREPOT_TRY(const Money ceiling,
            extend(1, UnitPrice::from_pico(out.price[meter]), factor, Rounding::kUp));
        if (ceiling.pico() > kInt64Max)
            return fail(ErrorCode::kOverflow,
                fmt::format("{} per million times {} is too large for a price",
                    UnitPrice::from_pico(out.price[meter]).to_per_million(), factor.to_string()));
        out.ceiling[meter] = static_cast<std::int64_t>(ceiling.pico());
        // What is free stays so on every step.
        if (is_stated || list_.factor().numerator == 0 || out.price[meter] == 0) return {};
        for (const TermVolume& volume : terms.volumes) {
            if (!is_in_force(volume, epoch.from) || (volume.tiers & bit_of(tier)) == 0 ||
                (volume.meters & bit_of(static_cast<Meter>(meter))) == 0)
                continue;
            const auto price = UnitPrice::from_pico(out.price[meter]);
            ENTREPOT_TRY(
                RateCard::Ladder ladder, ladder_of(volume, factors, price, terms.contract));
            for (const std::int64_t numerator : ladder.numerators) {
                ENTREPOT_TRY(const Money at_step,
                    extend(1, price, {numerator, ladder.denominator}, Rounding::kUp));
                out.ceiling[meter] =
                    std::max(out.ceiling[meter], static_cast<std::int64_t>(at_step.pico()));
            }
            epoch.ladders.push_back(std::move(ladder));
            out.ladder[meter] = static_cast<std::uint16_t>(epoch.ladders.size());
            break;
        }
        return {};
    }

    Result<RateCard::Ladder> ladder_of(const TermVolume& volume, const Factors& factors,
        UnitPrice price, const std::string& contract) const {
        RateCard::Ladder ladder{volume.measure, volume.reprices, volume.counter, 1, {}, {}};
        std::vector<Ratio> rates{factors.of_list};
        for (const TermVolume::Step& step : volume.steps) {
            ladder.over.push_back(step.over);
            if (step.price) {
                // As a part of the list's price, which the ladder's rates are all over.
                ENTREPOT_TRY(
                    const Ratio part, subtract({step.price->pico(), price.pico()}, {0, 1}));
                ENTREPOT_TRY(const Ratio rate, multiply(part, factors.of_net));
                rates.push_back(rate);
                continue;
            }
            ENTREPOT_TRY(Ratio left, subtract(factors.left_of_list, step.off));
            if (left.numerator < 0)
                return fail(ErrorCode::kInvalidField,
                    fmt::format("a volume step of the contract '{}' and its other discounts take "
                                "more than the whole list price; lower them",
                        contract));
            ENTREPOT_TRY(left, multiply(left, list_.factor()));
            ENTREPOT_TRY(left, multiply(left, factors.of_net));
            rates.push_back(left);
        }
        const auto too_long = [&] {
            return fail(ErrorCode::kOverflow,
                fmt::format("the volume steps of the contract '{}' need more than 63 bits; write "
                            "their discounts with fewer digits",
                    contract));
        };
        for (const Ratio& rate : rates) {
            const std::int64_t more =
                rate.denominator / std::gcd(rate.denominator, ladder.denominator);
            if (__builtin_mul_overflow(ladder.denominator, more, &ladder.denominator))
                return too_long();
        }
        for (const Ratio& rate : rates) {
            std::int64_t numerator = 0;
            if (__builtin_mul_overflow(
                    rate.numerator, ladder.denominator / rate.denominator, &numerator))
                return too_long();
            ladder.numerators.push_back(numerator);
        }
        return ladder;
    }

    RateVersion version_of(const RateCard::Epoch& epoch, const RateCard::Epoch* listed) const {
        std::uint64_t hash = mix(kHashSeed, list_.what_);
        hash = mix(hash, listed == nullptr ? "-" : listed->version.view());
        hash = mix(hash,
            fmt::format("|{}|{}|{}:{}", list_.currency().code(), epoch.contract,
                static_cast<int>(epoch.rounding.mode), epoch.rounding.decimals));
        std::size_t i = 0;
        for (std::size_t t = 0; t < kTierCount; ++t)
            for (const RateCard::Band& band : epoch.tier(static_cast<Tier>(t))) {
                const RateCard::Contracted& terms = epoch.contracted[i++];
                hash = mix(hash, fmt::format("|{}:{}", t, band.ctx_over));
                for (std::size_t m = 0; m < kMeterCount; ++m) {
                    hash = mix(hash,
                        fmt::format(
                            ",{}x{}", terms.price[m], epoch.factors[terms.factor[m]].to_string()));
                    if (terms.ladder[m] == 0) continue;
                    const RateCard::Ladder& ladder = epoch.ladders[terms.ladder[m] - 1u];
                    hash = mix(hash,
                        fmt::format("[{}{}/{}", static_cast<int>(ladder.measure),
                            static_cast<int>(ladder.reprices), ladder.denominator));
                    for (const Int128 over : ladder.over) hash = mix(hash, to_string(over));
                    for (const std::int64_t n : ladder.numerators) hash = mix(hash, to_string(n));
                }
            }
        return version_name(hash, epoch.from);
    }

    const RateCard& list_;
    RateCard& out_;
};

Result<RateCard> RateCard::under(std::span<const Terms> contracts) const {
    RateCard card;
    card.what_ = what_;
    card.factor_ = factor_;
    card.currency_ = currency_;
    ENTREPOT_TRY_DO(TermsCompiler(*this, card).run(contracts));
    return card;
}

}  // namespace entrepot::pricing
