#include "upstream/credentials/source.h"

#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "upstream/credentials/sources.h"

namespace entrepot::upstream {
namespace {

/// A digest of everything that a source is made of, with lengths, so that no two settings meet.
std::string identity_of(const config::CloudSettings& cloud) {
    const config::CredentialSettings& c = cloud.credentials;
    const std::array<std::string_view, 24> parts{cloud.region, cloud.proxy,
        cloud.service_account.reveal(), c.endpoint, c.ca_file, c.profile, c.credentials_file,
        c.config_file, c.role_arn, c.session_name, c.token_file, c.authorization.reveal(), c.tenant,
        c.client_id, c.client_secret.reveal(), c.certificate.reveal(), c.private_key.reveal(),
        c.scope, c.home, c.tenancy, c.user, c.fingerprint, c.pass_phrase.reveal(),
        config::cloud_kind_name(cloud.kind)};
    crypto::Sha256Stream digest;
    digest.add(fmt::format("{}|", static_cast<int>(c.from)));
    for (const std::string_view part : parts) {
        digest.add(fmt::format("{}:", part.size()));
        digest.add(part);
    }
    return crypto::hex(digest.finish());
}

}  // namespace

Result<Asked> asked_of(const config::CloudSettings& cloud, std::string_view documented) {
    const std::string_view url =
        cloud.credentials.endpoint.empty() ? documented : cloud.credentials.endpoint;
    Asked asked;
    ENTREPOT_TRY(asked.origin, net::Origin::parse(url, &asked.path));
    asked.origin.ca_file = cloud.credentials.ca_file;
    asked.origin.proxy = cloud.proxy;
    return asked;
}

Result<Asked> asked_nearby(const config::CloudSettings& cloud, std::string_view documented) {
    ENTREPOT_TRY(Asked asked, asked_of(cloud, documented));
    asked.origin.proxy.clear();
    return asked;
}

std::string form_of(std::span<const std::pair<std::string_view, std::string_view>> fields) {
    std::string form;
    for (const auto& [name, value] : fields) {
        if (!form.empty()) form += '&';
        form += name;
        form += '=';
        form += percent_encode(value);
    }
    return form;
}

Fetch::Request form_request(const Asked& asked, std::string target, std::string form) {
    Fetch::Request request;
    request.origin = &asked.origin;
    request.method = "POST";
    request.target = std::move(target);
    request.headers.add("content-type", "application/x-www-form-urlencoded");
    request.headers.add("accept", "application/json");
    request.body = std::move(form);
    return request;
}

std::unexpected<Error> told(const Fetch& with, const net::Origin& origin, Error error) {
    error.message = with.without_secrets(fmt::format("{}: {}", origin.authority(), error.message));
    error.cause = with.without_secrets(std::move(error.cause));
    return std::unexpected(std::move(error));
}

Result<std::shared_ptr<const CredentialSource>> make_credential_source(
    const config::CloudSettings& cloud) {
    using enum config::CredentialsFrom;
    switch (cloud.credentials.from) {
        case kNowhere:
        case kEnvironment: return nullptr;
        case kProfile:
            if (cloud.kind == config::CloudKind::kOci)
                return make_oci_source(cloud, identity_of(cloud));
            return make_aws_source(cloud, identity_of(cloud));
        case kSigningKey: return make_oci_source(cloud, identity_of(cloud));
        case kInstance:
            if (cloud.kind == config::CloudKind::kOci)
                return make_oci_source(cloud, identity_of(cloud));
            return make_aws_source(cloud, identity_of(cloud));
        case kWebIdentity:
        case kContainer: return make_aws_source(cloud, identity_of(cloud));
        case kClientSecret:
        case kClientCertificate:
        case kManagedIdentity:
        case kWorkloadIdentity: return make_entra_source(cloud, identity_of(cloud));
        case kServiceAccount:
        case kMetadata: return make_google_source(cloud, identity_of(cloud));
    }
    return nullptr;
}

}  // namespace entrepot::upstream
