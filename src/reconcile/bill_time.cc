#include "reconcile/bill_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/text.h"

namespace entrepot::reconcile {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::size_t kBytesMax = 40;

std::optional<std::int64_t> number(std::string_view text, std::size_t at, std::size_t count) {
    if (at + count > text.size()) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : text.substr(at, count)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

std::optional<std::int64_t> day_ns(std::int64_t year, std::int64_t month, std::int64_t day) {
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
        std::chrono::month(static_cast<unsigned>(month)),
        std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date).time_since_epoch().count() * kDayNs;
}

/// `Z`, `UTC`, ` UTC`, `+02:00`, `-0530`, or nothing: what to take off, in ns.
std::optional<std::int64_t> zone_ns(std::string_view text) {
    text = trim(text);
    if (text.empty() || text == "Z" || text == "z" || text == "UTC" || text == "GMT") return 0;
    const bool is_west = text.front() == '-';
    if (!is_west && text.front() != '+') return std::nullopt;
    const auto hours = number(text, 1, 2);
    const std::size_t minutes_at = text.size() > 3 && text[3] == ':' ? 4 : 3;
    const auto minutes =
        text.size() == 3 ? std::optional<std::int64_t>(0) : number(text, minutes_at, 2);
    if (!hours || !minutes || *hours > 14 || *minutes > 59) return std::nullopt;
    if (text.size() != 3 && text.size() != minutes_at + 2) return std::nullopt;
    const std::int64_t offset = (*hours * 60 + *minutes) * 60 * kSecondNs;
    return is_west ? -offset : offset;
}

/// `T01:02:03.456Z` behind a date: ns into the day, the zone applied.
std::optional<std::int64_t> time_ns(std::string_view text) {
    if (text.empty()) return 0;
    if (text.front() != 'T' && text.front() != ' ') return std::nullopt;
    if (text.front() == ' ' && text.size() > 1 && (text[1] < '0' || text[1] > '9'))
        return zone_ns(text);
    const auto hour = number(text, 1, 2);
    const auto minute = number(text, 4, 2);
    if (!hour || !minute || *hour > 24 || *minute > 59 || text[3] != ':') return std::nullopt;
    std::int64_t ns = (*hour * 60 + *minute) * 60 * kSecondNs;
    std::size_t at = 6;
    if (at < text.size() && text[at] == ':') {
        const auto second = number(text, 7, 2);
        if (!second || *second > 60) return std::nullopt;
        ns += *second * kSecondNs;
        at = 9;
        if (at < text.size() && text[at] == '.') {
            std::int64_t unit = kSecondNs;
            for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
                ns += (text[at] - '0') * (unit /= 10);
        }
    }
    const auto zone = zone_ns(text.substr(at));
    if (!zone) return std::nullopt;
    return ns - *zone;
}

std::optional<Instant> read(std::string_view text) {
    if (text.size() > kBytesMax || text.size() < 8) return std::nullopt;
    if (text.size() <= 11 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
        if (const auto value = number(text, 0, text.size()); value && *value < 7'258'118'400)
            return Instant{*value * kSecondNs};
    if (text[4] == '-' && text.size() >= 10 && text[7] == '-') {
        const auto year = number(text, 0, 4), month = number(text, 5, 2), day = number(text, 8, 2);
        if (!year || !month || !day) return std::nullopt;
        const auto date = day_ns(*year, *month, *day);
        const auto time = time_ns(text.substr(10));
        if (!date || !time) return std::nullopt;
        return Instant{*date + *time};
    }
    const auto first = text.find('/');
    const auto second = first == std::string_view::npos ? first : text.find('/', first + 1);
    if (second == std::string_view::npos || first == 0 || first > 2) return std::nullopt;
    if (second == first + 1 || second > first + 3) return std::nullopt;
    const auto month = number(text, 0, first);
    const auto day = number(text, first + 1, second - first - 1);
    const auto year = number(text, second + 1, 4);
    if (!month || !day || !year) return std::nullopt;
    const auto date = day_ns(*year, *month, *day);
    const auto time = time_ns(text.substr(second + 5));
    if (!date || !time) return std::nullopt;
    return Instant{*date + *time};
}

}  // namespace

Result<Instant> parse_bill_time(std::string_view text) {
    if (const auto at = read(trim(text))) return *at;
    return fail(ErrorCode::kInvalidField,
        fmt::format(
            "'{}' is not a time; write it like 2026-11-23 or 2026-11-23T01:00:00Z", excerpt(text)));
}

Result<Period> parse_invoice_month(std::string_view text) {
    const auto year = text.size() == 6 ? number(text, 0, 4) : std::nullopt;
    const auto month = text.size() == 6 ? number(text, 4, 2) : std::nullopt;
    if (year && month) {
        const auto begin = day_ns(*year, *month, 1);
        const auto end = *month == 12 ? day_ns(*year + 1, 1, 1) : day_ns(*year, *month + 1, 1);
        if (begin && end) return Period{Instant{*begin}, Instant{*end}};
    }
    return fail(ErrorCode::kInvalidField,
        fmt::format("'{}' is not a month; write it like 202611", excerpt(text)));
}

}  // namespace entrepot::reconcile
