#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Failure;
using canon::FailureKind;
using json::Value;

struct Code {
    std::string_view name;  // of google.rpc.Code
    FailureKind kind;
    int status;
};
// For a kind or a status with several codes the first is written.
constexpr std::array kCodes{
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

constexpr std::string_view kTypes = "type.googleapis.com/google.rpc.";

bool says(std::string_view message, std::string_view words) {
    return to_lower(message).find(words) != std::string::npos;
}

/// `48s`, `48.939935699s`, `0.5`: seconds; nothing for what is none.
std::optional<std::chrono::milliseconds> seconds_of(std::string_view text) {
    double seconds = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const std::string_view rest(
        parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
    if (parsed.ec != std::errc() || (!rest.empty() && rest != "s")) return std::nullopt;
    if (!(seconds >= 0 && seconds < 1e9)) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

void read_detail(const Value& detail, Failure& failure) {
    std::string_view type = detail["@type"].string();
    if (type.starts_with(kTypes)) type.remove_prefix(kTypes.size());
    if (type == "RetryInfo") {
        if (const auto delay = seconds_of(get(detail, "retryDelay").string()))
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
        const std::span<const Value> violations = items_of(get(detail, "fieldViolations"));
        if (!violations.empty()) failure.param = violations.front()["field"].string();
    } else if (type == "QuotaFailure") {
        // What is spent for the day does not come back in a minute.
        for (const Value& violation : items_of(get(detail, "violations")))
            if (get(violation, "quotaId").string().find("PerDay") != std::string_view::npos)
                failure.kind = FailureKind::kQuotaExhausted;
    } else if (type == "RequestInfo") {
        failure.request_id = get(detail, "requestId").string();
    }
}

void read_message(Failure& failure) {
    const std::string_view message = failure.message;
    if (failure.kind == FailureKind::kInvalidRequest) {
        if (says(message, "exceeds the maximum number of tokens") ||
            says(message, "input context is too long") || says(message, "prompt is too long"))
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

const Code* code_of(std::string_view name) {
    const auto* found = std::ranges::find(kCodes, name, &Code::name);
    return found == kCodes.end() ? nullptr : found;
}

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

Failure failure_of(const Value& error, int status) {
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

Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    Failure failure;
    const auto parsed = json::Document::parse(std::string(body));
    // Where a stream as an array was asked for, the error stands in one.
    const Value* root = parsed ? &parsed->root() : nullptr;
    if (root != nullptr && root->is_array() && !root->items().empty()) root = &root->items()[0];
    if (root != nullptr && (*root)["error"].is_object()) {
        failure = failure_of((*root)["error"], status);
    } else {
        failure.status = status;
        failure.kind = canon::kind_of_status(status);
        if (root != nullptr && (*root)["error"].is_string())
            failure.message = (*root)["error"].string();
    }
    if (failure.message.empty())
        failure.message = body.empty() ? "the supplier gave no reason" : excerpt(body, 200);
    for (const Header& header : headers)
        if (equals_ignoring_case(header.name, "retry-after") && !failure.retry_after)
            failure.retry_after = seconds_of(trim(header.value));
    return failure;
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
