#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "crypto/rsa.h"
#include "net/http_client.h"
#include "runtime/side_thread.h"
#include "upstream/credential.h"

namespace entrepot::upstream {

/// What a source may use while it fetches: the network, files and signatures, none of which holds
/// up the core. One per fetch.
class Fetch {
public:
    Fetch(Core& core, net::HttpClient& client, SideThread& side, Cancel* cancel)
        : core_(core), client_(client), side_(side), cancel_(cancel) {}

    struct Request {
        const net::Origin* origin = nullptr;
        std::string_view method = "GET";
        std::string target;
        net::HeaderLines headers;
        std::string body;
        std::string_view host;    ///< in place of the origin's when not empty
        std::string_view wanted;  ///< a header of the answer to be kept
    };
    struct Answer {
        int status = 0;
        std::string body;    ///< at most kBodyBytesMax
        std::string header;  ///< `wanted`; empty when it is not there
    };
    static constexpr std::size_t kBodyBytesMax = 64 * 1024;
    static constexpr std::size_t kFileBytesMax = 64 * 1024;

    /// Follows no redirect: a reply never says where credentials go. Errors: as
    /// HttpClient::exchange.
    [[nodiscard]] Task<Answer> send(Request request);
    /// A file's content without white space at its ends. Errors: kIo.
    [[nodiscard]] Task<std::string> read_file(std::string path);
    /// What would hold up the core, elsewhere. Errors: `work`'s own, kUpstreamOverloaded.
    [[nodiscard]] Task<std::string> compute(std::function<Result<std::string>()> work);
    /// Errors: kUpstreamOverloaded.
    [[nodiscard]] Task<std::string> sign_jwt(
        std::string header_json, std::string claims_json, crypto::RsaPrivateKey key);

    [[nodiscard]] Instant wall() const { return core_.wall(); }
    [[nodiscard]] Random& random() { return core_.random(); }

    /// Texts that no message may repeat, whatever an endpoint answers.
    void guard(std::string_view secret);
    [[nodiscard]] std::string without_secrets(std::string text) const;

private:
    Core& core_;
    net::HttpClient& client_;
    SideThread& side_;
    Cancel* cancel_;
    std::vector<Secret> guarded_;
};

/// Where one credential comes from. Immutable; fetched on one core, one fetch at a time.
class CredentialSource {
public:
    virtual ~CredentialSource() = default;
    /// A new credential, which is live. Errors: kUpstreamAuth (refused), kUpstreamUnreachable,
    /// kUpstreamTimeout, kUpstreamProtocol (what came is no credential), kIo, kBadConfiguration (a
    /// file of the platform); the message is for operators and holds no secret.
    [[nodiscard]] virtual Task<Credential> fetch(Fetch& with) const = 0;
    /// When to look again at what has no expiry and may change all the same; nothing: never.
    [[nodiscard]] virtual std::optional<nanoseconds> look_again() const { return std::nullopt; }
    /// Sources of one identity give the same credential; it names no secret.
    [[nodiscard]] const std::string& identity() const { return identity_; }

protected:
    explicit CredentialSource(std::string identity) : identity_(std::move(identity)) {}

private:
    std::string identity_;
};

/// The source that a cloud's settings name; null where its credentials are constants. Errors:
/// kBadConfiguration.
[[nodiscard]] Result<std::shared_ptr<const CredentialSource>> make_credential_source(
    const config::CloudSettings& cloud);

}  // namespace entrepot::upstream
