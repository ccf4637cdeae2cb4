#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "dialect/oci/parts.h"
#include "dialect/overflow.h"
#include "dialect/retry_after.h"

namespace entrepot::dialect::oci {
namespace {

using canon::FailureKind;

struct Code {
    std::string_view code;
    FailureKind kind;
    int status;
};
constexpr auto kCodes = std::to_array<Code>({
    {"CannotParseRequest", FailureKind::kInvalidRequest, 400},
    {"InvalidParameter", FailureKind::kInvalidRequest, 400},
    {"MissingParameter", FailureKind::kInvalidRequest, 400},
    {"LimitExceeded", FailureKind::kQuotaExhausted, 400},
    {"QuotaExceeded", FailureKind::kQuotaExhausted, 400},
    {"SignUpRequired", FailureKind::kBilling, 402},
    {"NotAuthenticated", FailureKind::kAuthentication, 401},
    {"NotAuthorized", FailureKind::kPermission, 403},
    // The name of the model is the configuration's and never the client's: what is not there, or
    // not allowed, is for the operator to mend.
    {"NotAuthorizedOrNotFound", FailureKind::kPermission, 403},
    {"NotAuthorizedOrResourceAlreadyExists", FailureKind::kPermission, 403},
    {"IncorrectState", FailureKind::kConflict, 409},
    {"InvalidatedRetryToken", FailureKind::kConflict, 409},
    {"RequestEntityTooLarge", FailureKind::kTooLarge, 413},
    {"TooManyRequests", FailureKind::kRateLimited, 429},
    {"InternalServerError", FailureKind::kServer, 500},
    {"ServiceUnavailable", FailureKind::kOverloaded, 503},
});

bool says(std::string_view message, std::initializer_list<std::string_view> phrases) {
    const std::string lower = to_lower(message);
    return std::ranges::any_of(
        phrases, [&](std::string_view phrase) { return lower.find(phrase) != std::string::npos; });
}

/// What the words refine in a refusal of the request itself.
FailureKind kind_of_refusal(std::string_view message) {
    if (says_overflow(message)) return FailureKind::kContextExceeded;
    if (says(message, {"inappropriate content", "content filter", "content moderation"}))
        return FailureKind::kContentFilter;
    return FailureKind::kInvalidRequest;
}

}  // namespace

canon::Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    canon::Failure failure;
    failure.status = status;
    failure.kind = canon::kind_of_status(status);
    if (const auto parsed = json::Document::parse(std::string(body)); parsed) {
        const json::Value& root = parsed->root();
        failure.message = root["message"].string();
        failure.code = root["code"].string();
        failure.request_id = root["opc-request-id"].string();
    }
    const auto* known = std::ranges::find(kCodes, std::string_view(failure.code), &Code::code);
    if (known != kCodes.end()) {
        failure.kind = known->kind;
        failure.status = known->status;
    } else if (int number = 0; failure.code.size() == 3 &&
        std::from_chars(failure.code.data(), failure.code.data() + 3, number).ec == std::errc() &&
        number >= 400) {
        // The status once more; within a stream, the only one.
        failure.status = number;
        failure.kind = canon::kind_of_status(number);
        failure.code.clear();
    }
    if (failure.kind == FailureKind::kInvalidRequest)
        failure.kind = kind_of_refusal(failure.message);
    if (failure.message.empty())
        failure.message = body.empty() ? "the supplier gave no reason" : excerpt(body, 200);
    for (const Header& header : headers)
        if (equals_ignoring_case(header.name, "opc-request-id")) failure.request_id = header.value;
    failure.retry_after = retry_after_seconds(headers);
    return failure;
}

std::string encode_failure(const canon::Failure& failure) {
    const auto* known = std::ranges::find(kCodes, failure.kind, &Code::kind);
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    writer.member("code", known == kCodes.end() ? "InternalServerError" : known->code);
    writer.member("message", failure.message).end_object();
    return out;
}

}  // namespace entrepot::dialect::oci
