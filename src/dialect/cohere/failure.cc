#include <array>

#include "base/text.h"
#include "dialect/cohere/parts.h"
#include "dialect/overflow.h"
#include "dialect/retry_after.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::FailureKind;

bool says(std::string_view message, std::string_view words) {
    return to_lower(message).find(words) != std::string::npos;
}

FailureKind kind_of(int status, std::string_view message) {
    // Its own: a token that is no longer valid, and a request that it gave up.
    if (status == 498) return FailureKind::kAuthentication;
    if (status == 499) return FailureKind::kTimeout;
    const FailureKind kind = canon::kind_of_status(status);
    // The two limits of a trial key: per minute, and for good.
    if (kind == FailureKind::kRateLimited &&
        (says(message, "limited to 1000 api calls") || says(message, "calls / month")))
        return FailureKind::kQuotaExhausted;
    return refined_by_words(kind, message);
}

}  // namespace

canon::Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    canon::Failure failure;
    failure.status = status;
    if (const auto parsed = json::Document::parse(std::string(body)); parsed) {
        const json::Value& root = parsed->root();
        failure.message = root["message"].string();
        failure.request_id = root["id"].string();
    }
    if (failure.message.empty())
        failure.message = body.empty() ? "the supplier gave no reason" : excerpt(body, 200);
    failure.kind = kind_of(status, failure.message);
    failure.retry_after = retry_after_seconds(headers);
    return failure;
}

std::string encode_failure(const canon::Failure& failure) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    if (!failure.request_id.empty()) writer.member("id", failure.request_id);
    writer.member("message", failure.message).end_object();
    return out;
}

}  // namespace entrepot::dialect::cohere
