#include "crypto/rsa.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/text.h"

namespace entrepot::crypto {
namespace {

EVP_PKEY* raw(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }

std::shared_ptr<void> owned(EVP_PKEY* key) {
    return {key, [](void* held) { EVP_PKEY_free(static_cast<EVP_PKEY*>(held)); }};
}

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio reader_of(std::string_view text) {
    return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

std::string written(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

// A key behind a passphrase must not make OpenSSL ask for it on the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

int give_passphrase(char* into, int size, int, void* held) {
    const auto& passphrase = *static_cast<const std::string_view*>(held);
    if (passphrase.size() > static_cast<std::size_t>(size)) return 0;
    std::ranges::copy(passphrase, into);
    return static_cast<int>(passphrase.size());
}

/// `AB:CD:...`, of the bytes' digest.
std::string fingerprint_of(std::string_view bytes, const EVP_MD* how) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    ENTREPOT_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, how, nullptr) == 1);
    std::string text;
    for (unsigned i = 0; i < size; ++i)
        text += fmt::format("{}{:02X}", i > 0 ? ":" : "", digest[i]);
    return text;
}

std::vector<std::string> values_of(const X509_NAME* name) {
    std::vector<std::string> values;
    for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
        unsigned char* text = nullptr;
        const int bytes =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
        if (bytes < 0) continue;
        values.emplace_back(reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes));
        OPENSSL_free(text);
    }
    ERR_clear_error();
    return values;
}

using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

}  // namespace

Result<RsaPrivateKey> RsaPrivateKey::parse(std::string_view pem, std::string_view passphrase) {
    const bool is_encrypted =
        pem.find("-----BEGIN ENCRYPTED PRIVATE KEY") != std::string_view::npos ||
        pem.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
    if (is_encrypted && passphrase.empty())
        return fail(ErrorCode::kBadConfiguration,
            "the private key is encrypted; write it without a passphrase "
            "(openssl pkey -in KEY -out PLAIN)");
    const Bio bio = reader_of(pem);
    EVP_PKEY* read = is_encrypted
        ? PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, &passphrase)
        : PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
    ERR_clear_error();
    if (read == nullptr && is_encrypted)
        return fail(ErrorCode::kBadConfiguration, "the passphrase does not open the private key");
    if (read == nullptr)
        return fail(ErrorCode::kBadConfiguration,
            "it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
    std::shared_ptr<void> key = owned(read);
    if (EVP_PKEY_get_base_id(read) != EVP_PKEY_RSA)
        return fail(ErrorCode::kBadConfiguration, "the private key is not an RSA key");
    const int bits = EVP_PKEY_get_bits(read);
    if (bits < kBitsMin || bits > kBitsMax)
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("the RSA key has {} bits; it takes {} to {}", bits, kBitsMin, kBitsMax));
    return RsaPrivateKey(std::move(key));
}

RsaPrivateKey RsaPrivateKey::generate(int bits) {
    EVP_PKEY* made = EVP_RSA_gen(static_cast<unsigned>(bits));
    ENTREPOT_CHECK(made != nullptr);
    return RsaPrivateKey(owned(made));
}

std::string RsaPrivateKey::sign_sha256(std::string_view bytes) const {
    const Digest context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    ENTREPOT_CHECK(
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, raw(key_)) == 1);
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    std::size_t size = 0;
    ENTREPOT_CHECK(EVP_DigestSign(context.get(), nullptr, &size, data, bytes.size()) == 1);
    std::string signature(size, '\0');
    ENTREPOT_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                       &size, data, bytes.size()) == 1);
    signature.resize(size);
    return signature;
}

RsaPublicKey RsaPrivateKey::public_key() const { return RsaPublicKey(key_); }

Secret RsaPrivateKey::to_pem() const {
    const Bio bio(BIO_new(BIO_s_secmem()), &BIO_free);
    ENTREPOT_CHECK(
        PEM_write_bio_PrivateKey(bio.get(), raw(key_), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return Secret(written(bio.get()));
}

bool RsaPublicKey::verify_sha256(std::string_view bytes, std::string_view signature) const {
    const Digest context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    ENTREPOT_CHECK(
        EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, raw(key_)) == 1);
    const bool is_right =
        EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
            signature.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
            bytes.size()) == 1;
    ERR_clear_error();
    return is_right;
}

std::string RsaPublicKey::to_der() const {
    unsigned char* der = nullptr;
    const int der_bytes = i2d_PUBKEY(raw(key_), &der);
    ENTREPOT_CHECK(der_bytes > 0);
    std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(der_bytes));
    OPENSSL_free(der);
    return out;
}

Result<RsaPublicKey> RsaPublicKey::parse_der(std::string_view der) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    EVP_PKEY* read = d2i_PUBKEY(nullptr, &bytes, static_cast<long>(der.size()));
    ERR_clear_error();
    if (read == nullptr) return fail(ErrorCode::kInvalidField, "it is no public key in DER form");
    RsaPublicKey key(owned(read));
    if (EVP_PKEY_get_base_id(read) != EVP_PKEY_RSA)
        return fail(ErrorCode::kInvalidField, "the public key is not an RSA key");
    return key;
}

std::string RsaPublicKey::md5_fingerprint() const {
    return to_lower(fingerprint_of(to_der(), EVP_md5()));
}

bool operator==(const RsaPublicKey& a, const RsaPublicKey& b) {
    return EVP_PKEY_eq(raw(a.key_), raw(b.key_)) == 1;
}

Result<Certificate> Certificate::parse(std::string_view pem) {
    const Bio bio = reader_of(pem);
    const std::unique_ptr<X509, decltype(&X509_free)> read(
        PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr), &X509_free);
    ERR_clear_error();
    if (read == nullptr)
        return fail(ErrorCode::kBadConfiguration,
            "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    EVP_PKEY* key = X509_get_pubkey(read.get());
    ERR_clear_error();
    if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        return fail(ErrorCode::kBadConfiguration, "the certificate is not one of an RSA key");
    }
    Sha256 digest{};
    unsigned size = 0;
    const int digested = X509_digest(read.get(), EVP_sha256(), digest.data(), &size);
    ENTREPOT_CHECK(digested == 1 && size == digest.size());
    Certificate certificate(digest, RsaPublicKey(owned(key)));
    unsigned char* der = nullptr;
    const int der_bytes = i2d_X509(read.get(), &der);
    ENTREPOT_CHECK(der_bytes > 0);
    certificate.der_.assign(
        reinterpret_cast<const char*>(der), static_cast<std::size_t>(der_bytes));
    OPENSSL_free(der);
    certificate.sha1_fingerprint_ = fingerprint_of(certificate.der_, EVP_sha1());
    certificate.subject_ = values_of(X509_get_subject_name(read.get()));
    return certificate;
}

std::string self_signed_certificate(const RsaPrivateKey& key, std::string_view name) {
    const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), &X509_free);
    ENTREPOT_CHECK(made != nullptr);
    constexpr long kYearSeconds = 365L * 86'400;
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -86'400);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), kYearSeconds);
    X509_NAME* subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()), -1, 0);
    X509_set_issuer_name(made.get(), subject);
    X509_set_pubkey(made.get(), raw(key.key_));
    ENTREPOT_CHECK(X509_sign(made.get(), raw(key.key_), EVP_sha256()) > 0);
    const Bio bio(BIO_new(BIO_s_mem()), &BIO_free);
    ENTREPOT_CHECK(PEM_write_bio_X509(bio.get(), made.get()) == 1);
    return written(bio.get());
}

}  // namespace entrepot::crypto
