#pragma once

#include <span>

#include "contracts/bought.h"
#include "contracts/windows.h"

namespace entrepot::contracts {

/// How far a commitment is met in one window.
struct Burn {
    enum class State : std::uint8_t {
        kAhead,    ///< not begun yet
        kOnTrack,  ///< at this pace it will be met
        kBehind,   ///< at this pace it will not
        kMet,
        kMissed,  ///< it has ended below its amount
    };
    Window window;
    State state = State::kAhead;
    Money spent;        ///< eligible, marketplace and elsewhere included, so far
    Money counted;      ///< the part that has counted by now: with invoices, up to the last month
    Money marketplace;  ///< the part of `spent` that was bought there, after share and cap
    Money remaining;    ///< to the amount; 0 when it is met
    std::int64_t days_left = 0;  ///< begun days until the window ends
    bool has_forecast = false;   ///< false before the window's first second is over
    Money forecast;              ///< of `spent` at the end, at the mean pace so far
    Money shortfall;             ///< of the forecast, or of the end itself
    Money charge;                ///< that the shortfall would cost
    Money returned;              ///< of the charge, what would come back as credit
};
[[nodiscard]] std::string_view burn_state_name(Burn::State state);

/// Every window of the contract's commitment, in their order; none without one. `bought` are all
/// days of the term up to `now`. Errors: kOverflow.
[[nodiscard]] Result<std::vector<Burn>> burn_of(
    const Contract& contract, std::span<const Bought> bought, Instant now);

}  // namespace entrepot::contracts
