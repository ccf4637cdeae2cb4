#include "base/time.h"

#include <date/date.h>
#include <date/tz.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"

namespace entrepot {
namespace {

std::int64_t read_clock(clockid_t clock) {
    timespec at{};
    clock_gettime(clock, &at);
    return std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
}

using SysNs = date::sys_time<nanoseconds>;
SysNs to_sys(Instant at) { return SysNs(nanoseconds(at.ns)); }

Result<int> digits(std::string_view text, std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
        if (i >= text.size() || text[i] < '0' || text[i] > '9')
            return fail(ErrorCode::kInvalidField,
                fmt::format("'{}' is not a time: write 2026-11-23 or 2026-11-23T00:00:00Z", text));
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

}  // namespace

Instant wall_now() { return {read_clock(CLOCK_REALTIME)}; }
MonotonicTime monotonic_now() { return {read_clock(CLOCK_MONOTONIC)}; }

std::string to_rfc3339(Instant at) {
    const auto sys = to_sys(at);
    const auto day = date::floor<date::days>(sys);
    const date::year_month_day ymd(day);
    const auto ms = std::chrono::floor<milliseconds>(sys - day).count();
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int(ymd.year()),
        unsigned(ymd.month()), unsigned(ymd.day()), ms / 3'600'000, ms / 60'000 % 60,
        ms / 1000 % 60, ms % 1000);
}

std::string to_date(Instant at) { return to_rfc3339(at).substr(0, 10); }

namespace {
constexpr std::array<std::string_view, 12> kMonths{
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
}  // namespace

std::string to_http_date(Instant at) {
    const auto second = date::floor<seconds>(to_sys(at));
    const auto day = date::floor<date::days>(second);
    const date::year_month_day ymd(day);
    const auto in_day = (second - day).count();
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        kDays[date::weekday(day).c_encoding()], unsigned(ymd.day()),
        kMonths[unsigned(ymd.month()) - 1], int(ymd.year()), in_day / 3600, in_day / 60 % 60,
        in_day % 60);
}

std::optional<Instant> parse_http_date(std::string_view text) {
    text = trim(text);
    if (text.size() != 29 || text.substr(3, 2) != ", " || !text.ends_with(" GMT"))
        return std::nullopt;
    const auto* month = std::ranges::find(kMonths, text.substr(8, 3));
    if (month == kMonths.end()) return std::nullopt;
    const Result<Instant> at = parse_instant(fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4),
        month - kMonths.begin() + 1, text.substr(5, 2), text.substr(17, 8)));
    if (!at) return std::nullopt;
    return *at;
}

Result<Instant> parse_instant(std::string_view text) {
    const auto bad = [&] {
        return fail(ErrorCode::kInvalidField,
            fmt::format("'{}' is not a time: write 2026-11-23 or 2026-11-23T00:00:00Z", text));
    };
    ENTREPOT_TRY(const int year, digits(text, 0, 4));
    ENTREPOT_TRY(const int month, digits(text, 5, 2));
    ENTREPOT_TRY(const int day, digits(text, 8, 2));
    const date::year_month_day ymd{
        date::year(year), date::month(unsigned(month)), date::day(unsigned(day))};
    // Nanoseconds in 64 bits reach from 1677 to 2262.
    if (text[4] != '-' || text[7] != '-' || !ymd.ok() || year < 1678 || year > 2261) return bad();
    nanoseconds since = date::sys_days(ymd).time_since_epoch();
    if (text.size() == 10) return Instant{since.count()};
    if (text[10] != 'T' && text[10] != ' ') return bad();
    ENTREPOT_TRY(const int hour, digits(text, 11, 2));
    ENTREPOT_TRY(const int minute, digits(text, 14, 2));
    ENTREPOT_TRY(const int second, digits(text, 17, 2));
    if (text[13] != ':' || text[16] != ':' || hour > 23 || minute > 59 || second > 60) return bad();
    since += std::chrono::hours(hour) + std::chrono::minutes(minute) + seconds(second);
    std::size_t at = 19;
    if (at < text.size() && text[at] == '.') {
        std::int64_t scale = 100'000'000;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
            since += nanoseconds((text[at] - '0') * scale);
    }
    if (at >= text.size()) return bad();
    if (text[at] == 'Z' && at + 1 == text.size()) return Instant{since.count()};
    if ((text[at] != '+' && text[at] != '-') || text.size() != at + 6 || text[at + 3] != ':')
        return bad();
    ENTREPOT_TRY(const int offset_hours, digits(text, at + 1, 2));
    ENTREPOT_TRY(const int offset_minutes, digits(text, at + 4, 2));
    const nanoseconds offset =
        std::chrono::hours(offset_hours) + std::chrono::minutes(offset_minutes);
    since += text[at] == '+' ? -offset : offset;
    return Instant{since.count()};
}

Result<PeriodKind> parse_period_kind(std::string_view text) {
    for (const auto kind : {PeriodKind::kDay, PeriodKind::kWeek, PeriodKind::kMonth,
             PeriodKind::kQuarter, PeriodKind::kYear, PeriodKind::kTotal})
        if (text == period_kind_name(kind)) return kind;
    return fail(ErrorCode::kInvalidField,
        fmt::format("'{}' is not a period: use day, week, month, quarter, year or total", text));
}

std::string_view period_kind_name(PeriodKind kind) {
    switch (kind) {
        case PeriodKind::kDay: return "day";
        case PeriodKind::kWeek: return "week";
        case PeriodKind::kMonth: return "month";
        case PeriodKind::kQuarter: return "quarter";
        case PeriodKind::kYear: return "year";
        case PeriodKind::kTotal: return "total";
    }
    return "total";
}

Instant add_months(Instant at, int months) {
    const auto sys = to_sys(at);
    const auto day = date::floor<date::days>(sys);
    date::year_month_day ymd = date::year_month_day(day) + date::months(months);
    if (!ymd.ok()) ymd = ymd.year() / ymd.month() / date::last;
    return {(nanoseconds(date::sys_days(ymd).time_since_epoch()) + (sys - day)).count()};
}

Result<TimeZone> TimeZone::find(std::string_view name) {
    try {
        return TimeZone(std::string(name), date::locate_zone(std::string(name)));
    } catch (const std::exception&) {
        return fail(ErrorCode::kInvalidField,
            fmt::format(
                "'{}' is not a time zone: use an IANA name such as Europe/Stockholm or UTC", name));
    }
}

TimeZone TimeZone::utc() { return TimeZone("UTC", date::locate_zone("UTC")); }

Period TimeZone::period_of(PeriodKind kind, Instant at) const {
    if (kind == PeriodKind::kTotal) return {{0}, {std::numeric_limits<std::int64_t>::max()}};
    const auto* zone = static_cast<const date::time_zone*>(zone_);
    const auto local = zone->to_local(to_sys(at));
    const auto day = date::floor<date::days>(local);
    const date::year_month_day ymd(day);
    const date::year_month month = ymd.year() / ymd.month();
    date::local_days begin = day;
    date::local_days end = day + date::days(1);
    switch (kind) {
        case PeriodKind::kDay: break;
        case PeriodKind::kWeek:
            begin = day - (date::weekday(day) - date::Monday);
            end = begin + date::weeks(1);
            break;
        case PeriodKind::kMonth:
            begin = date::local_days(month / 1);
            end = date::local_days((month + date::months(1)) / 1);
            break;
        case PeriodKind::kQuarter: {
            const auto first = ymd.year() / date::month((unsigned(ymd.month()) - 1) / 3 * 3 + 1);
            begin = date::local_days(first / 1);
            end = date::local_days((first + date::months(3)) / 1);
            break;
        }
        case PeriodKind::kYear:
            begin = date::local_days(ymd.year() / date::January / 1);
            end = date::local_days((ymd.year() + date::years(1)) / date::January / 1);
            break;
        case PeriodKind::kTotal: break;
    }
    const auto to_instant = [&](date::local_days midnight) {
        const auto sys = zone->to_sys(midnight, date::choose::earliest);
        return Instant{std::chrono::duration_cast<nanoseconds>(sys.time_since_epoch()).count()};
    };
    return {to_instant(begin), to_instant(end)};
}

}  // namespace entrepot
