#pragma once

#include <string>
#include <string_view>

#include "crypto/rsa.h"

// JSON Web Tokens (RFC 7515, 7519) in the compact form, signed with RS256: what Google and
// Microsoft take in place of a password. The JSON itself is written by whoever makes the claims.
namespace entrepot::crypto {

/// Base64 with `-` and `_` and without padding.
[[nodiscard]] std::string base64url_encode(std::string_view bytes);
/// Strict: no padding, no white space, no bits left over; false on any error.
[[nodiscard]] bool base64url_decode(std::string_view text, std::string& out);

/// `header.claims.signature` of two JSON texts.
[[nodiscard]] std::string sign_jwt(
    std::string_view header_json, std::string_view claims_json, const RsaPrivateKey& key);

/// The parts of a token in the compact form; the signature is not checked yet.
struct Jwt {
    std::string header_json;
    std::string claims_json;
    std::string signed_text;  ///< what the signature covers
    std::string signature;
};
/// False when it has another form.
[[nodiscard]] bool parse_jwt(std::string_view token, Jwt& out);

}  // namespace entrepot::crypto
