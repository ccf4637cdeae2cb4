#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_converse/parts.h"
#include "dialect/overflow.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Failure;
using canon::FailureKind;

struct Type {
    std::string_view name;  // as in x-amzn-errortype
    FailureKind kind;
    int status;
};
// For a kind with several types the first is written.
constexpr std::array kTypes{
    Type{"ValidationException", FailureKind::kInvalidRequest, 400},
    Type{"ThrottlingException", FailureKind::kRateLimited, 429},
    Type{"ServiceQuotaExceededException", FailureKind::kQuotaExhausted, 400},
    Type{"AccessDeniedException", FailureKind::kPermission, 403},
    Type{"UnrecognizedClientException", FailureKind::kAuthentication, 403},
    Type{"InvalidSignatureException", FailureKind::kAuthentication, 403},
    Type{"ExpiredTokenException", FailureKind::kAuthentication, 403},
    Type{"MissingAuthenticationTokenException", FailureKind::kAuthentication, 403},
    Type{"IncompleteSignatureException", FailureKind::kAuthentication, 403},
    Type{"ResourceNotFoundException", FailureKind::kNotFound, 404},
    Type{"UnknownOperationException", FailureKind::kNotFound, 404},
    Type{"ModelTimeoutException", FailureKind::kTimeout, 408},
    Type{"ConflictException", FailureKind::kConflict, 409},
    Type{"ModelErrorException", FailureKind::kServer, 424},
    Type{"ModelStreamErrorException", FailureKind::kServer, 424},
    Type{"ModelNotReadyException", FailureKind::kOverloaded, 429},
    Type{"InternalServerException", FailureKind::kServer, 500},
    Type{"ServiceUnavailableException", FailureKind::kOverloaded, 503},
};

/// `com.amazon.coral.service#UnknownOperationException:http://...` to its bare name.
std::string_view bare(std::string_view type) {
    type = type.substr(0, type.find(':'));
    if (const std::size_t hash = type.rfind('#'); hash != std::string_view::npos)
        type.remove_prefix(hash + 1);
    return trim(type);
}

}  // namespace

std::string_view error_type(FailureKind kind) {
    switch (kind) {
        case FailureKind::kServer: return "InternalServerException";
        case FailureKind::kOverloaded: return "ServiceUnavailableException";
        case FailureKind::kBilling: return "AccessDeniedException";
        case FailureKind::kTooLarge:
        case FailureKind::kContextExceeded:
        case FailureKind::kContentFilter:
        case FailureKind::kUnsupported: return "ValidationException";
        default: break;
    }
    const auto* found = std::ranges::find(kTypes, kind, &Type::kind);
    return found == kTypes.end() ? "InternalServerException" : found->name;
}

std::string_view error_type(const Failure& failure) {
    // AWS's own word, where it was AWS that spoke.
    const auto* own = std::ranges::find(kTypes, failure.code, &Type::name);
    return own != kTypes.end() ? own->name : error_type(failure.kind);
}

std::string exception_type(const Failure& failure) {
    // A stream's union has these five and no others.
    std::string_view name = "internalServerException";
    switch (failure.kind) {
        case FailureKind::kRateLimited:
        case FailureKind::kQuotaExhausted: name = "throttlingException"; break;
        case FailureKind::kOverloaded: name = "serviceUnavailableException"; break;
        case FailureKind::kServer:
            // The model's own failure is told apart from the service's.
            name = failure.code == "ModelStreamErrorException" ? "modelStreamErrorException"
                                                               : "internalServerException";
            break;
        case FailureKind::kTimeout: name = "modelStreamErrorException"; break;
        default: name = "validationException"; break;
    }
    return std::string(name);
}

Failure failure_of(std::string_view type, std::string_view message, int status) {
    const std::string_view name = bare(type);
    const auto* found = std::ranges::find_if(
        kTypes, [&](const Type& row) { return equals_ignoring_case(row.name, name); });
    Failure failure;
    failure.code = found != kTypes.end() ? found->name : name;  // frames begin in lower case
    failure.message = message;
    if (found != kTypes.end()) {
        failure.kind = found->kind;
        failure.status = status != 0 ? status : found->status;
    } else {
        failure.status = status != 0 ? status : 500;
        failure.kind = canon::kind_of_status(failure.status);
    }
    // A quota of ours that refills: to everybody but its own clients a limit of the rate.
    if (failure.kind == FailureKind::kQuotaExhausted) failure.kind = FailureKind::kRateLimited;
    failure.kind = refined_by_words(failure.kind, message);
    return failure;
}

Failure decode_failure(int status, std::span<const Header> headers, std::string_view body) {
    std::string_view type;
    std::string_view request_id;
    for (const Header& header : headers) {
        if (equals_ignoring_case(header.name, "x-amzn-errortype")) type = header.value;
        if (equals_ignoring_case(header.name, "x-amzn-requestid")) request_id = header.value;
    }
    std::string message;
    std::string body_type;
    if (const auto parsed = json::Document::parse(std::string(body)); parsed) {
        const json::Value& root = parsed->root();
        for (const std::string_view name : {"message", "Message"})
            if (message.empty()) message = root[name].string();
        for (const std::string_view name : {"__type", "code"})
            if (body_type.empty()) body_type = root[name].string();
    }
    if (type.empty()) type = body_type;
    if (message.empty())
        message = body.empty() ? "the supplier gave no reason" : excerpt(body, 200);
    Failure failure = failure_of(type, message, status);
    failure.request_id = request_id;
    return failure;
}

// AWS's clients know an error by its type, and repeat any answer of 429: an exhausted budget is
// none.
void adopt_failure(Failure& failure) {
    const std::string_view type = error_type(failure.kind);
    const auto* found = std::ranges::find(kTypes, type, &Type::name);
    if (found != kTypes.end()) failure.status = found->status;
    constexpr std::string_view kWords = "Input is too long for requested model.";
    if (failure.kind == FailureKind::kContextExceeded && !failure.message.starts_with(kWords))
        failure.message = fmt::format("{} {}", kWords, failure.message);
}

std::string encode_failure(const Failure& failure) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    writer.member("__type", error_type(failure));
    writer.member("message", failure.message);
    writer.end_object();
    return out;
}

}  // namespace entrepot::dialect::bedrock_converse
