#include "base/money.h"

#include <fmt/format.h>

#include <limits>
#include <numeric>

#include "base/check.h"

namespace entrepot {
namespace {

constexpr int kPicoDecimals = 12;
constexpr int kPerMillionDecimals = 6;

/// Reads `[-]digits[.digits]` as an integer scaled by 10^decimals.
Result<Int128> parse_scaled(std::string_view text, int decimals, bool may_be_negative) {
    const auto bad = [&](std::string_view why) {
        return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not an amount: {}", text, why));
    };
    std::string_view rest = text;
    const bool negative = !rest.empty() && rest.front() == '-';
    if (negative) {
        if (!may_be_negative) return bad("it must not be negative");
        rest.remove_prefix(1);
    }
    Int128 value = 0;
    int digits = 0;
    int fraction = -1;
    for (const char c : rest) {
        if (c == '.') {
            if (fraction >= 0 || digits == 0) return bad("write it as digits, a point, digits");
            fraction = 0;
            continue;
        }
        if (c < '0' || c > '9') return bad("only digits and one decimal point are allowed");
        if (++digits > 24) return bad("it has more than 24 digits");
        if (fraction >= 0 && ++fraction > decimals) {
            if (c != '0') return bad(fmt::format("it has more than {} decimals", decimals));
            fraction = decimals;
            continue;
        }
        value = value * 10 + (c - '0');
    }
    if (digits == 0 || fraction == 0) return bad("digits are missing");
    for (int i = fraction < 0 ? 0 : fraction; i < decimals; ++i) value *= 10;
    return negative ? -value : value;
}

std::string format_scaled(Int128 value, int decimals) {
    const bool negative = value < 0;
    Uint128 rest =
        negative ? Uint128(0) - static_cast<Uint128>(value) : static_cast<Uint128>(value);
    std::array<char, 48> buffer;
    std::size_t at = buffer.size();
    bool is_trailing = true;  // zeros beyond the second decimal are not written
    // Amounts fit 64 bits almost always, and its division is many times faster.
    const auto digit = [&] {
        int next = 0;
        if (rest <= std::numeric_limits<std::uint64_t>::max()) {
            const auto small = static_cast<std::uint64_t>(rest);
            next = static_cast<int>(small % 10);
            rest = small / 10;
        } else {
            next = static_cast<int>(rest % 10);
            rest /= 10;
        }
        return static_cast<char>('0' + next);
    };
    for (int place = decimals; place > 0; --place) {
        const char c = digit();
        is_trailing = is_trailing && c == '0' && place > 2;
        if (!is_trailing) buffer[--at] = c;
    }
    buffer[--at] = '.';
    do buffer[--at] = digit();
    while (rest != 0);
    if (negative) buffer[--at] = '-';
    return {buffer.data() + at, buffer.size() - at};
}

}  // namespace

std::string to_string(Int128 value) {
    if (value == 0) return "0";
    const bool negative = value < 0;
    Uint128 rest =
        negative ? Uint128(0) - static_cast<Uint128>(value) : static_cast<Uint128>(value);
    std::array<char, 40> buffer{};
    std::size_t at = buffer.size();
    while (rest != 0) {
        buffer[--at] = static_cast<char>('0' + static_cast<int>(rest % 10));
        rest /= 10;
    }
    if (negative) buffer[--at] = '-';
    return {buffer.data() + at, buffer.size() - at};
}

Result<Currency> Currency::parse(std::string_view code) {
    Currency currency;
    if (code.size() != 3)
        return fail(ErrorCode::kInvalidField,
            fmt::format("'{}' is not a currency: use three letters such as USD", code));
    for (std::size_t i = 0; i < 3; ++i) {
        if (code[i] < 'A' || code[i] > 'Z')
            return fail(ErrorCode::kInvalidField,
                fmt::format(
                    "'{}' is not a currency: use three upper-case letters such as USD", code));
        currency.code_[i] = code[i];
    }
    return currency;
}

Result<Money> Money::parse(std::string_view decimal) {
    ENTREPOT_TRY(const Int128 pico, parse_scaled(decimal, kPicoDecimals, true));
    return from_pico(pico);
}

std::string Money::to_decimal() const { return format_scaled(pico_, kPicoDecimals); }

Money operator+(Money a, Money b) {
    Int128 sum = 0;
    ENTREPOT_CHECK(!__builtin_add_overflow(a.pico_, b.pico_, &sum));
    return Money(sum);
}

Money operator-(Money a, Money b) {
    Int128 difference = 0;
    ENTREPOT_CHECK(!__builtin_sub_overflow(a.pico_, b.pico_, &difference));
    return Money(difference);
}

Result<Ratio> Ratio::parse(std::string_view text) {
    const auto slash = text.find('/');
    constexpr Int128 kMax = std::numeric_limits<std::int64_t>::max();
    Int128 numerator = 0;
    Int128 denominator = 1;
    if (slash == std::string_view::npos) {
        ENTREPOT_TRY(numerator, parse_scaled(text, kPicoDecimals, true));
        denominator = 1'000'000'000'000;
    } else {
        ENTREPOT_TRY(numerator, parse_scaled(text.substr(0, slash), 0, true));
        ENTREPOT_TRY(denominator, parse_scaled(text.substr(slash + 1), 0, false));
        if (denominator == 0)
            return fail(ErrorCode::kInvalidField, fmt::format("'{}' divides by zero", text));
    }
    Int128 a = numerator < 0 ? -numerator : numerator;
    Int128 b = denominator;
    while (b != 0) {
        const Int128 next = a % b;
        a = b;
        b = next;
    }
    if (a > 1) {
        numerator /= a;
        denominator /= a;
    }
    if (numerator > kMax || numerator < -kMax || denominator > kMax)
        return fail(
            ErrorCode::kOverflow, fmt::format("'{}' needs more than 63 bits as a ratio", text));
    return Ratio{static_cast<std::int64_t>(numerator), static_cast<std::int64_t>(denominator)};
}

std::string Ratio::to_string() const {
    return denominator == 1 ? fmt::format("{}", numerator)
                            : fmt::format("{}/{}", numerator, denominator);
}

Result<Ratio> multiply(const Ratio& a, const Ratio& b) {
    // Cross-reduce first, so that products of ordinary factors stay small.
    const std::int64_t g1 = std::gcd(a.numerator, b.denominator);
    const std::int64_t g2 = std::gcd(b.numerator, a.denominator);
    Ratio product;
    if (g1 == 0 || g2 == 0 ||
        __builtin_mul_overflow(a.numerator / g1, b.numerator / g2, &product.numerator) ||
        __builtin_mul_overflow(a.denominator / g2, b.denominator / g1, &product.denominator))
        return fail(ErrorCode::kOverflow,
            fmt::format("{} times {} needs more than 63 bits", a.to_string(), b.to_string()));
    if (product.numerator == 0) product.denominator = 1;
    return product;
}

Result<UnitPrice> UnitPrice::parse_per_million(std::string_view decimal) {
    ENTREPOT_TRY(const Int128 pico, parse_scaled(decimal, kPerMillionDecimals, false));
    if (pico > std::numeric_limits<std::int64_t>::max())
        return fail(
            ErrorCode::kInvalidField, fmt::format("'{}' is too large for a price", decimal));
    return from_pico(static_cast<std::int64_t>(pico));
}

std::string UnitPrice::to_per_million() const { return format_scaled(pico_, kPerMillionDecimals); }

Int128 pico_step(const RoundingRule& rule) {
    ENTREPOT_CHECK(rule.decimals <= RoundingRule::kDecimalsMax);
    Int128 step = 1;
    for (int i = rule.decimals; i < RoundingRule::kDecimalsMax; ++i) step *= 10;
    return step;
}

Result<Money> divide(Int128 numerator, Int128 denominator, const RoundingRule& rule) {
    ENTREPOT_CHECK(denominator > 0);
    Int128 divisor = denominator;
    const Int128 step = rule.decimals == RoundingRule::kDecimalsMax ? 1 : pico_step(rule);
    const auto overflow = [&] {
        return fail(ErrorCode::kOverflow,
            fmt::format("{} over {} pico-units does not fit 128 bits", to_string(numerator),
                to_string(denominator)));
    };
    if (step != 1 && __builtin_mul_overflow(denominator, step, &divisor)) return overflow();
    Int128 quotient = numerator / divisor;
    const Int128 remainder = numerator % divisor;
    if (remainder != 0) {
        const bool negative = numerator < 0;
        const Int128 rest = negative ? -remainder : remainder;
        const Int128 missing = divisor - rest;  // twice the rest may not fit
        bool away = false;                      // from zero
        switch (rule.mode) {
            case Rounding::kDown: away = negative; break;  // towards minus infinity
            case Rounding::kUp: away = !negative; break;   // towards plus infinity
            case Rounding::kHalfUp: away = rest >= missing; break;
            case Rounding::kHalfEven:
                away = rest > missing || (rest == missing && (quotient & 1) != 0);
                break;
        }
        if (away) quotient += negative ? -1 : 1;
    }
    if (step != 1 && __builtin_mul_overflow(quotient, step, &quotient)) return overflow();
    return Money::from_pico(quotient);
}

Result<Money> extend(
    std::int64_t quantity, UnitPrice price, const Ratio& factor, Rounding rounding) {
    ENTREPOT_CHECK(quantity >= 0);
    const Int128 base = static_cast<Int128>(quantity) * price.pico();
    Int128 product = 0;
    if (__builtin_mul_overflow(base, static_cast<Int128>(factor.numerator), &product))
        return fail(ErrorCode::kOverflow,
            fmt::format("{} units at {} times {} does not fit", quantity, price.to_per_million(),
                factor.to_string()));
    return divide(product, factor.denominator, {.mode = rounding});
}

}  // namespace entrepot
