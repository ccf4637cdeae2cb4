// Every line of money against exact rationals: Boost's, which share nothing with ours, made from
// the texts of prices and factors rather than from what our parsers read in them.
#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <string>

#include "pricing/price.h"
#include "rig.h"

namespace entrepot {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;
using canon::Meter;
using rig::Random;

constexpr std::array kRules{Rounding::kHalfEven, Rounding::kHalfUp, Rounding::kUp, Rounding::kDown};

cpp_int big(Int128 value) {
    const bool negative = value < 0;
    const Uint128 size =
        negative ? Uint128(0) - static_cast<Uint128>(value) : static_cast<Uint128>(value);
    cpp_int all = static_cast<std::uint64_t>(size >> 64);
    all <<= 64;
    all += static_cast<std::uint64_t>(size);
    return negative ? -all : all;
}

/// The whole number that the rule makes of an exact amount.
cpp_int rounded(const cpp_rational& exact, Rounding rule) {
    const cpp_int top = numerator(exact);
    const cpp_int& under = denominator(exact);
    cpp_int floor = top / under;
    cpp_int rest = top % under;
    if (rest < 0) {
        rest += under;
        floor -= 1;
    }
    if (rest == 0) return floor;
    const cpp_int twice = rest * 2;
    bool up = false;
    switch (rule) {
        case Rounding::kDown: break;
        case Rounding::kUp: up = true; break;
        case Rounding::kHalfUp:  // a half goes away from zero
            up = twice > under || (twice == under && top > 0);
            break;
        case Rounding::kHalfEven: up = twice > under || (twice == under && floor % 2 != 0); break;
    }
    return up ? floor + 1 : floor;
}

cpp_int power_of_ten(std::size_t n) {
    static const std::array<cpp_int, 25> all = [] {
        std::array<cpp_int, 25> powers;
        powers[0] = 1;
        for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
        return powers;
    }();
    return all.at(n);
}

/// A decimal and what it says exactly.
struct Written {
    std::string text;
    cpp_rational exact;
};

Written decimal(std::int64_t whole, std::int64_t fraction, std::size_t decimals) {
    Written written;
    written.text = decimals == 0 ? fmt::format("{}", whole)
                                 : fmt::format("{}.{:0{}}", whole, fraction, decimals);
    written.exact =
        cpp_rational(cpp_int(whole) * power_of_ten(decimals) + fraction, power_of_ten(decimals));
    return written;
}

/// A price per million: mostly as lists have them, now and then a monster.
Written random_price(Random& random) {
    const auto decimals = static_cast<std::size_t>(random.below(7));
    const std::int64_t fraction =
        random.between(0, static_cast<std::int64_t>(power_of_ten(decimals)) - 1);
    const std::int64_t whole = random.one_in(50) ? random.spread(43) : random.spread(10);
    return decimal(whole, decimals == 0 ? 0 : fraction, decimals);
}

/// An uplift or a discount: a decimal or a quotient.
Written random_factor(Random& random) {
    if (random.one_in(2)) {
        const std::size_t decimals = random.one_in(10) ? 12 : random.below(5);
        const std::int64_t fraction =
            random.between(0, static_cast<std::int64_t>(power_of_ten(decimals)) - 1);
        return decimal(random.between(0, 2), decimals == 0 ? 0 : fraction, decimals);
    }
    const unsigned bits = random.one_in(10) ? 62 : 12;
    const std::int64_t top = random.spread(bits) * (random.one_in(20) ? -1 : 1);
    const std::int64_t under = random.spread(bits) + 1;
    return {fmt::format("{}/{}", top, under), cpp_rational(top, under)};
}

bool fits_63_bits(const cpp_int& value) {
    return value <= std::numeric_limits<std::int64_t>::max() &&
        value >= std::numeric_limits<std::int64_t>::min();
}

/// Lines one by one: the factor as a product of two, the line by each rule. Returns the lines held
/// against the oracle; their differences are failures.
std::uint64_t lines_of_one_price(Random& random) {
    const Written price_text = random_price(random);
    const Written uplift_text = random_factor(random);
    const Written discount_text = random_factor(random);
    const std::int64_t quantity = random.one_in(4) ? random.spread(50) : random.spread(18);
    const std::string where = fmt::format(
        "{} x {} x {} x {}", quantity, price_text.text, uplift_text.text, discount_text.text);

    const Result<UnitPrice> price = UnitPrice::parse_per_million(price_text.text);
    const Result<Ratio> uplift = Ratio::parse(uplift_text.text);
    const Result<Ratio> discount = Ratio::parse(discount_text.text);
    if (!price || !uplift || !discount) {
        ADD_FAILURE() << where << ": a text is refused";
        return 0;
    }
    const cpp_rational whole_factor = uplift_text.exact * discount_text.exact;
    const Result<Ratio> factor = multiply(*uplift, *discount);
    const bool fits =
        fits_63_bits(numerator(whole_factor)) && fits_63_bits(denominator(whole_factor));
    if (factor.has_value() != fits) {
        ADD_FAILURE() << where << ": the product of the factors "
                      << (fits ? "fits and is refused" : "does not fit and is not refused");
        return 0;
    }
    if (!factor) return 0;
    if (numerator(whole_factor) != factor->numerator ||
        denominator(whole_factor) != factor->denominator) {
        ADD_FAILURE() << where << ": the product of the factors is " << factor->to_string();
        return 0;
    }
    // Per million units at 10^12 pico-units each: a million pico-units per unit and 1.00.
    const cpp_rational exact = quantity * price_text.exact * 1'000'000 * whole_factor;
    static const cpp_int limit = cpp_int(1) << 127;
    const cpp_int product = abs(cpp_int(quantity) * price->pico() * factor->numerator);
    std::uint64_t lines = 0;
    for (const Rounding rule : kRules) {
        const Result<Money> line = extend(quantity, *price, *factor, rule);
        if (line.has_value() != (product < limit)) {
            ADD_FAILURE() << where << ": " << (line ? "overflows unseen" : "is refused and fits");
            return lines;
        }
        if (!line) return lines;
        const cpp_int wanted = rounded(exact, rule);
        if (big(line->pico()) != wanted) {
            ADD_FAILURE() << where << " by rule " << static_cast<int>(rule) << " is " << wanted
                          << ", not " << big(line->pico());
            return lines;
        }
        ++lines;
    }
    return lines;
}

TEST(Arithmetic, EveryLineByEveryRuleIsTheExactProductRoundedOnce) {
    Random random(rig::seed_of("arithmetic"));
    const std::uint64_t wanted = rig::is_full() ? 10'000'000 : 50'000;
    std::uint64_t lines = 0;
    while (lines < wanted && !HasFailure()) lines += lines_of_one_price(random);
    fmt::print("arithmetic: {} lines, no difference\n", lines);
}

/// What a card says: the text of each meter's price, where it has one.
using PriceList = std::array<Written, canon::kMeterCount>;

pricing::RateCard random_card(Random& random, PriceList& list) {
    std::vector<pricing::NamedPrice> prices;
    for (std::size_t m = 0; m < canon::kMeterCount; ++m) {
        list[m] = {};
        if (!random.one_in(3)) list[m] = random_price(random);
        if (!list[m].text.empty())
            prices.emplace_back(
                std::string(canon::meter_name(static_cast<Meter>(m))), list[m].text);
    }
    return pricing::RateCard::from_prices(prices, Currency()).value();
}

canon::Usage random_usage(Random& random) {
    canon::Usage usage;
    for (std::int64_t& count : usage.counts)
        if (!random.one_in(3)) count = random.spread(30);
    usage[Meter::kReasoning] = random.between(0, usage[Meter::kOutput]);
    return usage;
}

/// One charge of many lines: each the exact product, the total their sum, `estimate` the same.
std::uint64_t lines_of_one_charge(Random& random) {
    PriceList list;
    const pricing::RateCard plain = random_card(random, list);
    const Written uplift = random_factor(random);
    const Written discount = random_factor(random);
    const Result<pricing::RateCard> card =
        plain.scaled(Ratio::parse(uplift.text).value(), Currency());
    if (!card) return 0;
    pricing::PriceOptions options;
    options.factor = Ratio::parse(discount.text).value();
    options.rounding = kRules[random.below(kRules.size())];
    const canon::Usage usage = random_usage(random);
    const Result<pricing::Charge> charge = pricing::price(usage, *card, options, Instant{});
    if (!charge) {
        EXPECT_EQ(charge.error().code, ErrorCode::kOverflow) << charge.error().message;
        return 0;
    }
    const cpp_rational factor = uplift.exact * discount.exact;
    cpp_int total = 0;
    std::uint64_t lines = 0;
    std::array<std::int64_t, canon::kMeterCount> counted{};
    for (const pricing::ChargeLine& line : charge->lines()) {
        counted[static_cast<std::size_t>(line.meter)] += line.quantity;
        if (!line.is_known) continue;
        const Written& price = list[static_cast<std::size_t>(line.priced_as)];
        if (price.text.empty()) {
            ADD_FAILURE() << canon::meter_name(line.priced_as) << " has no price to be priced by";
            return lines;
        }
        const cpp_int wanted =
            rounded(line.quantity * price.exact * 1'000'000 * factor, options.rounding);
        if (big(line.cost.pico()) != wanted) {
            ADD_FAILURE() << line.quantity << " " << canon::meter_name(line.meter) << " at "
                          << price.text << " x " << uplift.text << " x " << discount.text << " is "
                          << wanted << ", not " << big(line.cost.pico());
            return lines;
        }
        total += wanted;
        ++lines;
    }
    EXPECT_EQ(big(charge->total.pico()), total);
    // Nothing is billed twice: reasoning is a part of the output, priced apart or with it.
    const auto count_of = [&](Meter meter) { return counted[static_cast<std::size_t>(meter)]; };
    EXPECT_LE(count_of(Meter::kOutput) + count_of(Meter::kReasoning), usage[Meter::kOutput]);
    for (std::size_t m = 0; m < canon::kMeterCount; ++m) EXPECT_LE(counted[m], usage.counts[m]);
    const pricing::Quote quote = pricing::estimate(usage, *card, options, Instant{});
    EXPECT_EQ(quote.is_known, charge->is_known);
    if (quote.is_known) {
        EXPECT_EQ(quote.amount, charge->total);
    }
    return lines;
}

TEST(Arithmetic, EveryLineOfAChargeIsExactAndTheTotalTheirSum) {
    Random random(rig::seed_of("charges"));
    const std::uint64_t wanted = rig::is_full() ? 10'000'000 : 50'000;
    std::uint64_t lines = 0;
    while (lines < wanted && !HasFailure()) lines += lines_of_one_charge(random);
    fmt::print("charges: {} lines, no difference\n", lines);
}

}  // namespace
}  // namespace entrepot
