// Oracle: API signing keys, of the configuration or of a profile, sessions, instances.
#include <fmt/format.h>

#include "base/text.h"
#include "config/oci_profile.h"
#include "crypto/hash.h"
#include "crypto/http_signature.h"
#include "crypto/jwt.h"
#include "json/value.h"
#include "json/writer.h"
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
        std::string key_file = config::file_of_profile(settings_, profile.key_file);
        ENTREPOT_CO_TRY(const std::string pem, co_await with.read_file(std::move(key_file)));
        Credential credential;
        ENTREPOT_CO_TRY(credential.signing_key,
            crypto::RsaPrivateKey::parse(pem, profile.pass_phrase.reveal()));
        if (profile.security_token_file.empty()) {
            credential.key_id = profile.key_id();
            co_return credential;
        }
        std::string token_file = config::file_of_profile(settings_, profile.security_token_file);
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

/// Whose instance a certificate is of. Errors: kUpstreamProtocol.
Result<std::string> tenancy_of(const crypto::Certificate& certificate) {
    for (const std::string_view prefix : {"opc-tenant:", "opc-identity:"})
        for (const std::string_view value : certificate.subject())
            if (value.starts_with(prefix)) return std::string(value.substr(prefix.size()));
    return fail(ErrorCode::kUpstreamProtocol, "the instance's certificate names no tenancy");
}

/// What an instance is asked for at Oracle's federation, and the key of the session to come.
struct SessionRequest {
    std::string date, digest, body, authorization;
    std::optional<crypto::RsaPrivateKey> key;
};

/// Takes a tenth of a second: a key is made. `target`: of the federation.
Result<SessionRequest> make_session_request(std::string_view certificate_pem,
    std::string_view key_pem, std::string_view intermediate_pem, std::string_view target,
    Instant now) {
    namespace http_signature = crypto::http_signature;
    ENTREPOT_TRY(const crypto::Certificate leaf, crypto::Certificate::parse(certificate_pem));
    ENTREPOT_TRY(const crypto::Certificate issuer, crypto::Certificate::parse(intermediate_pem));
    ENTREPOT_TRY(const crypto::RsaPrivateKey signer, crypto::RsaPrivateKey::parse(key_pem));
    ENTREPOT_TRY(const std::string tenancy, tenancy_of(leaf));
    SessionRequest out;
    out.key = crypto::RsaPrivateKey::generate();
    json::Writer writer(out.body);
    writer.begin_object().member("certificate", base64_encode(leaf.to_der()));
    writer.member("publicKey", base64_encode(out.key->public_key().to_der()));
    writer.key("intermediateCertificates").begin_array();
    writer.string(base64_encode(issuer.to_der())).end_array().end_object();
    out.date = to_http_date(now);
    out.digest = http_signature::content_sha256(out.body);
    const http_signature::Request request{.method = "POST",
        .target = target,
        .host = {},
        .date = out.date,
        .content_type = "application/json",
        .content_bytes = out.body.size(),
        .content_sha256 = out.digest};
    out.authorization = http_signature::authorization(
        fmt::format("{}/fed-x509/{}", tenancy, leaf.sha1_fingerprint()),
        signer.sign_sha256(http_signature::signing_string(request)),
        http_signature::covered(request));
    return out;
}

/// The machine's own certificate, from its metadata, is taken for a session of its own key.
class OciInstanceSource final : public CredentialSource {
public:
    struct Where {
        Asked metadata;
        std::string region;  ///< of the federation, where the metadata tells none
        std::string realm;   ///< the domain of Oracle's services
        std::string proxy;
        bool is_one = false;  ///< the metadata's address is the federation's too
    };
    OciInstanceSource(Where where, std::string identity)
        : CredentialSource(std::move(identity)), where_(std::move(where)) {}

    Task<Credential> fetch(Fetch& with) const override {
        ENTREPOT_CO_TRY(
            const std::string certificate, co_await metadata(with, "/opc/v2/identity/cert.pem"));
        ENTREPOT_CO_TRY(const std::string key, co_await metadata(with, "/opc/v2/identity/key.pem"));
        with.guard(key);
        ENTREPOT_CO_TRY(const std::string intermediate,
            co_await metadata(with, "/opc/v2/identity/intermediate.pem"));
        ENTREPOT_CO_TRY(const Asked federation, co_await find_federation(with));
        const std::string target = federation.path + "/v1/x509";
        const auto made = std::make_shared<SessionRequest>();
        auto work = [made, certificate, key, intermediate, target,
                        now = with.wall()]() -> Result<std::string> {
            ENTREPOT_TRY(*made, make_session_request(certificate, key, intermediate, target, now));
            return std::string();
        };
        std::function<Result<std::string>()> owned = std::move(work);
        Result<std::string> done = co_await with.compute(std::move(owned));
        if (!done) co_return told(with, where_.metadata.origin, std::move(done).error());

        Fetch::Request request;
        request.origin = &federation.origin;
        request.method = "POST";
        request.target = target;
        request.headers.add("date", made->date);
        request.headers.add("content-type", "application/json");
        request.headers.add("x-content-sha256", made->digest);
        request.headers.add("authorization", made->authorization);
        request.body = made->body;
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, federation.origin, std::move(answer).error());
        Result<Credential> read = read_session(with, *answer, *made->key);
        if (!read) co_return told(with, federation.origin, std::move(read).error());
        co_return read;
    }

private:
    Task<std::string> metadata(Fetch& with, std::string path) const {
        Fetch::Request request;
        request.origin = &where_.metadata.origin;
        request.target = where_.metadata.path + path;
        request.headers.add("authorization", "Bearer Oracle");  // a constant that browsers lack
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, where_.metadata.origin, std::move(answer).error());
        if (answer->status != 200) {
            Error error{ErrorCode::kUpstreamAuth,
                fmt::format("metadata gave no {} (it answered {}); is this an instance of Oracle's "
                            "cloud?",
                    path, answer->status),
                {}, {}};
            co_return told(with, where_.metadata.origin, std::move(error));
        }
        co_return std::move(answer->body);
    }

    /// Of the region that the machine stands in, which need not be the cloud's.
    Task<Asked> find_federation(Fetch& with) const {
        if (where_.is_one) co_return where_.metadata;
        std::string region = where_.region;
        ENTREPOT_CO_TRY(
            const std::string info, co_await metadata(with, "/opc/v2/instance/regionInfo"));
        if (const auto parsed = json::Document::parse(info)) {
            const std::string_view told_region = parsed->root()["regionIdentifier"].string();
            // A name within Oracle's domain, whatever the metadata says.
            constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-";
            if (!told_region.empty() &&
                told_region.find_first_not_of(kLetters) == std::string_view::npos)
                region = told_region;
        }
        Asked asked;
        ENTREPOT_CO_TRY(asked.origin,
            net::Origin::parse(
                fmt::format("https://auth.{}.{}", region, where_.realm), &asked.path));
        asked.origin.proxy = where_.proxy;
        co_return asked;
    }

    static Result<Credential> read_session(
        Fetch& with, const Fetch::Answer& answer, const crypto::RsaPrivateKey& key) {
        const auto reply = json::Document::parse(answer.body);
        const std::string token(reply ? reply->root()["token"].string() : std::string_view());
        if (answer.status != 200) {
            const std::string_view why =
                reply ? reply->root()["message"].string() : std::string_view();
            return fail(
                answer.status >= 500 ? ErrorCode::kUpstreamUnreachable : ErrorCode::kUpstreamAuth,
                fmt::format("the federation gave no token (it answered {}{}{})", answer.status,
                    why.empty() ? "" : ": ", excerpt(why)));
        }
        if (token.empty())
            return fail(ErrorCode::kUpstreamProtocol, "the federation's answer holds no token");
        with.guard(token);
        Credential credential;
        ENTREPOT_TRY(credential.expires, end_of_session(token));
        if (!credential.is_live(with.wall()))
            return fail(ErrorCode::kUpstreamProtocol, "the federation gave an expired token");
        credential.key_id = "ST$" + token;
        credential.signing_key = key;
        return credential;
    }

    Where where_;
};

/// `oraclegovcloud.com` of `https://inference.generativeai.us-langley-1.oci.oraclegovcloud.com`.
std::string realm_of(std::string_view endpoint) {
    constexpr std::string_view kBefore = ".oci.";
    const std::size_t at = endpoint.find(kBefore);
    if (at == std::string_view::npos) return "oraclecloud.com";
    endpoint.remove_prefix(at + kBefore.size());
    return std::string(endpoint.substr(0, endpoint.find_first_of(":/")));
}

}  // namespace

Result<std::shared_ptr<const CredentialSource>> make_oci_source(
    const config::CloudSettings& cloud, std::string identity) {
    const config::CredentialSettings& settings = cloud.credentials;
    if (settings.from == config::CredentialsFrom::kProfile)
        return std::make_shared<OciProfileSource>(settings, std::move(identity));
    if (settings.from == config::CredentialsFrom::kInstance) {
        ENTREPOT_TRY(Asked metadata, asked_nearby(cloud, "http://169.254.169.254"));
        OciInstanceSource::Where where{std::move(metadata), cloud.region, realm_of(cloud.endpoint),
            cloud.proxy, !settings.endpoint.empty()};
        return std::make_shared<OciInstanceSource>(std::move(where), std::move(identity));
    }
    Credential credential;
    ENTREPOT_TRY(credential.signing_key,
        crypto::RsaPrivateKey::parse(settings.private_key.reveal(), settings.pass_phrase.reveal()));
    credential.key_id =
        fmt::format("{}/{}/{}", settings.tenancy, settings.user, settings.fingerprint);
    return std::make_shared<SigningKeySource>(std::move(credential), std::move(identity));
}

}  // namespace entrepot::upstream
