#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/hash.h"

// AWS Signature Version 4, both ways: requests to Bedrock are signed, requests of Bedrock clients
// (and of our own simulated cloud) are verified.
namespace entrepot::crypto::sigv4 {

struct Credentials {
    std::string access_key_id;
    Secret secret;
    Secret session_token;  ///< empty unless the credentials are temporary
};

/// A header as it goes over the wire; the name in any case.
struct HeaderView {
    std::string_view name;
    std::string_view value;
};

struct Header {
    std::string name;  ///< lower case
    std::string value;
};

/// What a signature covers. `path` and `query` are as sent (percent-encoded, without `?`); the
/// canonical form encodes each segment of the path once more, as every service but S3 wants it:
/// `v1%3A0` becomes `v1%253A0`, a raw `:` becomes `%3A`.
struct Request {
    std::string_view method;
    std::string_view path;
    std::string_view query;
    std::span<const HeaderView> headers;
    std::string_view body_sha256_hex;
};

/// The hex SHA-256 of no bytes.
inline constexpr std::string_view kEmptyBodySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How far a request's clock may be from ours.
inline constexpr seconds kClockSkewMax{300};

/// Signs for one set of credentials, region and service, keeping the day's derived key.
/// Thread rule: owned by one core.
class Signer {
public:
    Signer(Credentials credentials, std::string region, std::string service);

    /// The headers to add: `x-amz-date`, `x-amz-security-token` with temporary credentials,
    /// `authorization`. Every header of the request is signed, so give it `host` (required),
    /// `content-type` and `x-amz-*`, and nothing that a proxy may change.
    [[nodiscard]] std::vector<Header> sign(const Request& request, Instant now);

private:
    Credentials credentials_;
    std::string region_;
    std::string service_;
    std::string key_date_;
    Sha256 key_{};
};

/// What an `Authorization: AWS4-HMAC-SHA256 ...` header claims.
struct Claim {
    std::string access_key_id;
    std::string date;  ///< `20150830`
    std::string region;
    std::string service;
    std::vector<std::string> signed_headers;  ///< lower case, as listed
    std::string signature;                    ///< hex
};

/// Errors: kUnauthenticated when the header has another form.
[[nodiscard]] Result<Claim> parse_authorization(std::string_view header);

enum class Verdict : std::uint8_t {
    kValid,
    kHeaderMissing,  ///< `host` (over HTTP/2 `:authority`) or an `x-amz-*` header is not signed, or
                     ///< a signed header is not there
    kBadDate,        ///< no `x-amz-date`, or not of the day in the scope
    kClockSkew,      ///< signed more than five minutes ago or ahead
    kBodyMismatch,   ///< `x-amz-content-sha256` is not the body's
    kSignatureMismatch,
};
[[nodiscard]] std::string_view verdict_name(Verdict verdict);

/// Derived signing keys of the day, at most `entries_max`; when it is full it starts anew.
/// Thread rule: owned by one core.
class KeyCache {
public:
    explicit KeyCache(std::size_t entries_max = 4096) : entries_max_(entries_max) {}
    /// The key for the claim's scope under `secret`.
    [[nodiscard]] const Sha256& get(const Claim& claim, const Secret& secret);

private:
    struct Entry {
        Sha256 secret_digest;  // a rotated secret must not find the old key
        Sha256 key;
    };
    std::size_t entries_max_;
    std::unordered_map<std::string, Entry> entries_;
};

/// Checks a request that came in against the secret of the claimed key. `request.headers` are all
/// its headers, `request.body_sha256_hex` is computed from the body that came. Whether region and
/// service are the right ones is for the caller to decide.
[[nodiscard]] Verdict verify(
    const Claim& claim, const Secret& secret, const Request& request, Instant now, KeyCache& keys);

/// The canonical request, for tests and for explaining a mismatch. `signed_headers` sorted, lower
/// case.
[[nodiscard]] std::string canonical_request(
    const Request& request, std::span<const std::string> signed_headers);

}  // namespace entrepot::crypto::sigv4
