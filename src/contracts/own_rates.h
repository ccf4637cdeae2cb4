#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "contracts/contract.h"
#include "pricing/rate_card.h"

namespace entrepot::contracts {

/// Rates that a company stated itself, beside the catalogue's and the file's: what it was told of a
/// price, from when on it applies, and when that was known. Never changed, only taken back.
struct OwnRate {
    std::int64_t number = 0;  ///< from 1, in the order in which they were stated
    std::string offer;        ///< `model/offer`; may end in `*`
    std::string region;       ///< where it is processed; empty: anywhere
    std::string contract;     ///< whose stated price it is; empty: of the list
    catalog::Tier tier = catalog::Tier::kStandard;
    std::int64_t prompts_over = 0;
    std::vector<std::pair<canon::Meter, UnitPrice>> prices;  ///< with the uplift
    Ratio uplift;                                            ///< that `prices` hold already
    Instant from;  ///< a UTC midnight: books are kept by its days
    Instant to = catalog::kForever;
    Instant known;                          ///< when it was stated
    Instant withdrawn = catalog::kForever;  ///< when it was taken back
    /// Until when entries that were settled at other rates are looked for and corrected; the
    /// beginning of time when its statement changes nothing that is booked.
    Instant corrects_until = catalog::kBeginning;

    [[nodiscard]] bool takes(const Place& place) const;
    /// Whether it applied before it was known.
    [[nodiscard]] bool is_late() const { return from < known; }
};

/// What was known at that time and not taken back by then, in the order of `rates`.
[[nodiscard]] std::vector<OwnRate> known_at(std::span<const OwnRate> rates, Instant at);

/// The list of an offer with the own rates of lists that are about it: where several say something
/// of one meter at one time, that which was stated last holds. `list` may be absent.
/// Errors: kBadConfiguration where an uplift of the catalogue leaves no whole pico-units.
[[nodiscard]] Result<std::optional<pricing::RateCard>> list_with(std::span<const OwnRate> rates,
    const Place& place, std::optional<pricing::RateCard> list, Currency currency);

/// The contracts with the own rates that are theirs, before the prices which they state.
/// Those whose contract is gone bind nobody.
[[nodiscard]] std::vector<Contract> contracts_with(
    std::span<const OwnRate> rates, std::span<const Contract> contracts);

}  // namespace entrepot::contracts
