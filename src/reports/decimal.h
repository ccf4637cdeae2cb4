#pragma once

#include <cstdint>
#include <string>

#include "base/money.h"

namespace entrepot::reports {

/// `amount` for `per` units where it was paid for `quantity` of them (> 0): exact where the
/// quotient ends within 24 decimals, else to the nearest of these. At least two decimals.
[[nodiscard]] std::string unit_price_text(Money amount, std::int64_t quantity, std::int64_t per);

/// `quantity` in units of `per` (1, or a power of ten up to 10^12), exact; with
/// one decimal at least, by which readers know that the column holds decimals.
[[nodiscard]] std::string quantity_text(std::int64_t quantity, std::int64_t per);

}  // namespace entrepot::reports
