#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/google_error.h"
#include "dialect/overflow.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Failure;
using canon::FailureKind;
using json::Value;

using google::Code;
using google::code_of;
using google::kCodes;
using google::kTypes;
using google::says;
using google::seconds_of;

/// The reason that Google gives beside its status, as its clients read it from the details.
std::string_view reason_of(const Failure& failure) {
    const bool is_word = !failure.code.empty() &&
        failure.code.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == std::string::npos;
    if (is_word && code_of(failure.code) == nullptr) return failure.code;
    // A key that is none is the request's fault at Google.
    return failure.kind == FailureKind::kAuthentication && failure.status == 400 ? "API_KEY_INVALID"
                                                                                 : "";
}

std::string_view code_for(const Failure& failure) {
    // Google's own word, where it was Google that spoke.
    if (const Code* own = code_of(failure.code); own != nullptr) return own->name;
    if (failure.kind == FailureKind::kAuthentication && failure.status == 400)
        return "INVALID_ARGUMENT";
    switch (failure.kind) {
        case FailureKind::kQuotaExhausted: return "RESOURCE_EXHAUSTED";
        case FailureKind::kBilling: return "PERMISSION_DENIED";
        case FailureKind::kTooLarge:
        case FailureKind::kContextExceeded:
        case FailureKind::kContentFilter: return "INVALID_ARGUMENT";
        case FailureKind::kTimeout: return "DEADLINE_EXCEEDED";
        case FailureKind::kUnsupported:
            return failure.status < 500 ? "INVALID_ARGUMENT" : "UNIMPLEMENTED";
        default: break;
    }
    const auto* found = std::ranges::find(kCodes, failure.kind, &Code::kind);
    return found == kCodes.end() ? "UNKNOWN" : found->name;
}

}  // namespace

Failure failure_of(const Value& error, int status) { return google::failure_of(error, status); }

Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    Failure failure;
    const auto parsed = json::Document::parse(std::string(body));
    if (const Value* error = parsed ? google::error_in(parsed->root()) : nullptr) {
        failure = failure_of(*error, status);
    } else {
        failure.status = status;
        failure.kind = canon::kind_of_status(status);
        if (parsed && parsed->root()["error"].is_string())
            failure.message = parsed->root()["error"].string();
    }
    if (failure.message.empty())
        failure.message = body.empty() ? "the supplier gave no reason" : excerpt(body, 200);
    for (const Header& header : headers)
        if (equals_ignoring_case(header.name, "retry-after") && !failure.retry_after)
            failure.retry_after = seconds_of(trim(header.value));
    return failure;
}

void adopt_failure(Failure& failure) {
    if (failure.kind == FailureKind::kTooLarge) failure.status = 400;
    if (failure.kind == FailureKind::kBilling) failure.status = 403;
    // Google's libraries hand on the message and no header: who waits reads it there.
    if (failure.kind == FailureKind::kRateLimited && failure.retry_after)
        failure.message = fmt::format("{} Retry after {}s.", failure.message,
            std::chrono::ceil<std::chrono::seconds>(*failure.retry_after).count());
    if (failure.kind != FailureKind::kContextExceeded) return;
    if (const auto counts = overflow_in(failure.message))
        failure.message = fmt::format(
            "The input token count ({}) exceeds the maximum number of tokens allowed ({}).",
            counts->prompt_tokens, counts->tokens_max);
}

std::string encode_failure(const Failure& failure) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("error").begin_object();
    writer.member("code", std::int64_t{failure.status});
    // Clients that shorten their prompt know the error by these words.
    const bool is_known = failure.kind != FailureKind::kContextExceeded ||
        says(failure.message, "exceeds the maximum number of tokens");
    writer.member("message",
        is_known ? failure.message
                 : fmt::format("The input token count exceeds the maximum number of tokens "
                               "allowed. {}",
                       failure.message));
    writer.member("status", code_for(failure));
    const bool has_field = !failure.param.empty();
    const std::string_view reason = reason_of(failure);
    if (failure.retry_after || has_field || !reason.empty()) {
        writer.key("details").begin_array();
        if (!reason.empty()) {
            writer.begin_object().member("@type", std::string(kTypes) + "ErrorInfo");
            writer.member("reason", reason).member("domain", "googleapis.com").end_object();
        }
        if (failure.retry_after) {
            const std::int64_t ms = failure.retry_after->count();
            writer.begin_object().member("@type", std::string(kTypes) + "RetryInfo");
            writer.member("retryDelay",
                ms % 1000 == 0 ? fmt::format("{}s", ms / 1000)
                               : fmt::format("{}.{:03}s", ms / 1000, ms % 1000));
            writer.end_object();
        }
        if (has_field) {
            writer.begin_object().member("@type", std::string(kTypes) + "BadRequest");
            writer.key("fieldViolations").begin_array().begin_object();
            writer.member("field", failure.param).member("description", failure.message);
            writer.end_object().end_array().end_object();
        }
        writer.end_array();
    }
    writer.end_object().end_object();
    return out;
}

}  // namespace entrepot::dialect::gemini
