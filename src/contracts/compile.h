#pragma once

#include <span>

#include "contracts/contract.h"
#include "pricing/rate_card.h"

namespace entrepot::contracts {

/// What the contracts make of the list prices of one offer; empty where none covers it. Counters of
/// volume steps are numbered over all contracts, in their order.
[[nodiscard]] std::vector<pricing::Terms> terms_of(
    std::span<const Contract> contracts, const Place& place);

/// Where the volume steps of a contract begin to be numbered.
[[nodiscard]] std::uint16_t first_counter(
    std::span<const Contract> contracts, std::size_t contract);

/// The card of an offer under the contracts that cover it, or the card itself.
/// Errors: kBadConfiguration naming the contract, for what `check` finds too.
[[nodiscard]] Result<pricing::RateCard> card_under(
    std::span<const Contract> contracts, const Place& place, pricing::RateCard list);

}  // namespace entrepot::contracts
