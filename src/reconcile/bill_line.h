#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/money.h"
#include "base/time.h"
#include "reconcile/sku.h"

namespace entrepot::reconcile {

enum class Category : std::uint8_t { kUsage, kPurchase, kCredit, kTax, kAdjustment };
[[nodiscard]] std::string_view category_name(Category category);

/// One charge of a bill, whatever format it came in. Views live until the sink returns.
struct BillLine {
    std::uint64_t line = 0;  ///< of the file, from 1
    Category category = Category::kUsage;
    std::string_view seller;   ///< as the catalogue calls it: `aws`, `azure`, `gcp`, ...
    std::string_view account;  ///< subscription, account or project
    std::string_view sku_name;
    const Sku* sku = nullptr;  ///< never null when given out; lives as long as the reader
    Period at;                 ///< when it was used; half open
    std::optional<Period> billing;
    std::optional<Int128> quantity_pico;     ///< 10^-12 of the meter's units
    std::optional<Int128> per_million_pico;  ///< the rate stated, for a million units
    std::optional<Money> cost;
    std::optional<Currency> currency;
    std::string_view invoice;
    std::uint64_t identity = 0;  ///< equal for lines that say the same
};

using OnLine = std::function<Status(const BillLine&)>;

}  // namespace entrepot::reconcile
