#include "contracts/compile.h"

#include <algorithm>
#include <array>

namespace entrepot::contracts {
namespace {

using canon::Meter;

/// What provisioned capacity serves: tokens. Searches and the like are billed beside it.
constexpr std::array kServed{Meter::kInput, Meter::kCacheRead, Meter::kCacheWrite,
    Meter::kCacheWriteLong, Meter::kAudioIn, Meter::kAudioCacheRead, Meter::kImageIn,
    Meter::kOutput, Meter::kAudioOut, Meter::kImageOut};

void add_provisioned(const Contract& contract, const Provisioned& capacity, pricing::Terms& terms) {
    for (const Meter meter : kServed)
        terms.prices.push_back({.tiers = pricing::kAllTiers,
            .meter = meter,
            .price = UnitPrice(),
            .from = std::max(contract.from, capacity.from),
            .to = std::min(contract.to, capacity.to)});
}

/// Adds `price` for the time in which no capacity serves the offer: there, that is what is paid.
void add_stated(const Contract& contract, const Place& place, pricing::TermPrice price,
    pricing::Terms& terms, std::size_t first = 0) {
    if (price.from >= price.to) return;
    for (std::size_t i = first; i < contract.provisioned.size(); ++i) {
        const Provisioned& capacity = contract.provisioned[i];
        if (!takes(capacity.offers, place.offer) || capacity.to <= price.from ||
            price.to <= capacity.from)
            continue;
        pricing::TermPrice after = price;
        price.to = std::max(price.from, capacity.from);
        after.from = std::min(after.to, capacity.to);
        add_stated(contract, place, price, terms, i + 1);
        add_stated(contract, place, after, terms, i + 1);
        return;
    }
    terms.prices.push_back(price);
}

pricing::Terms terms_of(const Contract& contract, const Place& place, std::uint16_t counter) {
    pricing::Terms terms;
    terms.contract = contract.name;
    terms.from = contract.from;
    terms.to = contract.to;
    terms.rounding = contract.rounding;
    for (const Provisioned& capacity : contract.provisioned)
        if (takes(capacity.offers, place.offer)) add_provisioned(contract, capacity, terms);
    for (const StatedPrices& stated : contract.prices) {
        if (!stated.of.takes(place)) continue;
        for (const auto& [meter, price] : stated.prices)
            add_stated(contract, place,
                {stated.of.tiers, stated.prompts_over, meter, price, stated.from, stated.to},
                terms);
    }
    for (const Discount& discount : contract.discounts)
        if (discount.of.takes(place))
            terms.discounts.push_back({discount.of.tiers, discount.of.meters, discount.off,
                discount.is_of_net, discount.from, discount.to});
    for (const Volume& volume : contract.volumes) {
        if (volume.of.takes(place))
            terms.volumes.push_back({volume.of.tiers, volume.of.meters, volume.measure,
                volume.reprices, volume.steps, counter});
        ++counter;
    }
    return terms;
}

}  // namespace

std::uint16_t first_counter(std::span<const Contract> contracts, std::size_t contract) {
    std::size_t counter = 0;
    for (std::size_t i = 0; i < contract; ++i) counter += contracts[i].volumes.size();
    return static_cast<std::uint16_t>(counter);
}

std::vector<pricing::Terms> terms_of(std::span<const Contract> contracts, const Place& place) {
    std::vector<pricing::Terms> all;
    for (std::size_t i = 0; i < contracts.size(); ++i)
        if (contracts[i].covers(place))
            all.push_back(terms_of(contracts[i], place, first_counter(contracts, i)));
    return all;
}

Result<pricing::RateCard> card_under(
    std::span<const Contract> contracts, const Place& place, pricing::RateCard list) {
    const std::vector<pricing::Terms> terms = terms_of(contracts, place);
    if (terms.empty()) return list;
    Result<pricing::RateCard> card = list.under(terms);
    if (!card) card.error().code = ErrorCode::kBadConfiguration;
    return card;
}

}  // namespace entrepot::contracts
