#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "routing/health.h"

namespace entrepot::routing {

/// How an attempt failed.
struct Failure {
    ErrorCode code = ErrorCode::kUpstreamError;  ///< of our own: kUpstreamUnreachable,
                                                 ///< kUpstreamTimeout, kClientGone, ...
    std::int32_t http_status = 0;                ///< 0: no answer came
    std::optional<nanoseconds> retry_after;
    bool is_content_filter = false;     ///< a refusal by the supplier's filter: an answer
    bool reached_client = false;        ///< a byte of the answer went to the client
    bool may_have_been_billed = false;  ///< the request was sent in full
};

struct RetryPolicy {
    std::int32_t attempts_max = 4;      ///< over all offers
    std::int32_t same_offer_max = 2;    ///< attempts at one offer
    nanoseconds wait_max = seconds(2);  ///< the longest wait for an offer that asked us to wait
    nanoseconds backoff_first = milliseconds(100);
};

enum class Step : std::uint8_t { kRetrySame, kNextOffer, kGiveUp };

struct Decision {
    Step step = Step::kGiveUp;
    nanoseconds wait{0};                 ///< before the next attempt
    Outcome outcome = Outcome::kServed;  ///< to tell Health
    ErrorCode client_code =
        ErrorCode::kUpstreamError;  ///< what the client sees when this was the last
    bool raise_alarm = false;       ///< our credentials or account are refused
};

/// Where a request stands when an attempt has failed.
struct Progress {
    std::int32_t attempts_made = 1;  ///< this one included
    std::int32_t attempts_at_offer = 1;
    bool has_next_offer = false;
    nanoseconds time_left = seconds(600);  ///< to the request's deadline
};

/// What to do next. Pure. A 400, 404, 413, 422 is the client's; 401, 402, 403 are ours: next offer
/// and an alarm; 429 and 5xx go to the next offer, or wait (as asked, never longer than `wait_max`)
/// when there is none; nothing is retried once a byte reached the client.
[[nodiscard]] Decision decide(
    const Failure& failure, const Progress& progress, const RetryPolicy& policy = {});

/// `retry-after-ms`, else `retry-after` (seconds, decimals allowed, or an HTTP date); nothing for
/// text we cannot read. Pass empty views for absent headers.
[[nodiscard]] std::optional<nanoseconds> parse_retry_after(
    std::string_view retry_after, std::string_view retry_after_ms, Instant now);

}  // namespace entrepot::routing
