#include "dialect/openai_chat/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "dialect/google_error.h"
#include "dialect/overflow.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_chat {
namespace {

using canon::Failure;
using canon::FailureKind;

/// What the supplier's own words refine in what the status says.
FailureKind kind_of(
    int status, std::string_view code, std::string_view type, std::string_view message) {
    const auto says = [&](std::string_view word) { return code == word || type == word; };
    if (says("insufficient_quota") || says("billing_hard_limit_reached"))
        return FailureKind::kQuotaExhausted;
    if (says("content_filter") || says("content_policy_violation"))
        return FailureKind::kContentFilter;
    if (says("context_length_exceeded") || says("exceed_context_size_error"))
        return FailureKind::kContextExceeded;
    if (says("model_not_found") || says("DeploymentNotFound")) return FailureKind::kNotFound;
    if (says("invalid_api_key") || says("authentication_error"))
        return FailureKind::kAuthentication;
    if (says("rate_limit_exceeded") || says("RateLimitReached") || says("too_many_requests"))
        return FailureKind::kRateLimited;
    if (says("overloaded_error") || says("server_overloaded")) return FailureKind::kOverloaded;
    return refined_by_words(canon::kind_of_status(status), message);
}

std::optional<std::int64_t> number_in(std::string_view text) {
    std::int64_t value = 0;
    const auto [at, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || at != text.data() + text.size()) return std::nullopt;
    return value;
}

/// A text, or a number spelled out (`error.code` of OpenRouter and llama.cpp).
std::string text_of(const json::Value& value) {
    if (value.is_string()) return std::string(value.string());
    return value.is_number() ? std::string(value.raw()) : std::string();
}

std::string message_of(const json::Value& value) {
    if (value.is_string()) return std::string(value.string());
    if (value.is_null()) return {};
    // FastAPI's list of problems: the first says enough.
    if (value.is_array() && !value.items().empty()) {
        const json::Value& first = value.items().front();
        if (first["msg"].is_string()) return std::string(first["msg"].string());
    }
    return excerpt(value.raw(), 500);
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
    // Some write fractions of seconds; a date is left to the caller, who knows the time.
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
        case FailureKind::kBilling: return {"insufficient_quota", "insufficient_quota"};
        case FailureKind::kPermission: return {"invalid_request_error", "permission_denied"};
        case FailureKind::kNotFound: return {"invalid_request_error", "model_not_found"};
        case FailureKind::kTooLarge: return {"invalid_request_error", "request_too_large"};
        case FailureKind::kContextExceeded:
            return {"invalid_request_error", "context_length_exceeded"};
        case FailureKind::kContentFilter: return {"invalid_request_error", "content_filter"};
        case FailureKind::kRateLimited: return {"requests", "rate_limit_exceeded"};
        case FailureKind::kQuotaExhausted: return {"insufficient_quota", "insufficient_quota"};
        case FailureKind::kOverloaded: return {"server_error", "overloaded"};
        case FailureKind::kTimeout: return {"server_error", "timeout"};
        case FailureKind::kServer: return {"server_error", ""};
        case FailureKind::kUnsupported: return {"invalid_request_error", "unsupported_parameter"};
        case FailureKind::kConflict: return {"invalid_request_error", "conflict"};
    }
    return {"server_error", ""};
}

}  // namespace

std::string_view finish_reason_word(canon::StopReason reason) {
    switch (reason) {
        case canon::StopReason::kLength:
        case canon::StopReason::kContextExceeded: return "length";
        case canon::StopReason::kToolCalls: return "tool_calls";
        case canon::StopReason::kContentFilter: return "content_filter";
        case canon::StopReason::kRefusal:  // its words stand in `refusal`
        case canon::StopReason::kStop:
        case canon::StopReason::kStopSequence:
        case canon::StopReason::kPause:
        case canon::StopReason::kMalformed:
        case canon::StopReason::kOther: return "stop";
    }
    return "stop";
}

canon::StopReason stop_reason_of(std::string_view word) {
    using canon::StopReason;
    if (word == "stop" || word == "eos" || word == "end_turn") return StopReason::kStop;
    if (word == "length" || word == "max_tokens") return StopReason::kLength;
    if (word == "tool_calls" || word == "function_call" || word == "tool_use")
        return StopReason::kToolCalls;
    if (word == "content_filter") return StopReason::kContentFilter;
    if (word == "stop_sequence") return StopReason::kStopSequence;
    if (word == "model_length") return StopReason::kContextExceeded;
    if (word == "refusal") return StopReason::kRefusal;
    return StopReason::kOther;
}

namespace {

/// `{"code":400,"message":...}` and nothing of an answer: an error that names its own status.
bool is_bare_error(const json::Value& body) {
    const auto code = body["code"].as_int();
    return code && *code >= 400 && *code < 600 && body["message"].is_string() &&
        body["choices"].is_null();
}

}  // namespace

std::optional<Failure> failure_in(const json::Value& body, int status) {
    if (!body.is_object()) return std::nullopt;
    const json::Value& error = body["error"];
    const bool is_flat = !error.is_object() &&
        (body["object"].string() == "error" || body["detail"].kind() != json::Kind::kNull ||
            (status >= 400 && body["message"].is_string()) || is_bare_error(body));
    if (error.is_null() && !is_flat) return std::nullopt;
    const json::Value& named = error.is_object() ? error : body;
    Failure failure;
    failure.code = text_of(named["code"]);
    failure.param = text_of(named["param"]);
    failure.message = message_of(named["message"]);
    if (failure.message.empty()) failure.message = message_of(error);
    if (failure.message.empty()) failure.message = message_of(body["detail"]);
    // A code that is a status says what the transport could not.
    const auto numeric = number_in(failure.code);
    if (numeric && *numeric >= 400 && *numeric < 600) {
        if (status < 400) status = static_cast<int>(*numeric);
        failure.code.clear();
    }
    const std::string type = text_of(named["type"]);
    if (status < 400) status = type == "invalid_request_error" ? 400 : 502;
    failure.status = status;
    failure.kind = kind_of(status, failure.code, type, failure.message);
    if (failure.kind == FailureKind::kRateLimited) failure.status = 429;
    return failure;
}

Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    std::optional<Failure> failure;
    if (auto document = json::Document::parse(std::string(body))) {
        failure = google::failure_in(document->root(), status);
        if (!failure) failure = failure_in(document->root(), status);
    }
    if (!failure) {
        failure.emplace();
        failure->status = status;
        failure->kind = canon::kind_of_status(status);
    }
    if (failure->message.empty()) {
        const std::string_view text = trim(body);
        const bool is_plain = !text.empty() && text.front() != '<' && text.front() != '{';
        failure->message = is_plain ? excerpt(text, 500)
                                    : fmt::format("the supplier answered with status {}", status);
    }
    if (const auto stated = retry_after_of(headers)) failure->retry_after = stated;
    for (const std::string_view name : {"x-request-id", "apim-request-id", "request-id"}) {
        const std::string_view id = header_value(headers, name);
        if (id.empty()) continue;
        failure->request_id = id;
        break;
    }
    return *std::move(failure);
}

// The code is what clients look for; some take these words for it.
void adopt_failure(Failure& failure) {
    if (failure.kind != FailureKind::kContextExceeded) return;
    failure.param = "messages";
    if (to_lower(failure.message).find("maximum context length") != std::string::npos) return;
    if (const auto counts = overflow_in(failure.message))
        failure.message = fmt::format(
            "This model's maximum context length is {} tokens. However, your messages resulted in "
            "{} tokens. Please reduce the length of the messages.",
            counts->tokens_max, counts->prompt_tokens);
    else
        failure.message = "This model's maximum context length is exceeded: " + failure.message;
}

std::string encode_failure(const Failure& failure) {
    const Shape shape = shape_of(failure.kind);
    const bool is_known = failure.code.empty() || failure.kind == FailureKind::kContextExceeded;
    const std::string_view code = is_known ? shape.code : std::string_view(failure.code);
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

}  // namespace entrepot::dialect::openai_chat
