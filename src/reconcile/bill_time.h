#pragma once

#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace entrepot::reconcile {

/// A time as bills write it: `2026-11-23`, `2026-11-23T01:00:00Z`, `2026-11-23 01:00:00 UTC`, with
/// an offset or a fraction; `11/23/2026` (Azure: the month first); seconds since 1970. Without a
/// zone it is UTC. Errors: kInvalidField.
[[nodiscard]] Result<Instant> parse_bill_time(std::string_view text);

/// The first instant of a month written `202611` (Google) and of the one behind it. Errors:
/// kInvalidField.
[[nodiscard]] Result<Period> parse_invoice_month(std::string_view text);

inline constexpr std::int64_t kHourNs = 3'600'000'000'000;
inline constexpr std::int64_t kDayNs = 24 * kHourNs;

}  // namespace entrepot::reconcile
