#include "base/time.h"

#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/text.h"

namespace entrepot {
namespace {

Instant at(std::string_view text) { return *parse_instant(text); }

TEST(Time, PeriodsFollowTheCalendarOfTheirZone) {
    const TimeZone stockholm = *TimeZone::find("Europe/Stockholm");
    const Period month = stockholm.period_of(PeriodKind::kMonth, at("2026-10-31T23:30:00Z"));
    EXPECT_EQ(to_rfc3339(month.begin), "2026-10-31T23:00:00.000Z");
    EXPECT_EQ(to_rfc3339(month.end), "2026-11-30T23:00:00.000Z");
}

TEST(Time, ADayOfClockChangeHas25Hours) {
    const TimeZone stockholm = *TimeZone::find("Europe/Stockholm");
    const Period day = stockholm.period_of(PeriodKind::kDay, at("2026-10-25T12:00:00Z"));
    EXPECT_EQ(day.end - day.begin, std::chrono::hours(25));
}

TEST(Time, WeeksBeginOnMondayAndQuartersOnTheFirst) {
    const TimeZone utc = TimeZone::utc();
    EXPECT_EQ(to_date(utc.period_of(PeriodKind::kWeek, at("2026-11-22")).begin), "2026-11-16");
    EXPECT_EQ(to_date(utc.period_of(PeriodKind::kQuarter, at("2026-11-22")).begin), "2026-10-01");
}

TEST(Time, AnUnknownZoneIsRefused) { EXPECT_FALSE(TimeZone::find("Mars/Olympus")); }

TEST(Time, InstantsParseWithOffsetsAndFractions) {
    EXPECT_EQ(at("2026-11-23T02:00:00.5+01:00"), at("2026-11-23T01:00:00.500Z"));
    EXPECT_FALSE(parse_instant("2026-02-30"));
    EXPECT_FALSE(parse_instant("yesterday"));
}

TEST(Ids, AnExchangeIdCarriesItsTimeAndRoundTrips) {
    const auto id = ExchangeId::make(at("2026-11-23T01:02:03.456Z"), {0x0123456789abcdef, 0xffff});
    EXPECT_EQ(*ExchangeId::parse(id.to_string()), id);
    EXPECT_EQ(to_rfc3339(id.time()), "2026-11-23T01:02:03.456Z");
    EXPECT_EQ(id.to_string()[14], '7');
}

TEST(Text, TheNearestNameIsOfferedOnlyWhenItIsNear) {
    const std::vector<std::string> names{"gpt-4o-mini", "claude-sonnet-4-5"};
    EXPECT_EQ(nearest("gpt-4o-mni", names), "gpt-4o-mini");
    EXPECT_EQ(nearest("something-else-entirely", names), "");
}

TEST(Text, Base64IsStrict) {
    std::string out;
    EXPECT_TRUE(base64_decode("aGk=", out));
    EXPECT_EQ(out, "hi");
    EXPECT_FALSE(base64_decode("aGk", out));
    EXPECT_FALSE(base64_decode("aG k", out));
    EXPECT_FALSE(base64_decode("aGl=", out));
    EXPECT_EQ(base64_encode("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
}

// Suppliers and configurations may write any year; one that cannot be held is no time.
TEST(Instant, RefusesYearsBeyondItsReach) {
    for (const char* text : {"1012-05-27T16:53:45Z", "1677-12-31", "2262-01-01", "9999-12-31"})
        EXPECT_FALSE(parse_instant(text)) << text;
    for (const char* text : {"1678-01-01", "2261-12-31T23:59:59.999999999+23:59"})
        EXPECT_TRUE(parse_instant(text)) << text;
}

TEST(Instant, HttpDatesGoBothWays) {
    const auto at = parse_instant("1994-11-06T08:49:37Z");
    ASSERT_TRUE(at);
    EXPECT_EQ(to_http_date(*at + milliseconds(999)), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(parse_http_date(" Sun, 06 Nov 1994 08:49:37 GMT"), *at);
    for (const char* text : {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
             "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"})
        EXPECT_FALSE(parse_http_date(text)) << text;
}

TEST(Time, MonthsAreAddedAndEndWithTheMonth) {
    const auto later = [](std::string_view from, int months) {
        return to_rfc3339(add_months(*parse_instant(from), months));
    };
    EXPECT_EQ(later("2026-01-31", 1), "2026-02-28T00:00:00.000Z");
    EXPECT_EQ(later("2024-01-31", 1), "2024-02-29T00:00:00.000Z");
    EXPECT_EQ(later("2026-07-01T12:00:00Z", 12), "2027-07-01T12:00:00.000Z");
    EXPECT_EQ(later("2026-01-15", -1), "2025-12-15T00:00:00.000Z");
}

}  // namespace
}  // namespace entrepot
