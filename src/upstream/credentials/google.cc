// Google: a service account's key, or the metadata server.
#include <array>

#include <fmt/format.h>

#include "config/google_key.h"
#include "json/writer.h"
#include "upstream/credentials/replies.h"
#include "upstream/credentials/sources.h"

namespace entrepot::upstream {
namespace {

constexpr std::string_view kScope = "https://www.googleapis.com/auth/cloud-platform";
constexpr std::int64_t kAssertionSeconds = 3600;  // the most that Google takes

class ServiceAccountSource final : public CredentialSource {
public:
    ServiceAccountSource(Asked asked, std::string audience, config::GoogleKey key,
        std::string scope, std::string identity)
        : CredentialSource(std::move(identity)),
          asked_(std::move(asked)),
          audience_(std::move(audience)),
          key_(std::move(key)),
          scope_(std::move(scope)) {}

    Task<Credential> fetch(Fetch& with) const override {
        const Instant asked_at = with.wall();
        std::string header = header_of();
        std::string claims = claims_of(asked_at);
        ENTREPOT_CO_TRY(const std::string assertion,
            co_await with.sign_jwt(std::move(header), std::move(claims), key_.private_key));
        with.guard(assertion);
        const std::array<std::pair<std::string_view, std::string_view>, 2> fields{
            {{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
                {"assertion", assertion}}};
        std::string target = asked_.path.empty() ? "/" : asked_.path;
        Fetch::Request request = form_request(asked_, std::move(target), form_of(fields));
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        Result<Credential> read = read_oauth_reply(answer->status, answer->body, asked_at);
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    [[nodiscard]] std::string header_of() const {
        std::string header;
        json::Writer writer(header);
        writer.begin_object().member("alg", "RS256").member("typ", "JWT");
        if (!key_.private_key_id.empty()) writer.member("kid", key_.private_key_id);
        writer.end_object();
        return header;
    }
    [[nodiscard]] std::string claims_of(Instant now) const {
        const std::int64_t issued = now.ns / 1'000'000'000;
        std::string claims;
        json::Writer(claims)
            .begin_object()
            .member("iss", key_.client_email)
            .member("scope", scope_)
            .member("aud", audience_)
            .member("iat", issued)
            .member("exp", issued + kAssertionSeconds)
            .end_object();
        return claims;
    }

    Asked asked_;
    std::string audience_;
    config::GoogleKey key_;
    std::string scope_;
};

Error stranger() {
    Error error;
    error.code = ErrorCode::kUpstreamProtocol;
    error.message =
        "the answer is not from Google's metadata server: it lacks metadata-flavor: Google";
    return error;
}

/// The account that the machine runs as.
class MetadataSource final : public CredentialSource {
public:
    MetadataSource(Asked asked, bool is_documented, std::string identity)
        : CredentialSource(std::move(identity)),
          asked_(std::move(asked)),
          is_documented_(is_documented) {}

    Task<Credential> fetch(Fetch& with) const override {
        Fetch::Request request;
        request.origin = &asked_.origin;
        request.target =
            asked_.path + "/computeMetadata/v1/instance/service-accounts/default/token";
        request.headers.add("metadata-flavor", "Google");
        request.wanted = "metadata-flavor";
        // By its address, which no resolver can turn elsewhere; by its name for the server.
        if (is_documented_) request.host = "metadata.google.internal";
        const Instant asked_at = with.wall();
        Result<Fetch::Answer> answer = co_await with.send(std::move(request));
        if (!answer) co_return told(with, asked_.origin, std::move(answer).error());
        if (answer->status == 200 && answer->header != "Google") {
            Error error = stranger();
            co_return told(with, asked_.origin, std::move(error));
        }
        Result<Credential> read = read_oauth_reply(answer->status, answer->body, asked_at);
        if (!read) co_return told(with, asked_.origin, std::move(read).error());
        co_return read;
    }

private:
    Asked asked_;
    bool is_documented_;
};

}  // namespace

Result<std::shared_ptr<const CredentialSource>> make_google_source(
    const config::CloudSettings& cloud, std::string identity) {
    const config::CredentialSettings& settings = cloud.credentials;
    if (settings.from == config::CredentialsFrom::kMetadata) {
        ENTREPOT_TRY(Asked asked, asked_nearby(cloud, "http://169.254.169.254"));
        return std::make_shared<MetadataSource>(
            std::move(asked), settings.endpoint.empty(), std::move(identity));
    }
    ENTREPOT_TRY(config::GoogleKey key,
        config::parse_google_key(cloud.service_account.reveal(), !settings.endpoint.empty()));
    std::string audience = settings.endpoint.empty() ? key.token_uri : settings.endpoint;
    ENTREPOT_TRY(Asked asked, asked_of(cloud, key.token_uri));
    std::string scope = settings.scope.empty() ? std::string(kScope) : settings.scope;
    return std::make_shared<ServiceAccountSource>(std::move(asked), std::move(audience),
        std::move(key), std::move(scope), std::move(identity));
}

}  // namespace entrepot::upstream
