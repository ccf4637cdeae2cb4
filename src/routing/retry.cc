#include "routing/retry.h"

#include <algorithm>

#include "base/text.h"

namespace entrepot::routing {
namespace {

enum class Fault : std::uint8_t {
    kClients,    ///< the request itself: no other offer would take it
    kOurs,       ///< credentials or account: another offer may serve, people must look
    kBusy,       ///< 429
    kSuppliers,  ///< it failed; asking again may help
    kSilent,     ///< no answer came in time to a request that was sent
    kNobodys,    ///< the client left, we drain, or our own code failed: nothing to retry
};

struct Verdict {
    Fault fault = Fault::kNobodys;
    ErrorCode code = ErrorCode::kInternal;
};

Verdict of_status(std::int32_t status) {
    switch (status) {
        case 401:
        case 402:
        case 403: return {Fault::kOurs, ErrorCode::kUpstreamAuth};
        case 429: return {Fault::kBusy, ErrorCode::kUpstreamRateLimited};
        // Bedrock answers 408 and 424 when the model timed out or failed; 409 and 425 are the
        // server's state.
        case 408:
        case 409:
        case 424:
        case 425: return {Fault::kSuppliers, ErrorCode::kUpstreamError};
        case 503:
        case 529: return {Fault::kSuppliers, ErrorCode::kUpstreamOverloaded};
        default: break;
    }
    if (status >= 400 && status < 500) return {Fault::kClients, ErrorCode::kUpstreamRefused};
    return {Fault::kSuppliers, ErrorCode::kUpstreamError};
}

Verdict verdict_on(const Failure& failure) {
    if (failure.is_content_filter) return {Fault::kClients, ErrorCode::kUpstreamRefused};
    if (failure.code == ErrorCode::kClientGone || failure.code == ErrorCode::kCancelled ||
        failure.code == ErrorCode::kDraining)
        return {Fault::kNobodys, failure.code};
    if (failure.http_status >= 400) return of_status(failure.http_status);
    switch (failure.code) {
        case ErrorCode::kUpstreamRefused: return {Fault::kClients, failure.code};
        case ErrorCode::kUpstreamAuth: return {Fault::kOurs, failure.code};
        case ErrorCode::kUpstreamRateLimited: return {Fault::kBusy, failure.code};
        case ErrorCode::kUpstreamOverloaded:
        case ErrorCode::kUpstreamError:
        case ErrorCode::kUpstreamUnreachable:
        case ErrorCode::kUpstreamProtocol: return {Fault::kSuppliers, failure.code};
        case ErrorCode::kUpstreamTimeout:
            return {
                failure.may_have_been_billed ? Fault::kSilent : Fault::kSuppliers, failure.code};
        default: return {Fault::kNobodys, failure.code};
    }
}

Outcome outcome_of(Fault fault) {
    switch (fault) {
        case Fault::kClients: return Outcome::kServed;
        case Fault::kBusy: return Outcome::kRateLimited;
        case Fault::kNobodys: return Outcome::kAbandoned;
        case Fault::kOurs:
        case Fault::kSuppliers:
        case Fault::kSilent: break;
    }
    return Outcome::kFailed;
}

/// Digits with an optional fraction, as nanoseconds of `unit`; nothing for other text.
std::optional<nanoseconds> parse_duration(std::string_view text, nanoseconds unit) {
    constexpr std::int64_t kDay = 86'400;
    std::int64_t whole = 0;
    std::int64_t fraction = 0;
    std::int64_t scale = 1;
    bool has_point = false;
    bool has_digit = false;
    for (const char c : trim(text)) {
        if (c == '.' && !has_point && has_digit) {
            has_point = true;
        } else if (c >= '0' && c <= '9') {
            has_digit = true;
            if (!has_point)
                whole = std::min<std::int64_t>(whole * 10 + (c - '0'), kDay * 1000);
            else if (scale < 1'000'000) {
                fraction = fraction * 10 + (c - '0');
                scale *= 10;
            }
        } else {
            return std::nullopt;
        }
    }
    if (!has_digit) return std::nullopt;
    const nanoseconds wait = unit * whole + unit * fraction / scale;
    return std::min<nanoseconds>(wait, seconds(kDay));
}

}  // namespace

Decision decide(const Failure& failure, const Progress& progress, const RetryPolicy& policy) {
    const Verdict verdict = verdict_on(failure);
    Decision decision;
    decision.outcome = outcome_of(verdict.fault);
    decision.client_code = verdict.code;
    decision.raise_alarm = verdict.fault == Fault::kOurs;
    const bool may_go_on = !failure.reached_client && verdict.fault != Fault::kClients &&
        verdict.fault != Fault::kNobodys && progress.attempts_made < policy.attempts_max &&
        progress.time_left.count() > 0;
    if (!may_go_on) return decision;
    if (progress.has_next_offer) {
        decision.step = Step::kNextOffer;
        return decision;
    }
    // The same offer again: not where our credentials are refused, nor where it may be paid for
    // twice.
    if (verdict.fault == Fault::kOurs || verdict.fault == Fault::kSilent ||
        progress.attempts_at_offer >= policy.same_offer_max)
        return decision;
    const nanoseconds backoff =
        policy.backoff_first * (1LL << std::clamp(progress.attempts_at_offer - 1, 0, 10));
    const nanoseconds wait = failure.retry_after ? *failure.retry_after : backoff;
    if (wait > policy.wait_max || wait >= progress.time_left) return decision;
    decision.step = Step::kRetrySame;
    decision.wait = wait;
    return decision;
}

std::optional<nanoseconds> parse_retry_after(
    std::string_view retry_after, std::string_view retry_after_ms, Instant now) {
    // Azure was recorded sending 0 milliseconds beside 1 second: zero there says nothing.
    const auto precise = parse_duration(retry_after_ms, milliseconds(1));
    if (precise && precise->count() > 0) return precise;
    if (const auto plain = parse_duration(retry_after, seconds(1))) return plain;
    if (const auto date = parse_http_date(retry_after))
        return std::clamp<nanoseconds>(*date - now, nanoseconds(0), seconds(86'400));
    return precise;
}

}  // namespace entrepot::routing
