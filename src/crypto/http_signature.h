#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

// HTTP signatures after Cavage's draft, in Oracle's version 1: RSA with SHA-256 over the date, the
// request line, the host and, where there is one, the body. Both ways: requests to Oracle are
// signed, requests to our simulated Oracle are checked.
namespace entrepot::crypto::http_signature {

/// How far a request's clock may be from the verifier's.
inline constexpr seconds kClockSkewMax{300};

/// What a signature covers, each as it goes over the wire.
struct Request {
    std::string_view method;
    std::string_view target;  ///< path and query
    std::string_view host;    ///< empty: not covered, as where tokens of instances are made
    std::string_view date;    ///< to_http_date
    /// With a body; without these the body is not covered, as for GET and DELETE.
    std::string_view content_type;
    std::size_t content_bytes = 0;
    std::string_view content_sha256;  ///< base64
};

/// base64 of the body's SHA-256: `x-content-sha256`.
[[nodiscard]] std::string content_sha256(std::string_view body);

/// The text to sign.
[[nodiscard]] std::string signing_string(const Request& request);

/// The names of what it covers, in their order.
[[nodiscard]] std::string covered(const Request& request);

/// The header `authorization` of a request, around the signature of its signing string.
[[nodiscard]] std::string authorization(
    std::string_view key_id, std::string_view signature, std::string_view names);

/// What such a header claims.
struct Claim {
    std::string key_id;
    std::vector<std::string> headers;  ///< lower case, in their order
    std::string signature;             ///< its bytes
};
/// Errors: kUnauthenticated when it has another form, algorithm or version.
[[nodiscard]] Result<Claim> parse_authorization(std::string_view header);

/// The text that a claim's signature has to be of. `header_of` gives a header's value by its name
/// in lower case. Errors: kUnauthenticated: a header is listed and not there, or one that has to be
/// signed is not: `date` (or `x-date`), `(request-target)`, `host`, with a body what states it.
[[nodiscard]] Result<std::string> claimed_string(const Claim& claim, std::string_view method,
    std::string_view target, bool has_body,
    const std::function<std::optional<std::string_view>(std::string_view)>& header_of);

}  // namespace entrepot::crypto::http_signature
