#include "dialect/anthropic_messages/failure.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "dialect/google_error.h"
#include "dialect/overflow.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::FailureKind;

struct ErrorType {
    std::string_view name;
    int status;
    FailureKind kind;
};

constexpr std::array<ErrorType, 11> kErrorTypes{{
    {"invalid_request_error", 400, FailureKind::kInvalidRequest},
    {"authentication_error", 401, FailureKind::kAuthentication},
    {"billing_error", 402, FailureKind::kBilling},
    {"permission_error", 403, FailureKind::kPermission},
    {"not_found_error", 404, FailureKind::kNotFound},
    {"conflict_error", 409, FailureKind::kConflict},
    {"request_too_large", 413, FailureKind::kTooLarge},
    {"rate_limit_error", 429, FailureKind::kRateLimited},
    {"api_error", 500, FailureKind::kServer},
    {"timeout_error", 504, FailureKind::kTimeout},
    {"overloaded_error", 529, FailureKind::kOverloaded},
}};

const ErrorType* find_type(std::string_view name) {
    for (const ErrorType& type : kErrorTypes) {
        if (type.name == name) return &type;
    }
    return nullptr;
}

std::string_view type_of_kind(FailureKind kind) {
    switch (kind) {
        case FailureKind::kInvalidRequest:
        case FailureKind::kContextExceeded:
        case FailureKind::kContentFilter:
        case FailureKind::kUnsupported: return "invalid_request_error";
        case FailureKind::kAuthentication: return "authentication_error";
        case FailureKind::kBilling: return "billing_error";
        case FailureKind::kPermission: return "permission_error";
        case FailureKind::kNotFound: return "not_found_error";
        case FailureKind::kTooLarge: return "request_too_large";
        case FailureKind::kRateLimited:
        case FailureKind::kQuotaExhausted: return "rate_limit_error";
        case FailureKind::kOverloaded: return "overloaded_error";
        case FailureKind::kTimeout: return "timeout_error";
        case FailureKind::kServer: return "api_error";
        case FailureKind::kConflict: return "conflict_error";
    }
    return "api_error";
}

// Two things that the supplier files under invalid_request_error and that are not the client's
// malformed request: a prompt beyond the window, and our own account without credit.
FailureKind refine(FailureKind kind, std::string_view message) {
    const bool is_broke = kind == FailureKind::kInvalidRequest &&
        to_lower(message).find("credit balance is too low") != std::string::npos;
    return is_broke ? FailureKind::kBilling : refined_by_words(kind, message);
}

std::string_view header(std::span<const Header> headers, std::string_view name) {
    for (const Header& h : headers) {
        if (h.name == name) return h.value;
    }
    return {};
}

// Whole or decimal seconds; a date needs a clock, which this layer does not have.
std::optional<std::chrono::milliseconds> retry_after(std::string_view text) {
    text = trim(text);
    constexpr std::int64_t kSecondsMax = 86400;
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error != std::errc{} || whole < 0 || whole > kSecondsMax) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::int64_t ms = whole * 1000;
    if (!text.empty()) {
        if (text.front() != '.') return std::nullopt;
        std::int64_t scale = 100;
        for (const char c : text.substr(1)) {
            if (c < '0' || c > '9') return std::nullopt;
            ms += (c - '0') * scale;
            scale /= 10;
        }
    }
    return std::chrono::milliseconds(ms);
}

}  // namespace

canon::Failure failure_of(const json::Value& body, int status) {
    canon::Failure failure;
    const json::Value& error = body["error"];
    const ErrorType* type = find_type(error["type"].string());
    failure.status = status != 0 ? status : type != nullptr ? type->status : 500;
    failure.kind = type != nullptr ? type->kind : canon::kind_of_status(failure.status);
    failure.code = std::string(error["type"].string());
    failure.message = std::string(error["message"].string());
    if (failure.message.empty()) failure.message = std::string(error.string());
    if (failure.message.empty()) failure.message = std::string(body["message"].string());
    failure.kind = refine(failure.kind, failure.message);
    failure.request_id = std::string(body["request_id"].string());
    return failure;
}

canon::Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    canon::Failure failure;
    const auto document = json::Document::parse(std::string(body));
    if (auto googles = document ? google::failure_in(document->root(), status) : std::nullopt) {
        failure = *std::move(googles);  // its gate before these models
    } else if (document && document->root().is_object()) {
        failure = failure_of(document->root(), status);
    } else {
        failure.status = status;
        failure.kind = canon::kind_of_status(status);
        failure.message = excerpt(trim(body), 200);
    }
    if (failure.message.empty()) {
        failure.message = fmt::format("the supplier answered {} without a message", status);
    }
    if (const auto id = header(headers, "request-id"); !id.empty()) failure.request_id = id;
    if (const auto stated = retry_after(header(headers, "retry-after")))
        failure.retry_after = stated;
    return failure;
}

// Coding agents read both counts out of these words and shorten their history by the difference.
void adopt_failure(canon::Failure& failure) {
    if (failure.kind == FailureKind::kOverloaded) failure.status = 529;
    if (failure.kind != FailureKind::kContextExceeded) return;
    failure.param.clear();
    if (failure.message.starts_with("prompt is too long")) return;
    if (const auto counts = overflow_in(failure.message))
        failure.message = fmt::format("prompt is too long: {} tokens > {} maximum",
            counts->prompt_tokens, counts->tokens_max);
    else
        failure.message = "prompt is too long: " + failure.message;
}

std::vector<Header> failure_headers(const canon::Failure& failure) {
    if (failure.request_id.empty()) return {};
    return {{"request-id", failure.request_id}};
}

std::string encode_failure(const canon::Failure& failure) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    writer.member("type", "error");
    writer.key("error").begin_object();
    writer.member("type", type_of_kind(failure.kind));
    std::string message = failure.message;
    // This dialect has no place for the field at fault but its message.
    if (!failure.param.empty() && message.find(failure.param) == std::string::npos) {
        message = failure.param + ": " + message;
    }
    writer.member("message", message);
    writer.end_object();
    if (!failure.request_id.empty()) writer.member("request_id", failure.request_id);
    writer.end_object();
    return out;
}

}  // namespace entrepot::dialect::anthropic_messages
