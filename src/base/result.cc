#include "base/result.h"

namespace entrepot {

std::string_view error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::kBadRequest: return "bad_request";
        case ErrorCode::kInvalidField: return "invalid_field";
        case ErrorCode::kUnsupported: return "unsupported";
        case ErrorCode::kBodyTooLarge: return "body_too_large";
        case ErrorCode::kHeadersTooLarge: return "headers_too_large";
        case ErrorCode::kUnauthenticated: return "unauthenticated";
        case ErrorCode::kForbidden: return "forbidden";
        case ErrorCode::kNotFound: return "not_found";
        case ErrorCode::kMethodNotAllowed: return "method_not_allowed";
        case ErrorCode::kConflict: return "conflict";
        case ErrorCode::kRateLimited: return "rate_limited";
        case ErrorCode::kInsufficientBalance: return "insufficient_balance";
        case ErrorCode::kUnbounded: return "unbounded";
        case ErrorCode::kClientGone: return "client_gone";
        case ErrorCode::kRequestTimeout: return "request_timeout";
        case ErrorCode::kUpstreamRefused: return "upstream_refused";
        case ErrorCode::kUpstreamAuth: return "upstream_auth";
        case ErrorCode::kUpstreamRateLimited: return "upstream_rate_limited";
        case ErrorCode::kUpstreamOverloaded: return "upstream_overloaded";
        case ErrorCode::kUpstreamError: return "upstream_error";
        case ErrorCode::kUpstreamUnreachable: return "upstream_unreachable";
        case ErrorCode::kUpstreamTimeout: return "upstream_timeout";
        case ErrorCode::kUpstreamProtocol: return "upstream_protocol";
        case ErrorCode::kNoOffer: return "no_offer";
        case ErrorCode::kUnknownAccount: return "unknown_account";
        case ErrorCode::kUnknownHold: return "unknown_hold";
        case ErrorCode::kHoldConflict: return "hold_conflict";
        case ErrorCode::kSettleConflict: return "settle_conflict";
        case ErrorCode::kJournalFull: return "journal_full";
        case ErrorCode::kJournalCorrupt: return "journal_corrupt";
        case ErrorCode::kStoreLocked: return "store_locked";
        case ErrorCode::kIo: return "io";
        case ErrorCode::kBadConfiguration: return "bad_configuration";
        case ErrorCode::kDraining: return "draining";
        case ErrorCode::kCancelled: return "cancelled";
        case ErrorCode::kOverflow: return "overflow";
        case ErrorCode::kInternal: return "internal";
        case ErrorCode::kNotDurable: return "not_durable";
        case ErrorCode::kIdempotencyConflict: return "idempotency_conflict";
        case ErrorCode::kIdempotencyMismatch: return "idempotency_mismatch";
    }
    return "internal";
}

}  // namespace entrepot
