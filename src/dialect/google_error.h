#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "canon/reply.h"
#include "dialect/overflow.h"
#include "json/value.h"

// Google's errors (google.rpc.Status in JSON). Its gate stands before everything that it sells, so
// that suppliers of other dialects answer in them too: Claude and the open models at Vertex AI.
namespace entrepot::dialect::google {

using canon::Failure;
using canon::FailureKind;
using json::Value;

struct Code {
    std::string_view name;  // of google.rpc.Code
    FailureKind kind;
    int status;
};
// For a kind or a status with several codes the first is written.
inline constexpr std::array kCodes{
    Code{"INVALID_ARGUMENT", FailureKind::kInvalidRequest, 400},
    Code{"FAILED_PRECONDITION", FailureKind::kInvalidRequest, 400},
    Code{"OUT_OF_RANGE", FailureKind::kInvalidRequest, 400},
    Code{"UNAUTHENTICATED", FailureKind::kAuthentication, 401},
    Code{"PERMISSION_DENIED", FailureKind::kPermission, 403},
    Code{"NOT_FOUND", FailureKind::kNotFound, 404},
    Code{"ABORTED", FailureKind::kConflict, 409},
    Code{"ALREADY_EXISTS", FailureKind::kConflict, 409},
    Code{"RESOURCE_EXHAUSTED", FailureKind::kRateLimited, 429},
    Code{"CANCELLED", FailureKind::kTimeout, 499},
    Code{"INTERNAL", FailureKind::kServer, 500},
    Code{"UNKNOWN", FailureKind::kServer, 500},
    Code{"DATA_LOSS", FailureKind::kServer, 500},
    Code{"UNIMPLEMENTED", FailureKind::kUnsupported, 501},
    Code{"UNAVAILABLE", FailureKind::kOverloaded, 503},
    Code{"DEADLINE_EXCEEDED", FailureKind::kTimeout, 504},
};

inline constexpr std::string_view kTypes = "type.googleapis.com/google.rpc.";

inline bool says(std::string_view message, std::string_view words) {
    return to_lower(message).find(words) != std::string::npos;
}

/// `48s`, `48.939935699s`, `0.5`: seconds; nothing for what is none.
inline std::optional<std::chrono::milliseconds> seconds_of(std::string_view text) {
    double seconds = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const std::string_view rest(
        parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
    if (parsed.ec != std::errc() || (!rest.empty() && rest != "s")) return std::nullopt;
    if (!(seconds >= 0 && seconds < 1e9)) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

inline void read_detail(const Value& detail, Failure& failure) {
    std::string_view type = detail["@type"].string();
    if (type.starts_with(kTypes)) type.remove_prefix(kTypes.size());
    if (type == "RetryInfo") {
        if (const auto delay = seconds_of(detail["retryDelay"].string()))
            failure.retry_after = delay;
    } else if (type == "ErrorInfo") {
        const std::string_view reason = detail["reason"].string();
        if (reason.empty()) return;
        failure.code = reason;
        if (reason.starts_with("API_KEY_") || reason == "CREDENTIALS_MISSING" ||
            reason.starts_with("ACCESS_TOKEN_"))
            failure.kind = FailureKind::kAuthentication;
        else if (reason == "BILLING_DISABLED")
            failure.kind = FailureKind::kBilling;
        else if (reason == "SERVICE_DISABLED" || reason == "CONSUMER_INVALID")
            failure.kind = FailureKind::kPermission;
    } else if (type == "BadRequest") {
        const std::span<const Value> violations = detail["fieldViolations"].items();
        if (!violations.empty()) failure.param = violations.front()["field"].string();
    } else if (type == "QuotaFailure") {
        // What is spent for the day does not come back in a minute.
        for (const Value& violation : detail["violations"].items())
            if (violation["quotaId"].string().find("PerDay") != std::string_view::npos)
                failure.kind = FailureKind::kQuotaExhausted;
    } else if (type == "RequestInfo") {
        failure.request_id = detail["requestId"].string();
    }
}

inline void read_message(Failure& failure) {
    const std::string_view message = failure.message;
    if (failure.kind == FailureKind::kInvalidRequest) {
        if (says_overflow(message) || says(message, "input context is too long"))
            failure.kind = FailureKind::kContextExceeded;
        else if (says(message, "user location is not supported"))
            failure.kind = FailureKind::kPermission;
        else if (says(message, "enable billing"))
            failure.kind = FailureKind::kBilling;
        else if (says(message, "payload size exceeds"))
            failure.kind = FailureKind::kTooLarge;
    }
    constexpr std::string_view kRetry = "Please retry in ";
    if (const std::size_t at = message.find(kRetry);
        at != std::string_view::npos && !failure.retry_after) {
        std::string_view delay = message.substr(at + kRetry.size());
        delay = delay.substr(
            0, delay.find('s') == std::string_view::npos ? delay.size() : delay.find('s') + 1);
        failure.retry_after = seconds_of(delay);
    }
}

inline const Code* code_of(std::string_view name) {
    const auto* found = std::ranges::find(kCodes, name, &Code::name);
    return found == kCodes.end() ? nullptr : found;
}

/// The error object's content. `status` is HTTP's, 0 when there is none.
inline Failure failure_of(const Value& error, int status) {
    Failure failure;
    const std::string_view name = error["status"].string();
    const Code* code = code_of(name);
    const std::int64_t number = error["code"].as_int().value_or(0);
    failure.status = status != 0        ? status
        : number >= 400 && number < 600 ? static_cast<int>(number)
        : code != nullptr               ? code->status
                                        : 500;
    failure.kind = code != nullptr ? code->kind : canon::kind_of_status(failure.status);
    failure.code = name;
    failure.message = error["message"].string();
    for (const Value& detail : error["details"].items()) read_detail(detail, failure);
    read_message(failure);
    return failure;
}

/// The error object of a body: in a list where a stream was asked for. Null: the body has none.
inline const Value* error_in(const Value& body) {
    const Value& root = body.is_array() && !body.items().empty() ? body.items()[0] : body;
    return root["error"].is_object() ? &root["error"] : nullptr;
}

/// What Google says in that body; nothing when it is another's: it alone writes a number and a
/// word.
inline std::optional<Failure> failure_in(const Value& body, int status) {
    const Value* error = error_in(body);
    if (error == nullptr || !(*error)["code"].is_number() || !(*error)["status"].is_string())
        return std::nullopt;
    return failure_of(*error, status);
}

}  // namespace entrepot::dialect::google
