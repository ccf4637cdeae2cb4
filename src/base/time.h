#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// A point of civil time: nanoseconds since 1970-01-01T00:00:00Z. What the books and ids carry.
struct Instant {
    std::int64_t ns = 0;
    friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
    friend constexpr Instant operator+(Instant a, nanoseconds d) { return {a.ns + d.count()}; }
    friend constexpr Instant operator-(Instant a, nanoseconds d) { return {a.ns - d.count()}; }
    friend constexpr nanoseconds operator-(Instant a, Instant b) {
        return nanoseconds(a.ns - b.ns);
    }
};

/// A point of steady time: nanoseconds on CLOCK_MONOTONIC. What deadlines and latencies are made
/// of.
struct MonotonicTime {
    std::int64_t ns = 0;
    friend constexpr auto operator<=>(const MonotonicTime&, const MonotonicTime&) = default;
    friend constexpr MonotonicTime operator+(MonotonicTime a, nanoseconds d) {
        return {a.ns + d.count()};
    }
    friend constexpr nanoseconds operator-(MonotonicTime a, MonotonicTime b) {
        return nanoseconds(a.ns - b.ns);
    }
};

/// The two clocks. Pure layers are handed the time and never call these.
[[nodiscard]] Instant wall_now();
[[nodiscard]] MonotonicTime monotonic_now();

/// `2026-11-23T01:02:03.456Z` (UTC, milliseconds).
[[nodiscard]] std::string to_rfc3339(Instant at);
/// Parses a date (`2026-11-23`, midnight UTC) or an RFC 3339 time with `Z` or an offset. Errors:
/// kInvalidField.
[[nodiscard]] Result<Instant> parse_instant(std::string_view text);
/// `2026-11-23` in UTC.
[[nodiscard]] std::string to_date(Instant at);
/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of a date that HTTP lets anybody send; without the
/// fraction of the second.
[[nodiscard]] std::string to_http_date(Instant at);
/// Nothing for another form.
[[nodiscard]] std::optional<Instant> parse_http_date(std::string_view text);

enum class PeriodKind : std::uint8_t { kDay, kWeek, kMonth, kQuarter, kYear, kTotal };

[[nodiscard]] Result<PeriodKind> parse_period_kind(std::string_view text);
[[nodiscard]] std::string_view period_kind_name(PeriodKind kind);

/// A half-open calendar period. `kTotal` runs from the epoch to the end of time.
struct Period {
    Instant begin;
    Instant end;
    friend constexpr bool operator==(const Period&, const Period&) = default;
};

/// The same day and time of day (UTC) so many months later, or earlier; the last of the month where
/// that day is not in it.
[[nodiscard]] Instant add_months(Instant at, int months);

/// An IANA time zone, checked when made.
class TimeZone {
public:
    /// Errors: kInvalidField when the system's zone database does not know `name`.
    [[nodiscard]] static Result<TimeZone> find(std::string_view name);
    [[nodiscard]] static TimeZone utc();
    [[nodiscard]] const std::string& name() const { return name_; }
    /// The calendar period of `kind` that holds `at` in this zone; weeks begin on Monday. A
    /// midnight that daylight saving skips is the first instant after the gap; one that it repeats
    /// is the earlier.
    [[nodiscard]] Period period_of(PeriodKind kind, Instant at) const;
    friend bool operator==(const TimeZone& a, const TimeZone& b) { return a.name_ == b.name_; }

private:
    TimeZone(std::string name, const void* zone) : name_(std::move(name)), zone_(zone) {}
    std::string name_;
    const void* zone_;  // date::time_zone, which lives for the whole process
};

}  // namespace entrepot
