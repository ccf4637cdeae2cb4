#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/money.h"
#include "base/result.h"

namespace entrepot::reconcile {

/// A number as a bill prints it, in whole 10^-12.
struct Decimal {
    Int128 pico = 0;
    std::uint8_t decimals = 0;  ///< printed behind the point, an exponent applied; at most 255
    bool is_rounded = false;    ///< it had more than 12 decimals: rounded half to even
};

/// Reads `12.50`, `-0.000001`, `1.25E-05`, `.5`. Numbers that were binary floating point before
/// they were printed (`0.30000000000000004`) come out as what they stood for. Errors:
/// kInvalidField for anything else, and for 10^18 or more.
[[nodiscard]] Result<Decimal> parse_decimal(std::string_view text);

/// `text` with the zeros behind the last decimal left out: `3`, `0.0000125`.
[[nodiscard]] std::string decimal_text(Int128 pico);

/// What `quantity_pico` (10^-12 of a meter's unit) costs at `per_million_pico` (10^-12 of the
/// currency for a million units), rounded half to even; nothing when it does not fit.
[[nodiscard]] std::optional<Money> money_of(Int128 quantity_pico, Int128 per_million_pico);

/// The price per million units at which `quantity_pico` costs `cost`, rounded; nothing for no
/// quantity, or when it does not fit.
[[nodiscard]] std::optional<Int128> rate_of(Money cost, Int128 quantity_pico);

[[nodiscard]] constexpr Int128 magnitude(Int128 value) { return value < 0 ? -value : value; }

}  // namespace entrepot::reconcile
