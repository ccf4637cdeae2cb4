// Oracle: API signing keys, of the configuration or of a profile, and sessions.
#include <fmt/format.h>

#include "base/text.h"
#include "config/oci_profile.h"
#include "crypto/jwt.h"
#include "json/value.h"
#include "upstream/credentials/sources.h"

namespace entrepot::upstream {
namespace {

constexpr seconds kLookAgain{60};

/// A key of the configuration itself: it is there already.
class SigningKeySource final : public CredentialSource {
public:
    SigningKeySource(Credential credential, std::string identity)
        : CredentialSource(std::move(identity)), credential_(std::move(credential)) {}

    Task<Credential> fetch(Fetch&) const override { co_return credential_; }

private:
    Credential credential_;
};

/// When a session's token ends. Errors: kBadConfiguration.
Result<Instant> end_of_session(std::string_view token) {
    crypto::Jwt jwt;
    if (crypto::parse_jwt(token, jwt)) {
        if (const auto claims = json::Document::parse(std::move(jwt.claims_json))) {
            const auto end = claims->root()["exp"].as_int();
            constexpr std::int64_t kSecondsMax = 9'000'000'000;  // what nanoseconds can hold
            if (end && *end > 0 && *end < kSecondsMax) return Instant{*end * 1'000'000'000};
        }
    }
    return fail(
        ErrorCode::kBadConfiguration, "the session's token is no signed token with an end ('exp')");
}

/// `~/.oci/config`, which Oracle's tools write anew when a session is opened or refreshed.
class OciProfileSource final : public CredentialSource {
public:
    OciProfileSource(const config::CredentialSettings& settings, std::string identity)
        : CredentialSource(std::move(identity)), settings_(settings) {}

    Task<Credential> fetch(Fetch& with) const override {
        ENTREPOT_CO_TRY(const std::string text, co_await with.read_file(settings_.config_file));
        ENTREPOT_CO_TRY(
            const config::OciProfile profile, config::parse_oci_profile(text, settings_.profile));
        std::string key_file = config::expand_home(profile.key_file, settings_.home);
        ENTREPOT_CO_TRY(const std::string pem, co_await with.read_file(std::move(key_file)));
        Credential credential;
        ENTREPOT_CO_TRY(credential.signing_key,
            crypto::RsaPrivateKey::parse(pem, profile.pass_phrase.reveal()));
        if (profile.security_token_file.empty()) {
            credential.key_id = profile.key_id();
            co_return credential;
        }
        std::string token_file = config::expand_home(profile.security_token_file, settings_.home);
        ENTREPOT_CO_TRY(const std::string token, co_await with.read_file(std::move(token_file)));
        with.guard(token);
        ENTREPOT_CO_TRY(credential.expires, end_of_session(token));
        if (!credential.is_live(with.wall()))
            co_return fail(ErrorCode::kUpstreamAuth,
                fmt::format("the session's token expired at {}; `oci session authenticate` opens "
                            "another",
                    to_rfc3339(credential.expires)));
        credential.key_id = "ST$" + token;
        co_return credential;
    }
    std::optional<nanoseconds> look_again() const override { return kLookAgain; }

private:
    config::CredentialSettings settings_;
};

}  // namespace

Result<std::shared_ptr<const CredentialSource>> make_oci_source(
    const config::CloudSettings& cloud, std::string identity) {
    const config::CredentialSettings& settings = cloud.credentials;
    if (settings.from == config::CredentialsFrom::kProfile)
        return std::make_shared<OciProfileSource>(settings, std::move(identity));
    Credential credential;
    ENTREPOT_TRY(credential.signing_key,
        crypto::RsaPrivateKey::parse(settings.private_key.reveal(), settings.pass_phrase.reveal()));
    credential.key_id =
        fmt::format("{}/{}/{}", settings.tenancy, settings.user, settings.fingerprint);
    return std::make_shared<SigningKeySource>(std::move(credential), std::move(identity));
}

}  // namespace entrepot::upstream
