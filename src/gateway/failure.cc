#include "gateway/failure.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"

namespace entrepot::gateway {
namespace {

struct Row {
    ErrorCode code;
    int status;
    canon::FailureKind kind;
};

using enum canon::FailureKind;
constexpr std::array kRows{
    Row{ErrorCode::kBadRequest, 400, kInvalidRequest},
    Row{ErrorCode::kInvalidField, 400, kInvalidRequest},
    Row{ErrorCode::kUnsupported, 400, kUnsupported},
    Row{ErrorCode::kBodyTooLarge, 413, kTooLarge},
    Row{ErrorCode::kHeadersTooLarge, 431, kTooLarge},
    Row{ErrorCode::kUnauthenticated, 401, kAuthentication},
    Row{ErrorCode::kForbidden, 403, kPermission},
    Row{ErrorCode::kNotFound, 404, kNotFound},
    Row{ErrorCode::kMethodNotAllowed, 405, kInvalidRequest},
    Row{ErrorCode::kConflict, 409, kConflict},
    Row{ErrorCode::kRateLimited, 429, kRateLimited},
    Row{ErrorCode::kInsufficientBalance, 429, kQuotaExhausted},
    Row{ErrorCode::kUnbounded, 400, kInvalidRequest},
    Row{ErrorCode::kClientGone, 499, kServer},
    Row{ErrorCode::kRequestTimeout, 408, kTimeout},
    Row{ErrorCode::kUpstreamRefused, 400, kInvalidRequest},
    Row{ErrorCode::kUpstreamAuth, 502, kServer},
    Row{ErrorCode::kUpstreamRateLimited, 429, kRateLimited},
    Row{ErrorCode::kUpstreamOverloaded, 503, kOverloaded},
    Row{ErrorCode::kUpstreamError, 502, kServer},
    Row{ErrorCode::kUpstreamUnreachable, 502, kServer},
    Row{ErrorCode::kUpstreamTimeout, 504, kTimeout},
    Row{ErrorCode::kUpstreamProtocol, 502, kServer},
    Row{ErrorCode::kNoOffer, 503, kOverloaded},
    Row{ErrorCode::kJournalFull, 503, kOverloaded},
    Row{ErrorCode::kNotDurable, 503, kOverloaded},
    Row{ErrorCode::kDraining, 503, kOverloaded},
    Row{ErrorCode::kIdempotencyConflict, 409, canon::FailureKind::kConflict},
    Row{ErrorCode::kIdempotencyMismatch, 422, kInvalidRequest},
};

constexpr std::chrono::seconds kWaitUnsaid{1};

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '_';
}

}  // namespace

canon::Failure failure_of(const Error& error) {
    canon::Failure failure;
    failure.message = error.message;
    failure.param = error.field;
    failure.code = error_code_name(error.code);
    for (const Row& row : kRows) {
        if (row.code != error.code) continue;
        failure.status = row.status;
        failure.kind = row.kind;
        // The words official clients look for.
        if (error.code == ErrorCode::kNotFound && error.field == "model")
            failure.code = "model_not_found";
        if (error.code == ErrorCode::kUnauthenticated) failure.code = "invalid_api_key";
        if (error.code == ErrorCode::kInsufficientBalance) failure.code = "insufficient_quota";
        if (error.code == ErrorCode::kRateLimited) failure.code = "rate_limit_exceeded";
        return failure;
    }
    // What is left is a fault of ours; its words are for the log.
    failure.status = 500;
    failure.kind = kServer;
    failure.message =
        "the gateway failed to serve this request; quote the exchange id to its operator";
    return failure;
}

ledger::EndedBy ended_by(const Status& wrote) {
    if (wrote) return ledger::EndedBy::kSupplier;
    return wrote.error().code == ErrorCode::kDraining ? ledger::EndedBy::kGateway
                                                      : ledger::EndedBy::kClient;
}

ErrorCode code_of(const canon::Failure& stated, int status) {
    switch (stated.kind) {
        case kAuthentication:
        case kPermission:
        case kBilling:
        case kQuotaExhausted: return ErrorCode::kUpstreamAuth;  // no retry of the client helps
        case kRateLimited: return ErrorCode::kUpstreamRateLimited;
        case kOverloaded: return ErrorCode::kUpstreamOverloaded;
        case kContentFilter: return ErrorCode::kUpstreamRefused;
        default: break;
    }
    switch (status) {
        case 401:
        case 402:
        case 403: return ErrorCode::kUpstreamAuth;
        case 429: return ErrorCode::kUpstreamRateLimited;
        case 503:
        case 529: return ErrorCode::kUpstreamOverloaded;
        default: break;
    }
    return status >= 400 && status < 500 ? ErrorCode::kUpstreamRefused : ErrorCode::kUpstreamError;
}

canon::Failure carried_to(const dialect::Dialect& client, canon::Failure stated) {
    if (code_of(stated, 0) == ErrorCode::kUpstreamAuth) {
        stated.kind = kServer;
        stated.message = kNoAccount;
    }
    stated.code.clear();
    if (!stated.param.empty() && stated.message.find(stated.param) == std::string::npos)
        stated.message = fmt::format("{}: {}", stated.param, stated.message);
    stated.param.clear();
    stated.status = canon::status_of_kind(stated.kind);
    // Clients of dialects that always say how long give up where nobody does.
    if (stated.kind == kRateLimited && !stated.retry_after) stated.retry_after = kWaitUnsaid;
    if (client.adopt_failure != nullptr) client.adopt_failure(stated);
    return stated;
}

Error not_allowed(std::string_view method, std::string_view path, std::string_view allow) {
    return Error{ErrorCode::kMethodNotAllowed,
        fmt::format("{} is not allowed at {}; use {}", excerpt(method), excerpt(path),
            allow.substr(0, allow.find(','))),
        {}, {}};
}

Error error_of(const canon::Failure& stated) {
    return Error{code_of(stated, stated.status),
        fmt::format(
            "the supplier answered 200 and then an error: {}", excerpt(stated.message, 300)),
        {}, {}};
}

std::string scrub_account(std::string_view text) {
    // What precedes an identifier, and how many more characters make it one.
    constexpr std::array<std::string_view, 8> kPrefixes{
        "org-", "proj_", "user-", "sk-", "/subscriptions/", "key_", "acct_", "projects/"};
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const bool starts_word = i == 0 || !is_word(text[i - 1]);
        std::size_t digits = i;
        while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
        if (starts_word && digits - i == 12 &&
            (digits == text.size() || !is_word(text[digits]))) {  // an AWS account
            out += "[account]";
            i = digits;
            continue;
        }
        const auto found = std::ranges::find_if(kPrefixes, [&](std::string_view prefix) {
            return text.substr(i).starts_with(prefix) && (starts_word || prefix.front() == '/');
        });
        std::size_t end = i + (found == kPrefixes.end() ? 0 : found->size());
        while (found != kPrefixes.end() && end < text.size() &&
            (is_word(text[end]) || text[end] == '*'))
            ++end;
        if (found != kPrefixes.end() && end >= i + found->size() + 6) {
            out += *found;
            out += "[removed]";
            i = end;
            continue;
        }
        out += text[i++];
    }
    return out;
}

}  // namespace entrepot::gateway
