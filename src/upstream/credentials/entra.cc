// Microsoft Entra: client secret, client certificate, workload and managed identity.
#include <array>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "crypto/jwt.h"
#include "json/writer.h"
#include "upstream/credentials/replies.h"
#include "upstream/credentials/sources.h"

namespace entrepot::upstream {
namespace {

constexpr std::string_view kScope = "https://cognitiveservices.azure.com/.default";
constexpr std::string_view kAuthority = "https://login.microsoftonline.com";
constexpr std::string_view kAssertionType =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::int64_t kAssertionSeconds = 600;

/// The three ways in which an application proves at the token endpoint who it is.
class EntraSource final : public CredentialSource {
public:
    struct Signing {
        crypto::RsaPrivateKey key;
        std::string thumbprint;  ///< base64url
    };
    EntraSource(Asked asked, const config::CredentialSettings& settings,
        std::optional<Signing> signing, std::string identity)
        : CredentialSource(std::move(identity)),
          asked_(std::move(asked)),
          settings_(settings),
          signing_(std::move(signing)),
          target_(fmt::format(
              "{}/{}/oauth2/v2.0/token", asked_.path, percent_encode(settings.tenant))) {}

    Task<Credential> fetch(Fetch& with) const override {
        using enum config::CredentialsFrom;
        std::string proof;
        if (settings_.from == kClientSecret) {
            proof = settings_.client_secret.reveal();
        } else if (settings_.from == kWorkloadIdentity) {
            ENTREPOT_CO_TRY(proof, co_await with.read_file(settings_.token_file));
            if (proof.empty())
                co_return fail(ErrorCode::kIo, fmt::format("'{}' is empty", settings_.token_file));
        } else {
            std::string claims = claims_of(with);
            std::string header = fmt::format(
                R"({{"alg":"RS256","typ":"JWT","x5t#S256":"{}"}})", signing_->thumbprint);
            ENTREPOT_CO_TRY(
                proof, co_await with.sign_jwt(std::move(header), std::move(claims), signing_->key));
        }
        with.guard(proof);
        std::vector<std::pair<std::string_view, std::string_view>> fields{
            {"grant_type", "client_credentials"}, {"client_id", settings_.client_id},
            {"scope", settings_.scope}};
        if (settings_.from == kClientSecret) {
            fields.emplace_back("client_secret", proof);
        } else {
            fields.emplace_back("client_assertion_type", kAssertionType);
            fields.emplace_back("client_assertion", proof);
        }
        Fetch::Request request = form_request(asked_, target_, form_of(fields));
        const Instant asked_at = with.wall();
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        Result<Credential> read = read_oauth_reply(answer->status, answer->body, asked_at);
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    [[nodiscard]] std::string claims_of(Fetch& with) const {
        const std::int64_t now = with.wall().ns / 1'000'000'000;
        std::string claims;
        json::Writer(claims)
            .begin_object()
            .member("aud",
                fmt::format("{}://{}{}", asked_.origin.secure ? "https" : "http",
                    asked_.origin.authority(), target_))
            .member("iss", settings_.client_id)
            .member("sub", settings_.client_id)
            .member("jti", fmt::format("{:016x}{:016x}", with.random()(), with.random()()))
            .member("iat", now)
            .member("nbf", now)
            .member("exp", now + kAssertionSeconds)
            .end_object();
        return claims;
    }

    Asked asked_;
    config::CredentialSettings settings_;
    std::optional<Signing> signing_;
    std::string target_;
};

/// The machine's own identity, from its metadata.
class ManagedIdentitySource final : public CredentialSource {
public:
    ManagedIdentitySource(
        Asked asked, const config::CredentialSettings& settings, std::string identity)
        : CredentialSource(std::move(identity)), asked_(std::move(asked)) {
        // Metadata wants the resource whose default scope it is.
        std::string_view resource = settings.scope;
        constexpr std::string_view kDefault = "/.default";
        if (resource.ends_with(kDefault)) resource.remove_suffix(kDefault.size());
        target_ =
            fmt::format("{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={}",
                asked_.path, percent_encode(resource));
        if (!settings.client_id.empty())
            target_ += "&client_id=" + percent_encode(settings.client_id);
    }

    Task<Credential> fetch(Fetch& with) const override {
        Fetch::Request request;
        request.origin = &asked_.origin;
        request.target = target_;
        request.headers.add("metadata", "true");
        const Instant asked_at = with.wall();
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        Result<Credential> read = read_oauth_reply(answer->status, answer->body, asked_at);
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    Asked asked_;
    std::string target_;
};

}  // namespace

Result<std::shared_ptr<const CredentialSource>> make_entra_source(
    const config::CloudSettings& cloud, std::string identity) {
    config::CredentialSettings settings = cloud.credentials;
    if (settings.scope.empty()) settings.scope = kScope;
    if (settings.from == config::CredentialsFrom::kManagedIdentity) {
        ENTREPOT_TRY(Asked asked, asked_nearby(cloud, "http://169.254.169.254"));
        return std::make_shared<ManagedIdentitySource>(
            std::move(asked), settings, std::move(identity));
    }
    ENTREPOT_TRY(Asked asked, asked_of(cloud, kAuthority));
    std::optional<EntraSource::Signing> signing;
    if (settings.from == config::CredentialsFrom::kClientCertificate) {
        ENTREPOT_TRY(const crypto::Certificate certificate,
            crypto::Certificate::parse(settings.certificate.reveal()));
        ENTREPOT_TRY(
            crypto::RsaPrivateKey key, crypto::RsaPrivateKey::parse(settings.private_key.reveal()));
        signing.emplace(EntraSource::Signing{
            std::move(key), crypto::base64url_encode(crypto::view(certificate.sha256()))});
    }
    return std::make_shared<EntraSource>(
        std::move(asked), settings, std::move(signing), std::move(identity));
}

}  // namespace entrepot::upstream
