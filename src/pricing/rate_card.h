#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "canon/usage.h"
#include "catalog/catalog.h"
#include "pricing/terms.h"

namespace entrepot::pricing {

using catalog::kTierCount;
using catalog::Tier;

/// Names the exact rates an amount was computed with: 12 hex digits of their hash, `@`, the day
/// they began to apply
/// (`-` when unknown). Equal rates of one offer give equal versions in every build.
class RateVersion {
public:
    RateVersion() = default;
    explicit RateVersion(std::string_view text);
    [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }
    friend bool operator==(const RateVersion& a, const RateVersion& b) {
        return a.view() == b.view();
    }

private:
    std::array<char, 27> text_{};
    std::uint8_t size_ = 0;
};

/// A price per million units stated in configuration: {`input`, `0.10`}.
using NamedPrice = std::pair<std::string, std::string>;

/// The prices of one offer, compiled for the request path: no strings, no maps, no allocation when
/// read. A value that is never changed after it was made; share it in a published snapshot.
class RateCard {
public:
    static constexpr std::int64_t kUnknownPrice = -1;

    /// Prices of one tier and context band. `own` is what the list says; `used` adds the documented
    /// fallbacks (README), each in pico-units or kUnknownPrice; `source` says which meter's price
    /// is used.
    struct Band {
        std::int64_t ctx_over = 0;
        std::array<std::int64_t, canon::kMeterCount> own{};
        std::array<std::int64_t, canon::kMeterCount> used{};
        std::array<canon::Meter, canon::kMeterCount> source{};
        bool is_reasoning_apart = false;  ///< priced on its own, not as part of the output
    };
    /// A discount that grows with what was bought, compiled: rates per unit of price, over one
    /// denominator. The first holds below the first threshold.
    struct Ladder {
        TermVolume::Measure measure = TermVolume::Measure::kSpend;
        TermVolume::Reprices reprices = TermVolume::Reprices::kMarginal;
        std::uint16_t counter = 0;
        std::int64_t denominator = 1;
        std::vector<Int128> over;  ///< ascending; one less than `numerators`
        std::vector<std::int64_t> numerators;
    };
    /// What a contract makes of a band. `price` times `factor` is paid per unit (or `ladder`'s rate
    /// in place of the factor), a price being kUnknownPrice where neither list nor contract has
    /// one; `ceiling` is no less, in whole pico-units.
    struct Contracted {
        std::array<std::int64_t, canon::kMeterCount> price{};
        std::array<std::int64_t, canon::kMeterCount> ceiling{};
        std::array<std::uint16_t, canon::kMeterCount> factor{};  ///< into Epoch::factors
        std::array<std::uint16_t, canon::kMeterCount>
            ladder{};  ///< one more than the index; 0: none
        std::array<canon::Meter, canon::kMeterCount> source{};
    };
    /// Rates between two dates. Bands of one tier are contiguous and ascend by ctx_over.
    struct Epoch {
        Instant from = catalog::kBeginning;
        Instant to = catalog::kForever;
        std::array<std::uint16_t, kTierCount + 1> first_band{};
        std::vector<Band> bands;
        RateVersion version;
        std::string contract;  ///< empty: the list is what is paid, and nothing below holds
        RoundingRule rounding;
        std::vector<Contracted> contracted;  ///< one per band
        std::vector<Ratio> factors;
        std::vector<Ladder> ladders;
        [[nodiscard]] std::span<const Band> tier(Tier tier) const;
        /// Null without a contract. `band` is one of `bands`.
        [[nodiscard]] const Contracted* terms_of(const Band& band) const {
            return contracted.empty() ? nullptr
                                      : &contracted[static_cast<std::size_t>(&band - bands.data())];
        }
    };

    /// A card without any price: every amount is unknown.
    RateCard() = default;
    /// From a catalogue row. `known_at` leaves out what no source had shown by then.
    [[nodiscard]] static RateCard compile(const catalog::Catalog& catalog,
        const catalog::Offer& offer, const Ratio& uplift = {},
        Instant known_at = catalog::kForever);
    /// From rates as they stand; `what` enters the version: cards of different offers differ in it.
    [[nodiscard]] static RateCard from_rates(
        std::span<const catalog::Rate> rates, std::string_view what, const Ratio& uplift = {});
    /// From prices in configuration: per million, by meter name; they hold at every tier, context
    /// and date. Errors: kInvalidField naming the meter (and the nearest one) or the price.
    [[nodiscard]] static Result<RateCard> from_prices(
        std::span<const NamedPrice> prices, Currency currency);

    /// The same card with rates that stand in place of its own where they are in force, uplifts
    /// included; of two for one meter that with the greater `seen` holds. `what` names the offer,
    /// for messages and, where the card was empty, for versions. Not of a card under contracts.
    /// Errors: kInvalidField where an uplift makes no whole pico-units of what stays.
    [[nodiscard]] Result<RateCard> with(
        std::span<const catalog::Rate> own, std::string_view what) const;
    /// The same card under contracts, whose terms do not overlap in time: what it says of list
    /// prices stays, and each amount has a contracted one beside it. A contract's rates have
    /// versions of their own. Errors: kInvalidField for terms that overlap or discounts beyond the
    /// whole; kOverflow for ratios too long.
    [[nodiscard]] Result<RateCard> under(std::span<const Terms> contracts) const;

    [[nodiscard]] bool has_prices() const { return !epochs_.empty(); }
    [[nodiscard]] Currency currency() const { return currency_; }
    /// The exact multiplier on every rate: uplifts, exchange.
    [[nodiscard]] const Ratio& factor() const { return factor_; }
    /// The same card times `factor`. Errors: kOverflow.
    [[nodiscard]] Result<RateCard> scaled(const Ratio& factor, Currency currency) const;
    /// The rates in force, or null when none is known for that time.
    [[nodiscard]] const Epoch* at(Instant at) const {
        for (auto epoch = epochs_.rbegin(); epoch != epochs_.rend(); ++epoch)
            if (epoch->from <= at && at < epoch->to) return &*epoch;
        return nullptr;
    }
    [[nodiscard]] std::span<const Epoch> epochs() const { return epochs_; }

private:
    friend class TermsCompiler;
    std::vector<Epoch> epochs_;
    std::string what_;
    Ratio factor_;
    Currency currency_;
};

}  // namespace entrepot::pricing
