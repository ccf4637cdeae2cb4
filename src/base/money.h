#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

[[nodiscard]] std::string to_string(Int128 value);

/// An ISO 4217 code, three upper-case letters.
class Currency {
public:
    constexpr Currency() = default;
    /// Errors: kInvalidField when `code` is not three upper-case letters.
    [[nodiscard]] static Result<Currency> parse(std::string_view code);
    [[nodiscard]] std::string_view code() const { return {code_.data(), code_.size()}; }
    friend constexpr auto operator<=>(const Currency&, const Currency&) = default;

private:
    std::array<char, 3> code_{'U', 'S', 'D'};
};

/// A signed amount in pico-units (10^-12) of one currency, which the holder knows: the books have
/// one currency. Additions that leave 128 bits stop the process; they cannot happen below 10^26
/// units.
class Money {
public:
    constexpr Money() = default;
    [[nodiscard]] static constexpr Money from_pico(Int128 pico) { return Money(pico); }
    /// Parses a plain decimal such as `12.50`, `-0.000001`; at most 12 decimals, no exponent, at
    /// most 24 digits.
    [[nodiscard]] static Result<Money> parse(std::string_view decimal);

    [[nodiscard]] constexpr Int128 pico() const { return pico_; }
    [[nodiscard]] constexpr bool is_zero() const { return pico_ == 0; }
    [[nodiscard]] constexpr bool is_negative() const { return pico_ < 0; }
    /// Exact decimal, no trailing zeros beyond two decimals: `0.00`, `1.25`, `0.000000150001`.
    [[nodiscard]] std::string to_decimal() const;

    friend constexpr auto operator<=>(const Money&, const Money&) = default;
    friend Money operator+(Money a, Money b);
    friend Money operator-(Money a, Money b);
    Money operator-() const { return Money(-pico_); }
    Money& operator+=(Money other) { return *this = *this + other; }
    Money& operator-=(Money other) { return *this = *this - other; }

private:
    explicit constexpr Money(Int128 pico) : pico_(pico) {}
    Int128 pico_ = 0;
};

/// An exact ratio, kept in lowest terms, denominator > 0: uplifts, discounts, exchange rates.
struct Ratio {
    std::int64_t numerator = 1;
    std::int64_t denominator = 1;

    /// Parses a decimal such as `1.1` or a quotient such as `11/10`. Errors: kInvalidField.
    [[nodiscard]] static Result<Ratio> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    friend constexpr bool operator==(const Ratio&, const Ratio&) = default;
};

/// Product, or kOverflow when its lowest terms do not fit 63 bits.
[[nodiscard]] Result<Ratio> multiply(const Ratio& a, const Ratio& b);

/// How a ledger line is rounded to whole pico-units, once.
enum class Rounding : std::uint8_t { kHalfEven, kHalfUp, kUp, kDown };

/// How a contract rounds a line: to so many decimals of the currency, 0 to 12. Twelve are whole
/// pico-units.
struct RoundingRule {
    static constexpr std::uint8_t kDecimalsMax = 12;
    Rounding mode = Rounding::kHalfEven;
    std::uint8_t decimals = kDecimalsMax;
    friend constexpr bool operator==(const RoundingRule&, const RoundingRule&) = default;
};

/// One step of the last decimal that `rule` keeps, in pico-units.
[[nodiscard]] Int128 pico_step(const RoundingRule& rule);

/// numerator / denominator pico-units, rounded once by `rule`. Denominator > 0. Errors: kOverflow.
[[nodiscard]] Result<Money> divide(Int128 numerator, Int128 denominator, const RoundingRule& rule);

/// A price of one unit (a token, an image, a search) in whole pico-units: a list price of up to six
/// decimals per million tokens is exact.
class UnitPrice {
public:
    constexpr UnitPrice() = default;
    [[nodiscard]] static constexpr UnitPrice from_pico(std::int64_t pico_per_unit) {
        return UnitPrice(pico_per_unit);
    }
    /// Parses a decimal per million units, at most six decimals, not negative. Errors:
    /// kInvalidField.
    [[nodiscard]] static Result<UnitPrice> parse_per_million(std::string_view decimal);
    [[nodiscard]] constexpr std::int64_t pico() const { return pico_; }
    /// Decimal per million units, at least two decimals.
    [[nodiscard]] std::string to_per_million() const;
    friend constexpr auto operator<=>(const UnitPrice&, const UnitPrice&) = default;

private:
    explicit constexpr UnitPrice(std::int64_t pico) : pico_(pico) {}
    std::int64_t pico_ = 0;
};

/// quantity x price x factor, taken in 128 bits and rounded once. Quantity >= 0.
/// Errors: kOverflow.
[[nodiscard]] Result<Money> extend(
    std::int64_t quantity, UnitPrice price, const Ratio& factor, Rounding rounding);

}  // namespace entrepot
