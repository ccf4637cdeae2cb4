#include "contracts/own_rates.h"

#include <algorithm>
#include <iterator>

namespace entrepot::contracts {

bool OwnRate::takes(const Place& place) const {
    return matches(offer, place.offer) && (region.empty() || region == place.region);
}

std::vector<OwnRate> known_at(std::span<const OwnRate> rates, Instant at) {
    std::vector<OwnRate> known;
    std::ranges::copy_if(rates, std::back_inserter(known),
        [&](const OwnRate& rate) { return rate.known <= at && at < rate.withdrawn; });
    return known;
}

Result<std::optional<pricing::RateCard>> list_with(std::span<const OwnRate> rates,
    const Place& place, std::optional<pricing::RateCard> list, Currency currency) {
    std::vector<catalog::Rate> own;
    for (const OwnRate& rate : rates) {
        if (!rate.contract.empty() || !rate.takes(place)) continue;
        for (const auto& [meter, price] : rate.prices)
            own.push_back({.tier = rate.tier,
                .ctx_over = rate.prompts_over,
                .meter = meter,
                .price = price,
                .from = rate.from,
                .to = rate.to,
                // Their order, not their time: two may have been stated within one tick.
                .seen = Instant{rate.number},
                .sources = "own"});
    }
    if (own.empty()) return list;
    if (!list) {
        ENTREPOT_TRY(list, pricing::RateCard().scaled(Ratio{}, currency));
    }
    Result<pricing::RateCard> card = list->with(own, place.offer);
    if (!card) {
        card.error().code = ErrorCode::kBadConfiguration;
        return std::unexpected(card.error());
    }
    return std::optional(std::move(*card));
}

std::vector<Contract> contracts_with(
    std::span<const OwnRate> rates, std::span<const Contract> contracts) {
    std::vector<Contract> all(contracts.begin(), contracts.end());
    for (Contract& contract : all) {
        std::vector<StatedPrices> own;
        // Of two prices for one thing the first holds: that which was stated last.
        for (auto rate = rates.rbegin(); rate != rates.rend(); ++rate) {
            if (rate->contract != contract.name) continue;
            StatedPrices stated;
            stated.of.offers = {rate->offer};
            if (!rate->region.empty()) stated.of.regions = {rate->region};
            stated.of.tiers = pricing::bit_of(rate->tier);
            stated.prompts_over = rate->prompts_over;
            stated.prices = rate->prices;
            stated.from = rate->from;
            stated.to = rate->to;
            own.push_back(std::move(stated));
        }
        contract.prices.insert(contract.prices.begin(), std::make_move_iterator(own.begin()),
            std::make_move_iterator(own.end()));
    }
    return all;
}

}  // namespace entrepot::contracts
