#include "auth/credential.h"

// The low-level functions: EVP allocates and looks the algorithm up on every call, which costs more
// than the hash.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace entrepot::auth {

Digest digest_of(std::string_view secret) {
    Digest digest;
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, secret.data(), secret.size());
    SHA256_Final(digest.data(), &context);
    return digest;
}

Result<Digest> parse_digest(std::string_view text) {
    constexpr std::string_view kPrefix = "sha256:";
    const auto bad = [] {
        return fail(ErrorCode::kInvalidField,
            "not a digest: write sha256: and 64 hex digits, as `printf %s SECRET | sha256sum` "
            "prints");
    };
    if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 64) return bad();
    text.remove_prefix(kPrefix.size());
    Digest digest{};
    for (std::size_t i = 0; i < 64; ++i) {
        const char c = text[i];
        int value = -1;
        if (c >= '0' && c <= '9') value = c - '0';
        if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
        if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
        if (value < 0) return bad();
        digest[i / 2] = static_cast<std::uint8_t>(digest[i / 2] << 4 | value);
    }
    return digest;
}

std::string to_string(const Digest& digest) {
    std::string bytes(digest.begin(), digest.end());
    return "sha256:" + hex_encode(bytes);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    // Without this the compiler may stop at the first difference.
    asm volatile("" : "+r"(difference));
    return difference == 0;
}

Secret new_secret() {
    std::string bytes(32, '\0');
    std::size_t filled = 0;
    while (filled < bytes.size()) {
        const auto got = getrandom(bytes.data() + filled, bytes.size() - filled, 0);
        ENTREPOT_CHECK(got > 0 || errno == EINTR);
        if (got > 0) filled += static_cast<std::size_t>(got);
    }
    std::string text = "ek-" + base64_encode(bytes);
    while (text.ends_with('=')) text.pop_back();
    for (char& c : text) {
        if (c == '+') c = '-';
        if (c == '/') c = '_';
    }
    return Secret(std::move(text));
}

namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The value of `key=` in a query string, percent-decoded into `scratch` when it has to be.
std::string_view key_of_query(std::string_view query, std::string& scratch) {
    for (const std::string_view part : split(query, '&')) {
        if (!part.starts_with("key=")) continue;
        const std::string_view value = part.substr(4);
        if (value.find('%') == std::string_view::npos) return value;
        scratch.clear();
        for (std::size_t i = 0; i < value.size(); ++i) {
            const int high = value[i] == '%' && i + 2 < value.size() ? hex_value(value[i + 1]) : -1;
            const int low = high >= 0 ? hex_value(value[i + 2]) : -1;
            if (low >= 0) {
                scratch += static_cast<char>(high << 4 | low);
                i += 2;
            } else {
                scratch += value[i];
            }
        }
        return scratch;
    }
    return {};
}

}  // namespace

Result<std::string_view> presented_secret(
    const PresentedCredentials& presented, std::string& scratch) {
    if (const std::string_view header = trim(presented.authorization); !header.empty()) {
        const auto space = header.find(' ');
        const std::string_view scheme = header.substr(0, space);
        if (equals_ignoring_case(scheme, "bearer")) {
            const std::string_view secret =
                space == std::string_view::npos ? std::string_view() : trim(header.substr(space));
            if (!secret.empty()) return secret;
            return fail(ErrorCode::kUnauthenticated,
                "The Authorization header holds no key. Send 'Authorization: Bearer <key>' with a "
                "key "
                "of this gateway.");
        }
        // Another scheme is refused only when no other place holds a key: proxies add Basic to
        // everything.
    }
    for (const std::string_view header :
        {presented.x_api_key, presented.api_key, presented.x_goog_api_key})
        if (const std::string_view secret = trim(header); !secret.empty()) return secret;
    if (const std::string_view secret = key_of_query(presented.query, scratch); !secret.empty())
        return secret;
    return fail(ErrorCode::kUnauthenticated,
        "No API key was sent. Send 'Authorization: Bearer <key>' (or x-api-key, api-key, "
        "x-goog-api-key, ?key=) with a key of this gateway.");
}

}  // namespace entrepot::auth
