#include "reports/decimal.h"

#include <fmt/format.h>

#include "base/check.h"

namespace entrepot::reports {

namespace {

constexpr Int128 kPicoPerUnit = 1'000'000'000'000;
/// Behind the pico-unit: twelve decimals more.
constexpr Int128 kBeyond = 1'000'000'000'000;

}  // namespace

std::string unit_price_text(Money amount, std::int64_t quantity, std::int64_t per) {
    ENTREPOT_CHECK(quantity > 0 && per > 0);
    const bool is_negative = amount.is_negative();
    const Int128 pico = is_negative ? -amount.pico() : amount.pico();
    // Whole pico-units first, so that no product leaves 128 bits: per <= 10^6, and what is left
    // over is below the quantity.
    const Int128 each = pico / quantity;
    const Int128 left = pico % quantity * per;
    Int128 whole = each * per + left / quantity;
    const Int128 rest = left % quantity * kBeyond;
    Int128 beyond = rest / quantity;
    const Int128 twice = rest % quantity * 2;
    if (twice > quantity || (twice == quantity && beyond % 2 != 0)) ++beyond;
    if (beyond == kBeyond) {
        beyond = 0;
        ++whole;
    }
    std::string text =
        fmt::format("{}{}.{:012}{:012}", is_negative ? "-" : "", to_string(whole / kPicoPerUnit),
            static_cast<std::int64_t>(whole % kPicoPerUnit), static_cast<std::int64_t>(beyond));
    const std::size_t shortest = text.size() - 22;  // two decimals
    while (text.size() > shortest && text.back() == '0') text.pop_back();
    return text;
}

std::string quantity_text(std::int64_t quantity, std::int64_t per) {
    std::string text = Money::from_pico(Int128{quantity} * (kPicoPerUnit / per)).to_decimal();
    if (text.ends_with("0") && !text.ends_with(".0")) text.pop_back();
    return text;
}

}  // namespace entrepot::reports
