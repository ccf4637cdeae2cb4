#include "pricing/rate_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/text.h"
#include "pricing/compile.h"

namespace entrepot::pricing {
namespace {

using canon::kMeterCount;
using canon::Meter;

/// Fills `used` and `source` from `own`; `base` is the band for short prompts of the same tier, or
/// null.
void resolve(RateCard::Band& band, const RateCard::Band* base) {
    for (std::size_t m = 0; m < kMeterCount; ++m) {
        auto meter = static_cast<Meter>(m);
        while (band.own[index_of(meter)] == RateCard::kUnknownPrice && stand_in(meter) != meter)
            meter = stand_in(meter);
        band.used[m] = band.own[index_of(meter)];
        band.source[m] = meter;
        // A band for long prompts is never cheaper than the one it follows, whatever its list
        // leaves out.
        if (base != nullptr && band.own[m] == RateCard::kUnknownPrice &&
            base->own[m] > band.used[m]) {
            band.used[m] = base->own[m];
            band.source[m] = static_cast<Meter>(m);
        }
    }
    band.is_reasoning_apart = band.own[index_of(Meter::kReasoning)] != RateCard::kUnknownPrice;
}

RateVersion version_of(
    std::string_view what, const RateCard::Epoch& epoch, const Ratio& factor, Currency currency) {
    std::uint64_t hash = mix(kHashSeed, what);
    hash = mix(hash, factor.to_string());
    hash = mix(hash, currency.code());
    for (std::size_t t = 0; t < kTierCount; ++t)
        for (const RateCard::Band& band : epoch.tier(static_cast<Tier>(t)))
            hash = mix(hash, fmt::format("|{}:{}:{}", t, band.ctx_over, fmt::join(band.used, ",")));
    return version_name(hash, epoch.from);
}

using BandKey = std::pair<std::size_t, std::int64_t>;  // tier, ctx_over

/// The epoch that begins at `from`: of each (tier, band, meter) the rate in force; where several
/// are, the one seen last, then the one that began last.
RateCard::Epoch epoch_at(std::span<const catalog::Rate> rates, Instant from, Instant to) {
    std::map<BandKey, std::array<const catalog::Rate*, kMeterCount>> table;
    for (const catalog::Rate& rate : rates) {
        if (rate.from > from || from >= rate.to) continue;
        const catalog::Rate*& slot =
            table[{static_cast<std::size_t>(rate.tier), rate.ctx_over}][index_of(rate.meter)];
        const auto rank = [](const catalog::Rate& r) { return std::pair(r.seen, r.from); };
        if (slot == nullptr || rank(*slot) < rank(rate)) slot = &rate;
    }
    RateCard::Epoch epoch;
    epoch.from = from;
    epoch.to = to;
    for (std::size_t t = 0; t < kTierCount; ++t) {
        epoch.first_band[t] = static_cast<std::uint16_t>(epoch.bands.size());
        std::optional<std::size_t> base;
        for (const auto& [key, row] : table) {
            if (key.first != t) continue;
            RateCard::Band band;
            band.ctx_over = key.second;
            for (std::size_t m = 0; m < kMeterCount; ++m)
                band.own[m] = row[m] == nullptr ? RateCard::kUnknownPrice : row[m]->price.pico();
            resolve(band, base ? &epoch.bands[*base] : nullptr);
            if (!base) base = epoch.bands.size();
            epoch.bands.push_back(band);
        }
    }
    epoch.first_band[kTierCount] = static_cast<std::uint16_t>(epoch.bands.size());
    return epoch;
}

}  // namespace

RateVersion::RateVersion(std::string_view text) {
    ENTREPOT_CHECK(text.size() <= text_.size());
    std::ranges::copy(text, text_.begin());
    size_ = static_cast<std::uint8_t>(text.size());
}

RateVersion version_name(std::uint64_t hash, Instant from) {
    const std::string date = from == catalog::kBeginning ? "-" : to_date(from);
    return RateVersion(fmt::format("{:012x}@{}", hash >> 16, date));
}

std::span<const RateCard::Band> RateCard::Epoch::tier(Tier tier) const {
    const auto t = static_cast<std::size_t>(tier);
    return std::span(bands).subspan(first_band[t], first_band[t + 1] - first_band[t]);
}

RateCard RateCard::compile(const catalog::Catalog& catalog, const catalog::Offer& offer,
    const Ratio& uplift, Instant known_at) {
    std::vector<catalog::Rate> rates;
    for (const catalog::Rate& rate : catalog.rates(offer))
        if (rate.seen <= known_at) rates.push_back(rate);
    return from_rates(rates, offer.id(), uplift);
}

RateCard RateCard::from_rates(
    std::span<const catalog::Rate> rates, std::string_view what, const Ratio& uplift) {
    RateCard card;
    card.what_ = what;
    card.factor_ = uplift;
    std::vector<Instant> edges;
    for (const catalog::Rate& rate : rates) {
        edges.push_back(rate.from);
        edges.push_back(rate.to);
    }
    std::ranges::sort(edges);
    edges.erase(std::ranges::unique(edges).begin(), edges.end());
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
        Epoch epoch = epoch_at(rates, edges[i], edges[i + 1]);
        if (epoch.bands.empty()) continue;
        epoch.version = version_of(what, epoch, uplift, card.currency_);
        card.epochs_.push_back(std::move(epoch));
    }
    return card;
}

Result<RateCard> RateCard::from_prices(std::span<const NamedPrice> prices, Currency currency) {
    Band band;
    band.own.fill(kUnknownPrice);
    for (const auto& [name, decimal] : prices) {
        std::size_t m = 0;
        while (m < kMeterCount && canon::meter_name(static_cast<Meter>(m)) != name) ++m;
        if (m == kMeterCount) {
            std::vector<std::string> known;
            for (std::size_t i = 0; i < kMeterCount; ++i)
                known.emplace_back(canon::meter_name(static_cast<Meter>(i)));
            const std::string_view near = nearest(name, known);
            return fail_field(ErrorCode::kInvalidField, name,
                near.empty()
                    ? fmt::format("'{}' is not a meter; use one of {}", excerpt(name),
                          fmt::join(known, ", "))
                    : fmt::format("'{}' is not a meter; did you mean '{}'?", excerpt(name), near));
        }
        const Result<UnitPrice> price = UnitPrice::parse_per_million(decimal);
        if (!price)
            return fail_field(ErrorCode::kInvalidField, name,
                fmt::format("the price of {}: {}", name, price.error().message));
        if (band.own[m] != kUnknownPrice)
            return fail_field(
                ErrorCode::kInvalidField, name, fmt::format("{} is priced twice", name));
        band.own[m] = price->pico();
    }
    RateCard card;
    card.currency_ = currency;
    card.what_ = "configured";
    if (prices.empty()) return card;
    resolve(band, nullptr);
    Epoch epoch;
    // What a company states it pays, it pays at every tier.
    for (std::size_t t = 0; t < kTierCount; ++t) {
        epoch.first_band[t] = static_cast<std::uint16_t>(t);
        epoch.bands.push_back(band);
    }
    epoch.first_band[kTierCount] = kTierCount;
    epoch.version = version_of(card.what_, epoch, card.factor_, currency);
    card.epochs_.push_back(std::move(epoch));
    return card;
}

namespace {

/// The bands of one tier as a list has them, the uplift taken in, by where they begin.
using OwnBands = std::map<std::int64_t, std::array<std::int64_t, kMeterCount>>;

Result<OwnBands> listed_bands(
    const RateCard::Epoch* listed, Tier tier, const Ratio& factor, std::string_view what) {
    OwnBands bands;
    if (listed == nullptr) return bands;
    for (const RateCard::Band& band : listed->tier(tier)) {
        auto& prices = bands[band.ctx_over] = band.own;
        for (std::int64_t& price : prices) {
            if (price == RateCard::kUnknownPrice) continue;
            const Int128 product = static_cast<Int128>(price) * factor.numerator;
            if (product % factor.denominator != 0 || product < 0 ||
                product / factor.denominator > INT64_MAX)
                return fail(ErrorCode::kInvalidField,
                    fmt::format("{}: the list's {} per million times its uplift of {} has more "
                                "than six decimals, so that it cannot stand beside own rates; "
                                "state all prices of the offer under 'price'",
                        what, UnitPrice::from_pico(price).to_per_million(), factor.to_string()));
            price = static_cast<std::int64_t>(product / factor.denominator);
        }
    }
    return bands;
}

/// Puts the rates that are in force at `from` in place of what is there.
void state(OwnBands& bands, std::span<const catalog::Rate> own, Tier tier, Instant from) {
    std::map<std::pair<std::int64_t, Meter>, const catalog::Rate*> stated;
    for (const catalog::Rate& rate : own) {
        if (rate.tier != tier || rate.from > from || from >= rate.to) continue;
        const catalog::Rate*& slot = stated[{rate.ctx_over, rate.meter}];
        if (slot == nullptr || slot->seen < rate.seen) slot = &rate;
    }
    for (const auto& [place, rate] : stated) {
        const auto [band, is_new] = bands.try_emplace(place.first);
        if (is_new) band->second.fill(RateCard::kUnknownPrice);
        band->second[index_of(place.second)] = rate->price.pico();
    }
}

}  // namespace

Result<RateCard> RateCard::with(std::span<const catalog::Rate> own, std::string_view what) const {
    RateCard card;
    card.what_ = what_.empty() ? std::string(what) : what_;
    card.currency_ = currency_;
    std::vector<Instant> edges;
    const auto add_edges = [&](const auto& span) {
        edges.push_back(span.from);
        edges.push_back(span.to);
    };
    std::ranges::for_each(epochs_, add_edges);
    std::ranges::for_each(own, add_edges);
    std::ranges::sort(edges);
    edges.erase(std::ranges::unique(edges).begin(), edges.end());
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
        const Instant from = edges[i];
        Epoch epoch;
        epoch.from = from;
        epoch.to = edges[i + 1];
        const Epoch* const listed = at(from);
        for (std::size_t t = 0; t < kTierCount; ++t) {
            epoch.first_band[t] = static_cast<std::uint16_t>(epoch.bands.size());
            const auto tier = static_cast<Tier>(t);
            ENTREPOT_TRY(OwnBands bands, listed_bands(listed, tier, factor_, what));
            state(bands, own, tier, from);
            std::optional<std::size_t> base;
            for (const auto& [ctx_over, prices] : bands) {
                Band band;
                band.ctx_over = ctx_over;
                band.own = prices;
                resolve(band, base ? &epoch.bands[*base] : nullptr);
                if (!base) base = epoch.bands.size();
                epoch.bands.push_back(band);
            }
        }
        epoch.first_band[kTierCount] = static_cast<std::uint16_t>(epoch.bands.size());
        if (epoch.bands.empty()) continue;
        epoch.version = version_of(card.what_, epoch, card.factor_, currency_);
        card.epochs_.push_back(std::move(epoch));
    }
    return card;
}

Result<RateCard> RateCard::scaled(const Ratio& factor, Currency currency) const {
    RateCard card = *this;
    ENTREPOT_TRY(card.factor_, multiply(factor_, factor));
    card.currency_ = currency;
    for (Epoch& epoch : card.epochs_)
        epoch.version = version_of(card.what_, epoch, card.factor_, currency);
    return card;
}

}  // namespace entrepot::pricing
