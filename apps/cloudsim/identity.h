#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "crypto/rsa.h"
#include "net/message.h"
#include "net/server.h"

namespace entrepot::cloudsim {

struct Incoming;
struct Refusal;

enum class Issuer : std::uint8_t { kAws, kEntra, kGoogle };

/// Who issues the clouds' credentials: AWS STS, instance metadata and the container endpoint,
/// Entra's token endpoint and Azure's metadata, Google's token endpoint and metadata server. All on
/// one listener, because no two of their paths are alike. Written from the suppliers'
/// documentation.
class Identity {
public:
    Identity();
    ~Identity();
    Identity(const Identity&) = delete;
    Identity& operator=(const Identity&) = delete;

    /// Whether the request bears a token of that issuer which has not expired.
    [[nodiscard]] bool knows_bearer(const Incoming& incoming, Issuer issuer) const;

    struct Keys {
        std::string secret;
        std::string session_token;
        Instant expires;
    };
    /// The keys that were issued under that id; null when none were.
    [[nodiscard]] const Keys* find_keys(std::string_view access_key_id) const;

    /// The public half of Oracle's key of that id; null when there is none, or its session is over.
    [[nodiscard]] const crypto::RsaPublicKey* find_oci_key(
        std::string_view key_id, Instant now) const;

    /// One request to the listener; the answer, whatever it says, is a Refusal's shape.
    [[nodiscard]] Refusal answer(const Incoming& incoming);

    /// What a client needs to be issued something, keys included, and how often each endpoint was
    /// asked. Makes the keys, which takes a moment.
    [[nodiscard]] std::string to_json();
    /// `{"lifetime_s":N,"status":N}`: how long what is issued lives (3600), and a status that every
    /// endpoint answers instead of issuing (0: none). What is left out is default. Errors:
    /// kInvalidField.
    [[nodiscard]] Status control(std::string body);

    void set_endpoint(std::string endpoint) { endpoint_ = std::move(endpoint); }
    [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

private:
    struct Material;
    struct Token {
        Issuer issuer;
        Instant expires;
    };
    [[nodiscard]] Material& material();
    [[nodiscard]] std::string issue_token(Issuer issuer, std::string_view prefix, Instant now);
    [[nodiscard]] std::string issue_keys(Instant now);
    [[nodiscard]] Instant end(Instant now) const { return now + seconds(lifetime_s_); }

    [[nodiscard]] Refusal sts(const Incoming& incoming);
    [[nodiscard]] Refusal instance(const Incoming& incoming);
    [[nodiscard]] Refusal container(const Incoming& incoming);
    [[nodiscard]] Refusal entra(const Incoming& incoming);
    [[nodiscard]] Refusal managed_identity(const Incoming& incoming);
    [[nodiscard]] Refusal google(const Incoming& incoming);
    [[nodiscard]] Refusal google_metadata(const Incoming& incoming);
    [[nodiscard]] Refusal oci_metadata(const Incoming& incoming);
    [[nodiscard]] Refusal oci_federation(const Incoming& incoming);

    std::string endpoint_;
    std::int64_t lifetime_s_ = 3600;
    std::int64_t status_ = 0;
    std::uint64_t serial_ = 0;
    std::map<std::string, Token, std::less<>> tokens_;
    std::map<std::string, Keys, std::less<>> keys_;
    struct OciSession {
        crypto::RsaPublicKey key;
        Instant expires;
    };
    std::map<std::string, OciSession, std::less<>> oci_sessions_;  // by token
    std::map<std::string, std::int64_t, std::less<>> asked_;  // by endpoint, answered or refused
    std::unique_ptr<Material> material_;
    Instant oci_session_end_;
};

}  // namespace entrepot::cloudsim
