#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <zlib.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace entrepot::crypto {
namespace {

constexpr std::size_t kBlockBytes = 64;

// Looking an algorithm up by name costs more than hashing a short text, so it is done once.
const EVP_MD* algorithm() {
    static const EVP_MD* const sha = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
    ENTREPOT_CHECK(sha != nullptr);
    return sha;
}

EVP_MD_CTX* new_context() {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ENTREPOT_CHECK(context != nullptr);
    ENTREPOT_CHECK(EVP_DigestInit_ex2(context, algorithm(), nullptr) == 1);
    return context;
}

void update(void* context, std::string_view bytes) {
    ENTREPOT_CHECK(
        EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context), bytes.data(), bytes.size()) == 1);
}

}  // namespace

Sha256Stream::Sha256Stream() : context_(new_context()) {}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Stream::add(std::string_view bytes) { update(context_, bytes); }

Sha256 Sha256Stream::finish() {
    Sha256 digest;
    auto* context = static_cast<EVP_MD_CTX*>(context_);
    ENTREPOT_CHECK(EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
    ENTREPOT_CHECK(EVP_DigestInit_ex2(context, nullptr, nullptr) == 1);
    return digest;
}

std::string_view view(const Sha256& digest) {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Sha256 sha256(std::string_view bytes) {
    thread_local Sha256Stream stream;
    stream.add(bytes);
    return stream.finish();
}

Sha256 hmac_sha256(std::string_view key, std::string_view bytes) {
    Sha256 hashed_key;
    if (key.size() > kBlockBytes) {
        hashed_key = sha256(key);
        key = view(hashed_key);
    }
    std::array<char, kBlockBytes> pad;
    const auto pad_with = [&](unsigned char mask) {
        pad.fill(static_cast<char>(mask));
        for (std::size_t i = 0; i < key.size(); ++i) pad[i] = static_cast<char>(pad[i] ^ key[i]);
        return std::string_view(pad.data(), pad.size());
    };
    thread_local Sha256Stream stream;
    stream.add(pad_with(0x36));
    stream.add(bytes);
    const Sha256 inner = stream.finish();
    stream.add(pad_with(0x5c));
    stream.add(view(inner));
    OPENSSL_cleanse(pad.data(), pad.size());
    return stream.finish();
}

std::string hex(const Sha256& digest) { return hex_encode(view(digest)); }

bool constant_time_equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void random_bytes(std::span<std::uint8_t> out) {
    ENTREPOT_CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

std::uint32_t crc32(std::string_view bytes, std::uint32_t seed) {
    uLong value = seed;
    while (!bytes.empty()) {  // zlib counts in 32 bits
        const std::size_t n = std::min<std::size_t>(bytes.size(), 1U << 30);
        value = ::crc32(value, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(n));
        bytes.remove_prefix(n);
    }
    return static_cast<std::uint32_t>(value);
}

}  // namespace entrepot::crypto
