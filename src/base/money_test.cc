#include "base/money.h"

#include <gtest/gtest.h>

namespace entrepot {
namespace {

Money usd(std::string_view text) { return *Money::parse(text); }

TEST(Money, DecimalsRoundTripExactly) {
    EXPECT_EQ(usd("12.50").to_decimal(), "12.50");
    EXPECT_EQ(usd("0.000000000001").to_decimal(), "0.000000000001");
    EXPECT_EQ(usd("-0.10").to_decimal(), "-0.10");
    EXPECT_EQ(usd("7").to_decimal(), "7.00");
}

TEST(Money, RefusesWhatIsNotAPlainDecimal) {
    for (const auto* text : {"", ".", "1.", ".5", "1e3", "1,5", "+1", "--1", "0x1",
             "1.0000000000001", "1234567890123456789012345"})
        EXPECT_FALSE(Money::parse(text)) << text;
}

TEST(Money, AListPriceIsAWholeNumberOfPicoUnitsPerToken) {
    EXPECT_EQ(UnitPrice::parse_per_million("0.15")->pico(), 150'000);
    EXPECT_EQ(UnitPrice::parse_per_million("0.000001")->pico(), 1);
    EXPECT_FALSE(UnitPrice::parse_per_million("0.0000001"));
    EXPECT_FALSE(UnitPrice::parse_per_million("-1"));
    EXPECT_EQ(UnitPrice::parse_per_million("2.5")->to_per_million(), "2.50");
}

TEST(Money, ALineIsRoundedOnceByTheRuleGiven) {
    const auto price = UnitPrice::from_pico(1);
    const Ratio third{1, 3};
    EXPECT_EQ(extend(2, price, third, Rounding::kHalfEven)->pico(), 1);
    EXPECT_EQ(extend(1, price, third, Rounding::kHalfEven)->pico(), 0);
    EXPECT_EQ(extend(1, price, third, Rounding::kUp)->pico(), 1);
    EXPECT_EQ(extend(5, price, {1, 2}, Rounding::kHalfEven)->pico(), 2);
    EXPECT_EQ(extend(5, price, {1, 2}, Rounding::kHalfUp)->pico(), 3);
    EXPECT_EQ(extend(5, price, {1, 2}, Rounding::kDown)->pico(), 2);
}

TEST(Money, AContractMayRoundToFewerDecimals) {
    const auto rounded = [](std::string_view amount, Rounding mode, std::uint8_t decimals) {
        return divide(Money::parse(amount)->pico(), 1, {mode, decimals})->to_decimal();
    };
    EXPECT_EQ(rounded("0.125", Rounding::kHalfEven, 2), "0.12");
    EXPECT_EQ(rounded("0.135", Rounding::kHalfEven, 2), "0.14");
    EXPECT_EQ(rounded("0.125", Rounding::kHalfUp, 2), "0.13");
    EXPECT_EQ(rounded("0.120000000001", Rounding::kUp, 2), "0.13");
    EXPECT_EQ(rounded("0.129999", Rounding::kDown, 2), "0.12");
    EXPECT_EQ(rounded("-0.121", Rounding::kDown, 2), "-0.13");
    EXPECT_EQ(rounded("-0.121", Rounding::kUp, 2), "-0.12");
    EXPECT_EQ(rounded("0.5", Rounding::kHalfEven, 0), "0.00");
    EXPECT_EQ(rounded("1.5", Rounding::kHalfEven, 0), "2.00");
    EXPECT_EQ(rounded("0.123456789012", Rounding::kHalfEven, 12), "0.123456789012");
    // A third of a cent is rounded once, not to pico-units first.
    EXPECT_EQ(
        divide(Int128{5'000'000'000} * 3 - 1, 3, {Rounding::kHalfUp, 2})->to_decimal(), "0.00");
    EXPECT_FALSE(divide(1, Int128{1} << 126, {Rounding::kUp, 0}));
}

TEST(Money, RatiosStayExactAndInLowestTerms) {
    EXPECT_EQ(*Ratio::parse("1.1"), (Ratio{11, 10}));
    EXPECT_EQ(*Ratio::parse("22/20"), (Ratio{11, 10}));
    EXPECT_EQ(*multiply(*Ratio::parse("1.1"), *Ratio::parse("0.9")), (Ratio{99, 100}));
    EXPECT_FALSE(Ratio::parse("1/0"));
}

}  // namespace
}  // namespace entrepot
