#include "crypto/http_signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "crypto/hash.h"

namespace entrepot::crypto::http_signature {
namespace {

std::unexpected<Error> refuse(std::string why) {
    return fail(ErrorCode::kUnauthenticated, std::move(why));
}

/// One `name="value"` of a list with commas; false at its end or where it is malformed.
bool next_parameter(std::string_view& rest, std::string_view& name, std::string_view& value) {
    rest = trim(rest);
    const std::size_t equals = rest.find("=\"");
    if (equals == std::string_view::npos) return false;
    const std::size_t close = rest.find('"', equals + 2);
    if (close == std::string_view::npos) return false;
    name = trim(rest.substr(0, equals));
    value = rest.substr(equals + 2, close - equals - 2);
    rest = trim(rest.substr(close + 1));
    if (rest.starts_with(',')) rest.remove_prefix(1);
    return true;
}

}  // namespace

std::string content_sha256(std::string_view body) { return base64_encode(view(sha256(body))); }

std::string signing_string(const Request& request) {
    std::string text = fmt::format("date: {}\n(request-target): {} {}", request.date,
        to_lower(request.method), request.target);
    if (!request.host.empty()) text += fmt::format("\nhost: {}", request.host);
    if (!request.content_sha256.empty())
        text += fmt::format("\ncontent-length: {}\ncontent-type: {}\nx-content-sha256: {}",
            request.content_bytes, request.content_type, request.content_sha256);
    return text;
}

std::string covered(const Request& request) {
    std::string names = "date (request-target)";
    if (!request.host.empty()) names += " host";
    if (!request.content_sha256.empty()) names += " content-length content-type x-content-sha256";
    return names;
}

std::string authorization(
    std::string_view key_id, std::string_view signature, std::string_view names) {
    return fmt::format(
        R"(Signature algorithm="rsa-sha256",headers="{}",keyId="{}",signature="{}",version="1")",
        names, key_id, base64_encode(signature));
}

Result<Claim> parse_authorization(std::string_view header) {
    constexpr std::string_view kScheme = "signature ";
    if (!equals_ignoring_case(header.substr(0, kScheme.size()), kScheme))
        return refuse("the authorization is no signature");
    std::string_view rest = header.substr(kScheme.size());
    Claim claim;
    std::string_view name, value, algorithm, version;
    while (next_parameter(rest, name, value)) {
        if (name == "keyId") claim.key_id = value;
        if (name == "algorithm") algorithm = value;
        if (name == "version") version = value;
        if (name == "headers")
            for (const std::string_view word : split(value, ' '))
                claim.headers.push_back(to_lower(word));
        if (name == "signature" && !base64_decode(value, claim.signature))
            return refuse("the signature is not base64");
    }
    if (!rest.empty()) return refuse("the authorization is malformed");
    if (algorithm != "rsa-sha256")
        return refuse(fmt::format("the algorithm is '{}'", excerpt(algorithm)));
    if (version != "1") return refuse(fmt::format("the version is '{}'", excerpt(version)));
    if (claim.key_id.empty() || claim.headers.empty() || claim.signature.empty())
        return refuse("the authorization lacks keyId, headers or signature");
    return claim;
}

Result<std::string> claimed_string(const Claim& claim, std::string_view method,
    std::string_view target, bool has_body,
    const std::function<std::optional<std::string_view>(std::string_view)>& header_of) {
    const auto is_signed = [&](std::string_view name) {
        return std::ranges::find(claim.headers, name) != claim.headers.end();
    };
    if (!is_signed("date") && !is_signed("x-date")) return refuse("no date is signed");
    for (const std::string_view name : {"(request-target)", "host"})
        if (!is_signed(name)) return refuse(fmt::format("'{}' is not signed", name));
    if (has_body)
        for (const std::string_view name : {"content-length", "content-type", "x-content-sha256"})
            if (!is_signed(name)) return refuse(fmt::format("'{}' is not signed", name));
    std::string text;
    for (const std::string& name : claim.headers) {
        if (!text.empty()) text += '\n';
        if (name == "(request-target)") {
            text += fmt::format("{}: {} {}", name, to_lower(method), target);
            continue;
        }
        const auto value = header_of(name);
        if (!value) return refuse(fmt::format("'{}' is signed and not there", excerpt(name)));
        text += fmt::format("{}: {}", name, trim(*value));
    }
    return text;
}

}  // namespace entrepot::crypto::http_signature
