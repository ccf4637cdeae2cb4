#include "reconcile/amounts.h"

#include <gtest/gtest.h>

#include "reconcile/bill_time.h"

namespace entrepot::reconcile {
namespace {

std::string read(std::string_view text) {
    const auto value = parse_decimal(text);
    if (!value) return "error";
    return decimal_text(value->pico) + (value->is_rounded ? "~" : "") + " " +
        std::to_string(value->decimals);
}

TEST(Amounts, DecimalsAreReadExactly) {
    EXPECT_EQ(read("12.50"), "12.5 1");
    EXPECT_EQ(read("-0.000001"), "-0.000001 6");
    EXPECT_EQ(read("+3"), "3 0");
    EXPECT_EQ(read(".5"), "0.5 1");
    EXPECT_EQ(read("5."), "5 0");
    EXPECT_EQ(read("0"), "0 0");
    EXPECT_EQ(read("-0.000"), "0 0");
    EXPECT_EQ(read("0001234567890123456789.1"), "error");  // 10^18 and more
    EXPECT_EQ(read("000123456789012345.100"), "123456789012345.1 1");
}

TEST(Amounts, ExponentsShiftThePoint) {
    EXPECT_EQ(read("1.25E-05"), "0.0000125 7");
    EXPECT_EQ(read("4E+1"), "40 0");
    EXPECT_EQ(read("12e3"), "12000 0");
    EXPECT_EQ(read("1e-13"), "0~ 13");
    EXPECT_EQ(read("9e-13"), "0.000000000001~ 13");
    EXPECT_EQ(read("1e-400"), "0~ 255");
    EXPECT_EQ(read("1e400"), "error");
    EXPECT_EQ(read("0e400"), "0 0");
}

// Google and OpenAI print sums that were binary floating point.
TEST(Amounts, NoiseOfFloatingPointGoesAway) {
    EXPECT_EQ(read("0.30000000000000004"), "0.3~ 17");
    EXPECT_EQ(read("0.13080149999999999"), "0.1308015~ 17");
    EXPECT_EQ(read("0.0000000000005"), "0~ 13");
    EXPECT_EQ(read("0.0000000000015"), "0.000000000002~ 13");
    EXPECT_EQ(read("0.9999999999999"), "1~ 13");
}

TEST(Amounts, WhatIsNoNumberIsRefused) {
    for (const std::string_view text : {"", " ", "-", ".", "1,000.00", "NaN", "inf", "0x10",
             "1.2.3", "1e", "1e1234", "$5", "1 000", "12-", "--1"})
        EXPECT_EQ(read(text), "error") << text;
    EXPECT_EQ(read(std::string(65, '1')), "error");
}

TEST(Amounts, MoneyIsQuantityTimesRateRoundedOnce) {
    const Int128 three = parse_decimal("3")->pico;  // per million
    const Int128 tokens = parse_decimal("1234567")->pico;
    EXPECT_EQ(money_of(tokens, three)->to_decimal(), "3.703701");
    EXPECT_EQ(decimal_text(*rate_of(*money_of(tokens, three), tokens)), "3");
    // A price that is no whole pico-unit per token.
    EXPECT_EQ(money_of(parse_decimal("1")->pico, 2'500'001)->pico(), 3);
    EXPECT_EQ(money_of(parse_decimal("1")->pico, 2'500'000)->pico(), 2);
    EXPECT_EQ(money_of(parse_decimal("0.5")->pico, three)->pico(), 1'500'000);
    EXPECT_FALSE(rate_of(Money{}, 0));
    EXPECT_FALSE(money_of(parse_decimal("999999999999999999.5")->pico, three * 1'000'000'000));
}

TEST(BillTime, FormsOfEverySellerAreRead) {
    const auto at = [](std::string_view text) {
        const auto read = parse_bill_time(text);
        return read ? to_rfc3339(*read) : "error";
    };
    EXPECT_EQ(at("2026-11-23"), "2026-11-23T00:00:00.000Z");
    EXPECT_EQ(at("2026-11-23T01:00:00Z"), "2026-11-23T01:00:00.000Z");
    EXPECT_EQ(at("2026-11-23 01:00:00 UTC"), "2026-11-23T01:00:00.000Z");
    EXPECT_EQ(at("2026-11-23 01:00:00.125000 UTC"), "2026-11-23T01:00:00.125Z");
    EXPECT_EQ(at("2026-11-23T01:00:00+02:00"), "2026-11-22T23:00:00.000Z");
    EXPECT_EQ(at("2026-11-23T01:00:00-0530"), "2026-11-23T06:30:00.000Z");
    EXPECT_EQ(at("2026-11-23T01:00Z"), "2026-11-23T01:00:00.000Z");
    EXPECT_EQ(at("11/23/2026"), "2026-11-23T00:00:00.000Z");
    EXPECT_EQ(at("1/2/2026"), "2026-01-02T00:00:00.000Z");
    EXPECT_EQ(at("1761523200"), "2025-10-27T00:00:00.000Z");
    for (const std::string_view text : {"", "2026", "2026-13-01", "2026-02-30", "23/11/2026",
             "2026-11-23T", "2026-11-23T25:00:00Z", "2026-11-23T01:00:00+99:00", "yesterday!",
             "2026-11-23T01:00:00Zx", "99999999999"})
        EXPECT_EQ(at(text), "error") << text;
    EXPECT_EQ(to_date(parse_invoice_month("202612")->end), "2027-01-01");
    EXPECT_FALSE(parse_invoice_month("202613"));
}

}  // namespace
}  // namespace entrepot::reconcile
