#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace entrepot::auth {

/// SHA-256 of a key's secret: all that the index and the books keep of it.
using Digest = std::array<std::uint8_t, 32>;

/// One compression for secrets of up to 55 bytes.
[[nodiscard]] Digest digest_of(std::string_view secret);

/// `sha256:` and 64 hex digits, as `printf %s SECRET | sha256sum` prints. Errors: kInvalidField.
[[nodiscard]] Result<Digest> parse_digest(std::string_view text);
[[nodiscard]] std::string to_string(const Digest& digest);

/// Takes the same time wherever the two differ; lengths may differ and are no secret.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

/// A new secret of 256 random bits: `ek-` and 43 URL-safe characters.
[[nodiscard]] Secret new_secret();

/// What a client signs with (AWS SigV4), issued by the gateway. The secret cannot be a digest: it
/// is needed to verify.
struct AccessKeyPair {
    std::string id;
    Secret secret;
};

/// The places where a client may put its key; empty when absent. The gateway fills it from the
/// parsed request.
struct PresentedCredentials {
    std::string_view authorization;  ///< the whole header value
    std::string_view x_api_key;
    std::string_view api_key;
    std::string_view x_goog_api_key;
    std::string_view query;  ///< the raw query string, without `?`
};

/// The secret that was presented: `Authorization: Bearer`, else `x-api-key`, `api-key`,
/// `x-goog-api-key`, else `key=` of the query. The view points into `presented`, or into `scratch`
/// when the query had to be decoded. Errors: kUnauthenticated (none, or empty, or a scheme that is
/// not Bearer). Signed requests are signed_request.h's.
[[nodiscard]] Result<std::string_view> presented_secret(
    const PresentedCredentials& presented, std::string& scratch);

}  // namespace entrepot::auth
