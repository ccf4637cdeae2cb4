#include "crypto/jwt.h"

#include "base/text.h"

namespace entrepot::crypto {

std::string base64url_encode(std::string_view bytes) {
    std::string text = base64_encode(bytes);
    while (text.ends_with('=')) text.pop_back();
    for (char& c : text) {
        if (c == '+') c = '-';
        if (c == '/') c = '_';
    }
    return text;
}

bool base64url_decode(std::string_view text, std::string& out) {
    std::string standard(text);
    for (char& c : standard) {
        if (c == '+' || c == '/' || c == '=') return false;
        if (c == '-') c = '+';
        if (c == '_') c = '/';
    }
    standard.append((4 - standard.size() % 4) % 4, '=');
    // What is encoded again must be what was there: leftover bits would make two texts of one
    // value.
    return base64_decode(standard, out) && base64url_encode(out) == text;
}

std::string sign_jwt(
    std::string_view header_json, std::string_view claims_json, const RsaPrivateKey& key) {
    std::string token = base64url_encode(header_json);
    token += '.';
    token += base64url_encode(claims_json);
    const std::string signature = key.sign_sha256(token);
    token += '.';
    token += base64url_encode(signature);
    return token;
}

bool parse_jwt(std::string_view token, Jwt& out) {
    const std::size_t first = token.find('.');
    if (first == std::string_view::npos) return false;
    const std::size_t second = token.find('.', first + 1);
    if (second == std::string_view::npos) return false;
    out.signed_text = token.substr(0, second);
    return base64url_decode(token.substr(0, first), out.header_json) &&
        base64url_decode(token.substr(first + 1, second - first - 1), out.claims_json) &&
        base64url_decode(token.substr(second + 1), out.signature);
}

}  // namespace entrepot::crypto
