#include "reconcile/amounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace entrepot::reconcile {
namespace {

constexpr int kPicoDecimals = 12;
constexpr int kWholeDigitsMax = 18;
constexpr std::size_t kBytesMax = 64;
constexpr Int128 kPico = 1'000'000'000'000;
constexpr Int128 kMillion = 1'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// value / divisor, half to even. `divisor` > 0.
Int128 divide(Int128 value, Int128 divisor) {
    Int128 quotient = value / divisor;
    const Int128 twice = magnitude(value % divisor) * 2;
    if (twice > divisor || (twice == divisor && quotient % 2 != 0)) quotient += value < 0 ? -1 : 1;
    return quotient;
}

/// The digits of a number and where its point stands among them.
struct Spelling {
    std::array<char, kBytesMax> digits{};
    int count = 0;
    int point = 0;  ///< digits before the point; may lie outside of them
    bool is_negative = false;
};

std::optional<int> read_exponent(std::string_view text) {
    bool is_negative = false;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        is_negative = text.front() == '-';
        text.remove_prefix(1);
    }
    if (text.empty() || text.size() > 3 || !std::ranges::all_of(text, is_digit))
        return std::nullopt;
    int value = 0;
    for (const char c : text) value = value * 10 + (c - '0');
    return is_negative ? -value : value;
}

std::optional<Spelling> spell(std::string_view text) {
    Spelling number;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        number.is_negative = text.front() == '-';
        text.remove_prefix(1);
    }
    if (text.empty() || text.size() > kBytesMax) return std::nullopt;
    int exponent = 0;
    if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
        const auto read = read_exponent(text.substr(e + 1));
        if (!read) return std::nullopt;
        exponent = *read;
        text = text.substr(0, e);
    }
    const auto point = text.find('.');
    bool has_digit = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == point) continue;
        if (!is_digit(text[i])) return std::nullopt;
        has_digit = true;
        number.digits[static_cast<std::size_t>(number.count++)] = text[i];
    }
    if (!has_digit) return std::nullopt;
    number.point = static_cast<int>(std::min(point, text.size())) + exponent;
    return number;
}

}  // namespace

Result<Decimal> parse_decimal(std::string_view text) {
    const auto number = spell(text);
    if (!number)
        return fail(ErrorCode::kInvalidField,
            fmt::format("'{}' is not a number; write it like 1234.56, without separators of "
                        "thousands and without a currency",
                excerpt(text)));
    // Leading zeros say nothing of the size.
    int first = 0;
    while (first < number->count && number->digits[static_cast<std::size_t>(first)] == '0') ++first;
    if (first == number->count) return Decimal{};
    if (number->point - first > kWholeDigitsMax)
        return fail(ErrorCode::kInvalidField,
            fmt::format(
                "'{}' is 10^{} or more; no amount of a bill is", excerpt(text), kWholeDigitsMax));
    Decimal value;
    const int kept = number->point + kPicoDecimals;  // digits that whole pico-units hold
    for (int i = first; i < std::min(number->count, kept); ++i)
        value.pico = value.pico * 10 + (number->digits[static_cast<std::size_t>(i)] - '0');
    for (int i = std::max(number->count, first); i < kept; ++i) value.pico *= 10;
    const int last = number->count;
    if (last > kept) {
        const int half_at = std::max(kept, -1);
        const int digit =
            half_at < first ? 0 : number->digits[static_cast<std::size_t>(half_at)] - '0';
        bool has_more = half_at < first;
        for (int i = std::max(half_at + 1, first); i < last; ++i)
            has_more = has_more || number->digits[static_cast<std::size_t>(i)] != '0';
        value.is_rounded = digit != 0 || has_more;
        if (digit > 5 || (digit == 5 && (has_more || value.pico % 2 != 0))) value.pico += 1;
    }
    int trimmed = last;
    while (trimmed > number->point && trimmed > first &&
        number->digits[static_cast<std::size_t>(trimmed - 1)] == '0')
        --trimmed;
    value.decimals = static_cast<std::uint8_t>(std::clamp(trimmed - number->point, 0, 255));
    if (number->is_negative) value.pico = -value.pico;
    return value;
}

std::string decimal_text(Int128 pico) {
    const Int128 whole = magnitude(pico) / kPico;
    std::string out = fmt::format("{}{}", pico < 0 ? "-" : "", to_string(whole));
    auto fraction = static_cast<std::int64_t>(magnitude(pico) % kPico);
    if (fraction == 0) return out;
    std::string digits = fmt::format("{:012}", fraction);
    digits.resize(digits.find_last_not_of('0') + 1);
    return out + "." + digits;
}

std::optional<Money> money_of(Int128 quantity_pico, Int128 per_million_pico) {
    Int128 product = 0;
    // Whole units are the rule, and leave room for any price.
    if (quantity_pico % kPico == 0) {
        if (__builtin_mul_overflow(quantity_pico / kPico, per_million_pico, &product))
            return std::nullopt;
        return Money::from_pico(divide(product, kMillion));
    }
    if (__builtin_mul_overflow(quantity_pico, per_million_pico, &product)) return std::nullopt;
    return Money::from_pico(divide(product, kPico * kMillion));
}

std::optional<Int128> rate_of(Money cost, Int128 quantity_pico) {
    if (quantity_pico == 0) return std::nullopt;
    Int128 scaled = 0;
    if (__builtin_mul_overflow(cost.pico(), kMillion, &scaled)) return std::nullopt;
    Int128 divisor = magnitude(quantity_pico);
    if (quantity_pico < 0) scaled = -scaled;
    if (quantity_pico % kPico == 0) return divide(scaled, divisor / kPico);
    if (__builtin_mul_overflow(scaled, kPico, &scaled)) return std::nullopt;
    return divide(scaled, divisor);
}

}  // namespace entrepot::reconcile
