#include "dialect/openai_responses/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "dialect/overflow.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::Failure;
using canon::FailureKind;

FailureKind kind_of(
    int status, std::string_view code, std::string_view type, std::string_view message) {
    const auto says = [&](std::string_view word) { return code == word || type == word; };
    if (says("insufficient_quota") || says("billing_hard_limit_reached"))
        return FailureKind::kQuotaExhausted;
    if (says("content_filter") || says("content_policy_violation"))
        return FailureKind::kContentFilter;
    if (says("context_length_exceeded")) return FailureKind::kContextExceeded;
    if (says("model_not_found") || says("DeploymentNotFound")) return FailureKind::kNotFound;
    if (says("invalid_api_key") || says("authentication_error"))
        return FailureKind::kAuthentication;
    if (says("rate_limit_exceeded") || says("too_many_requests") || says("RateLimitReached"))
        return FailureKind::kRateLimited;
    if (says("server_is_overloaded") || says("slow_down") || says("overloaded"))
        return FailureKind::kOverloaded;
    if (says("invalid_request_error") || says("invalid_prompt"))
        return refined_by_words(
            status >= 500 ? FailureKind::kInvalidRequest : canon::kind_of_status(status), message);
    return refined_by_words(canon::kind_of_status(status), message);
}

/// The status of a failure that came under a 200.
int status_of(FailureKind kind) {
    switch (kind) {
        case FailureKind::kQuotaExhausted:
        case FailureKind::kRateLimited: return 429;
        case FailureKind::kAuthentication: return 401;
        case FailureKind::kNotFound: return 404;
        case FailureKind::kContentFilter:
        case FailureKind::kContextExceeded:
        case FailureKind::kInvalidRequest: return 400;
        case FailureKind::kOverloaded: return 503;
        default: return 502;
    }
}

std::optional<std::int64_t> number_in(std::string_view text) {
    std::int64_t value = 0;
    const auto [at, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || at != text.data() + text.size()) return std::nullopt;
    return value;
}

/// A text, or a number spelled out.
std::string text_of(const json::Value& value) {
    if (value.is_string()) return std::string(value.string());
    return value.is_number() ? std::string(value.raw()) : std::string();
}

std::string_view header_value(std::span<const Header> headers, std::string_view name) {
    for (const Header& header : headers)
        if (header.name == name) return header.value;
    return {};
}

std::optional<std::chrono::milliseconds> retry_after_of(std::span<const Header> headers) {
    // A day: a supplier that asks for longer is out of use anyway.
    constexpr std::int64_t kMsMax = 86'400'000;
    const auto millis = number_in(trim(header_value(headers, "retry-after-ms")));
    if (millis && *millis > 0) return std::chrono::milliseconds(std::min(*millis, kMsMax));
    const std::string_view seconds = trim(header_value(headers, "retry-after"));
    const auto whole = number_in(seconds.substr(0, seconds.find('.')));
    if (whole && *whole >= 0)
        return std::chrono::milliseconds(std::min(*whole, kMsMax / 1000) * 1000);
    return std::nullopt;
}

struct Shape {
    std::string_view type;
    std::string_view code;  // empty: null
};

Shape shape_of(FailureKind kind) {
    switch (kind) {
        case FailureKind::kInvalidRequest: return {"invalid_request_error", ""};
        case FailureKind::kAuthentication: return {"invalid_request_error", "invalid_api_key"};
        case FailureKind::kBilling:
        case FailureKind::kQuotaExhausted: return {"insufficient_quota", "insufficient_quota"};
        case FailureKind::kPermission: return {"invalid_request_error", "permission_denied"};
        case FailureKind::kNotFound: return {"invalid_request_error", "model_not_found"};
        case FailureKind::kTooLarge: return {"invalid_request_error", "request_too_large"};
        case FailureKind::kContextExceeded:
            return {"invalid_request_error", "context_length_exceeded"};
        case FailureKind::kContentFilter: return {"invalid_request_error", "content_filter"};
        case FailureKind::kRateLimited: return {"requests", "rate_limit_exceeded"};
        case FailureKind::kOverloaded: return {"server_error", "overloaded"};
        case FailureKind::kTimeout: return {"server_error", "timeout"};
        case FailureKind::kServer: return {"server_error", ""};
        case FailureKind::kUnsupported: return {"invalid_request_error", "unsupported_parameter"};
        case FailureKind::kConflict: return {"invalid_request_error", "conflict"};
    }
    return {"server_error", ""};
}

/// The code as it is where it is one of those that a failed response may have, which are few.
std::string_view request_code(std::string_view code) {
    const bool is_known = code.find("image") != code.npos || code.ends_with("_policy") ||
        code == "vector_store_timeout" || code == "data_residency_mismatch";
    return is_known ? code : "invalid_prompt";
}

}  // namespace

Failure failure_of(const json::Value& error, int status) {
    Failure failure;
    failure.code = text_of(error["code"]);
    failure.param = text_of(error["param"]);
    failure.message = error.is_string() ? std::string(error.string()) : text_of(error["message"]);
    if (failure.message.empty()) failure.message = "the supplier says no more than that it failed";
    const auto numeric = number_in(failure.code);
    if (numeric && *numeric >= 400 && *numeric < 600) {
        if (status < 400) status = static_cast<int>(*numeric);
        failure.code.clear();
    }
    // An event is of type `error`, which says nothing.
    const std::string type = error["type"].string() == "error" ? "" : text_of(error["type"]);
    const bool is_under_200 = status < 400;
    failure.kind = kind_of(is_under_200 ? 502 : status, failure.code, type, failure.message);
    if (is_under_200 && failure.code == "invalid_prompt")
        failure.kind = FailureKind::kInvalidRequest;
    failure.status = is_under_200 ? status_of(failure.kind) : status;
    if (failure.kind == FailureKind::kRateLimited) failure.status = 429;
    return failure;
}

Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    Failure failure;
    bool is_read = false;
    if (const auto document = json::Document::parse(std::string(body))) {
        const json::Value& root = document->root();
        const json::Value& error = root["error"];
        if (error.is_object()) {
            failure = failure_of(error, status);
            is_read = true;
        } else if (error.is_string()) {  // xAI: the words here, the code beside them
            failure = failure_of(error, status);
            failure.code = text_of(root["code"]);
            is_read = true;
        } else if (root["message"].is_string()) {
            failure = failure_of(root, status);
            is_read = true;
        } else if (root["detail"].is_string()) {
            failure = failure_of(root["detail"], status);
            is_read = true;
        }
    }
    if (!is_read) {
        const std::string_view text = trim(body);
        const bool is_plain = !text.empty() && text.front() != '<' && text.front() != '{';
        failure.status = status;
        failure.kind = canon::kind_of_status(status);
        failure.message = is_plain ? excerpt(text, 500)
                                   : fmt::format("the supplier answered with status {}", status);
    }
    failure.retry_after = retry_after_of(headers);
    for (const std::string_view name : {"x-request-id", "apim-request-id", "request-id"}) {
        failure.request_id = std::string(header_value(headers, name));
        if (!failure.request_id.empty()) break;
    }
    return failure;
}

std::string encode_failure(const Failure& failure) {
    const Shape shape = shape_of(failure.kind);
    const std::string_view code =
        failure.code.empty() || failure.kind == FailureKind::kContextExceeded
        ? shape.code
        : std::string_view(failure.code);
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("error").begin_object();
    writer.member("message", failure.message).member("type", shape.type);
    if (failure.param.empty())
        writer.member_null("param");
    else
        writer.member("param", failure.param);
    if (code.empty())
        writer.member_null("code");
    else
        writer.member("code", code);
    writer.end_object().end_object();
    return out;
}

// Agents look for the code, libraries for these words.
void adopt_failure(Failure& failure) {
    if (failure.kind != FailureKind::kContextExceeded) return;
    failure.param = "input";
    constexpr std::string_view kWords = "Your input exceeds the context window of this model.";
    if (failure.message.starts_with(kWords)) return;
    failure.message = fmt::format("{} {}", kWords, failure.message);
}

std::string_view response_error_code(const Failure& failure) {
    switch (failure.kind) {
        case FailureKind::kContextExceeded: return "context_length_exceeded";
        case FailureKind::kQuotaExhausted:
        case FailureKind::kBilling: return "insufficient_quota";
        case FailureKind::kRateLimited: return "rate_limit_exceeded";
        case FailureKind::kOverloaded:
        case FailureKind::kTimeout:
        case FailureKind::kServer: return "server_error";
        case FailureKind::kContentFilter: return "content_filter";
        case FailureKind::kInvalidRequest:
        case FailureKind::kTooLarge:
        case FailureKind::kUnsupported:
        case FailureKind::kNotFound: return request_code(failure.code);
        case FailureKind::kAuthentication:
        case FailureKind::kPermission:
        case FailureKind::kConflict: return "server_error";
    }
    return "server_error";
}

}  // namespace entrepot::dialect::openai_responses
