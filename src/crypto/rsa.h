#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "crypto/hash.h"

namespace entrepot::crypto {

class RsaPublicKey;

/// A private key that signs: RSA, PKCS#1 v1.5 with SHA-256 (`RS256`, `rsa-sha256`). Copies share
/// the key; any thread may use it.
class RsaPrivateKey {
public:
    static constexpr int kBitsMin = 2048;
    static constexpr int kBitsMax = 8192;  ///< a signature's time grows with the cube

    /// From PEM, PKCS#8 or PKCS#1; encrypted where `passphrase` is not empty, though it need not
    /// be. Errors: kBadConfiguration; the message tells what is wrong with it and nothing of its
    /// content.
    [[nodiscard]] static Result<RsaPrivateKey> parse(
        std::string_view pem, std::string_view passphrase = {});
    /// A new one, for simulated clouds and tests. Takes a tenth of a second or more.
    [[nodiscard]] static RsaPrivateKey generate(int bits = kBitsMin);

    /// The signature's bytes. About a millisecond for 2048 bits: not on an event loop.
    [[nodiscard]] std::string sign_sha256(std::string_view bytes) const;
    [[nodiscard]] RsaPublicKey public_key() const;
    /// PKCS#8 PEM.
    [[nodiscard]] Secret to_pem() const;

private:
    explicit RsaPrivateKey(std::shared_ptr<void> key) : key_(std::move(key)) {}
    friend std::string self_signed_certificate(const RsaPrivateKey& key, std::string_view name);
    std::shared_ptr<void> key_;  // EVP_PKEY
};

/// The other half, which checks what was signed.
class RsaPublicKey {
public:
    [[nodiscard]] bool verify_sha256(std::string_view bytes, std::string_view signature) const;
    /// SubjectPublicKeyInfo. Errors of `parse_der`: kInvalidField.
    [[nodiscard]] std::string to_der() const;
    [[nodiscard]] static Result<RsaPublicKey> parse_der(std::string_view der);
    /// MD5 of its DER form as 16 pairs of hex digits with colons: the name that Oracle gives a key.
    [[nodiscard]] std::string md5_fingerprint() const;
    friend bool operator==(const RsaPublicKey& a, const RsaPublicKey& b);

private:
    friend class RsaPrivateKey;
    friend class Certificate;
    explicit RsaPublicKey(std::shared_ptr<void> key) : key_(std::move(key)) {}
    std::shared_ptr<void> key_;
};

/// An X.509 certificate, as far as naming it goes.
class Certificate {
public:
    /// The first certificate of a PEM text. Errors: kBadConfiguration, also for one whose key is
    /// not RSA.
    [[nodiscard]] static Result<Certificate> parse(std::string_view pem);
    /// SHA-256 of its DER form: what `x5t#S256` carries.
    [[nodiscard]] const Sha256& sha256() const { return sha256_; }
    [[nodiscard]] const RsaPublicKey& public_key() const { return public_key_; }
    /// SHA-1 of its DER form as 20 pairs of capital hex digits with colons: Oracle's name for it.
    [[nodiscard]] const std::string& sha1_fingerprint() const { return sha1_fingerprint_; }
    /// What its subject's attributes say, whatever they are called, in UTF-8.
    [[nodiscard]] const std::vector<std::string>& subject() const { return subject_; }
    [[nodiscard]] const std::string& to_der() const { return der_; }

private:
    Certificate(const Sha256& digest, RsaPublicKey key)
        : sha256_(digest), public_key_(std::move(key)) {}
    Sha256 sha256_;
    RsaPublicKey public_key_;
    std::string sha1_fingerprint_, der_;
    std::vector<std::string> subject_;
};

/// PEM of a certificate for `key`, signed by itself and valid for a year: for simulated clouds and
/// tests.
[[nodiscard]] std::string self_signed_certificate(const RsaPrivateKey& key, std::string_view name);

}  // namespace entrepot::crypto
