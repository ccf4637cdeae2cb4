#include "cloudsim/identity.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "crypto/http_signature.h"
#include "crypto/jwt.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using json::Writer;

constexpr std::string_view kTenant = "11111111-2222-3333-4444-555555555555";
constexpr std::string_view kClientId = "66666666-7777-8888-9999-000000000000";
constexpr std::string_view kClientSecret = "sim~entra~secret~0001";
constexpr std::string_view kScope = "https://cognitiveservices.azure.com/.default";
constexpr std::string_view kResource = "https://cognitiveservices.azure.com";
constexpr std::string_view kRoleArn = "arn:aws:iam::111122223333:role/simulated";
constexpr std::string_view kWebIdentityToken = "simulated.web.identity";
constexpr std::string_view kContainerToken = "simulated-container-token";
constexpr std::string_view kSession = "simulated-imds-session";
constexpr std::string_view kGoogleEmail = "sim@simulated.iam.gserviceaccount.com";
constexpr std::string_view kGoogleKeyId = "simulated-key-1";
constexpr std::string_view kGoogleScope = "https://www.googleapis.com/auth/cloud-platform";
constexpr std::string_view kOciTenancy = "ocid1.tenancy.oc1..simulated";
constexpr std::string_view kOciUser = "ocid1.user.oc1..simulated";
constexpr std::string_view kRoles = "/latest/meta-data/iam/security-credentials/";
constexpr std::string_view kRole = "simulated-role";
constexpr std::string_view kBearer = "Bearer ";

std::int64_t epoch_s(Instant at) { return at.ns / 1'000'000'000; }

std::map<std::string, std::string> form_of(std::string_view text) {
    std::map<std::string, std::string> fields;
    for (const std::string_view pair : split(text, '&')) {
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos)
            fields[std::string(pair.substr(0, equals))] = percent_decoded(pair.substr(equals + 1));
    }
    return fields;
}

Refusal plain(int status, std::string body) {
    Refusal out;
    out.status = status;
    out.body = std::move(body);
    return out;
}

Refusal oauth_error(int status, std::string_view error, std::string_view description) {
    Refusal out;
    out.status = status;
    Writer(out.body)
        .begin_object()
        .member("error", error)
        .member("error_description", description)
        .end_object();
    return out;
}

Refusal sts_error(int status, std::string_view code, std::string_view message) {
    return plain(status,
        fmt::format("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                    "<Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
                    "<RequestId>00000000</RequestId></ErrorResponse>",
            code, message));
}

bool has_header(const Incoming& in, std::string_view name, std::string_view value) {
    const auto given = in.headers.find(name);
    return given && *given == value;
}

}  // namespace

/// The keys that assertions are signed with.
struct Identity::Material {
    crypto::RsaPrivateKey entra = crypto::RsaPrivateKey::generate();
    std::string certificate = crypto::self_signed_certificate(entra, "simulated application");
    crypto::RsaPrivateKey google = crypto::RsaPrivateKey::generate();
    crypto::RsaPrivateKey oci = crypto::RsaPrivateKey::generate();
    crypto::RsaPublicKey oci_public = oci.public_key();
    std::string oci_key_id =
        fmt::format("{}/{}/{}", kOciTenancy, kOciUser, oci_public.md5_fingerprint());
    std::string oci_session;  // a token that Oracle has signed for the same key
    std::string oci_certificate =
        crypto::self_signed_certificate(oci, fmt::format("opc-tenant:{}", kOciTenancy));
};

Identity::Identity() = default;
Identity::~Identity() = default;

Identity::Material& Identity::material() {
    if (material_ == nullptr) material_ = std::make_unique<Material>();
    return *material_;
}

bool Identity::knows_bearer(const Incoming& in, Issuer issuer) const {
    const auto given = in.headers.find("authorization");
    if (!given || !given->starts_with(kBearer)) return false;
    const auto found = tokens_.find(given->substr(kBearer.size()));
    return found != tokens_.end() && found->second.issuer == issuer &&
        in.now < found->second.expires;
}

const crypto::RsaPublicKey* Identity::find_oci_key(std::string_view key_id, Instant now) const {
    if (material_ == nullptr) return nullptr;  // nobody was given one
    constexpr std::string_view kSessionPrefix = "ST$";
    if (key_id.starts_with(kSessionPrefix)) {
        const auto found = oci_sessions_.find(key_id.substr(kSessionPrefix.size()));
        if (found != oci_sessions_.end())
            return now < found->second.expires ? &found->second.key : nullptr;
    }
    const bool is_session = key_id.starts_with(kSessionPrefix) && now < oci_session_end_ &&
        key_id.substr(kSessionPrefix.size()) == material_->oci_session;
    return is_session || key_id == material_->oci_key_id ? &material_->oci_public : nullptr;
}

const Identity::Keys* Identity::find_keys(std::string_view access_key_id) const {
    const auto found = keys_.find(access_key_id);
    return found == keys_.end() ? nullptr : &found->second;
}

std::string Identity::issue_token(Issuer issuer, std::string_view prefix, Instant now) {
    std::erase_if(tokens_, [&](const auto& entry) { return entry.second.expires <= now; });
    std::string token = fmt::format("{}{:06}", prefix, ++serial_);
    tokens_[token] = {issuer, end(now)};
    return token;
}

std::string Identity::issue_keys(Instant now) {
    // Expired ones stay for a while: Bedrock tells them from unknown ones.
    std::erase_if(
        keys_, [&](const auto& entry) { return entry.second.expires + seconds(3600) <= now; });
    std::string id = fmt::format("ASIASIM{:013}", ++serial_);
    keys_[id] = {fmt::format("simulated/temporary/secret/{:013}", serial_),
        fmt::format("SimulatedSessionToken/{:013}==", serial_), end(now)};
    return id;
}

Refusal Identity::answer(const Incoming& in) {
    struct Row {
        std::string_view name;
        bool is_it;
        Refusal (Identity::*answer)(const Incoming&);
    };
    const Row rows[] = {
        {"sts", in.path == "/" && in.method == "POST", &Identity::sts},
        {"instance", in.path == "/latest/api/token" || in.path.starts_with(kRoles),
            &Identity::instance},
        {"container", in.path == "/v2/credentials/simulated", &Identity::container},
        {"entra", in.path.ends_with("/oauth2/v2.0/token"), &Identity::entra},
        {"managed_identity", in.path == "/metadata/identity/oauth2/token",
            &Identity::managed_identity},
        {"google", in.path == "/token", &Identity::google},
        {"google_metadata",
            in.path == "/computeMetadata/v1/instance/service-accounts/default/token",
            &Identity::google_metadata},
        {"oci_metadata", in.path.starts_with("/opc/v2/"), &Identity::oci_metadata},
        {"oci_federation", in.path == "/v1/x509", &Identity::oci_federation},
    };
    for (const Row& row : rows) {
        if (!row.is_it) continue;
        ++asked_[std::string(row.name)];
        if (status_ != 0) return plain(static_cast<int>(status_), "as the simulation was told");
        return (this->*row.answer)(in);
    }
    return plain(404, "there is nothing here");
}

Refusal Identity::sts(const Incoming& in) {
    auto form = form_of(in.body);
    if (form["Action"] != "AssumeRoleWithWebIdentity" || form["Version"] != "2011-06-15")
        return sts_error(400, "InvalidAction", "Could not find operation for this version");
    if (form["RoleArn"] != kRoleArn || form["RoleSessionName"].size() < 2)
        return sts_error(
            403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    if (form["WebIdentityToken"] != kWebIdentityToken)
        return sts_error(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT.");
    const std::string id = issue_keys(in.now);
    const Keys& keys = keys_[id];
    if (!has_header(in, "accept", "application/json"))
        return plain(200,
            fmt::format("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>"
                        "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}"
                        "</SecretAccessKey><SessionToken>{}</SessionToken><Expiration>{}"
                        "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                        "</AssumeRoleWithWebIdentityResponse>",
                id, keys.secret, keys.session_token, to_rfc3339(keys.expires)));
    return plain(200,
        fmt::format(R"({{"AssumeRoleWithWebIdentityResponse":{{"AssumeRoleWithWebIdentityResult":)"
                    R"({{"Credentials":{{"AccessKeyId":"{}","SecretAccessKey":"{}",)"
                    R"("SessionToken":"{}","Expiration":{}.0}}}}}}}})",
            id, keys.secret, keys.session_token, epoch_s(keys.expires)));
}

Refusal Identity::instance(const Incoming& in) {
    if (in.path == "/latest/api/token") {
        if (in.method != "PUT" || !in.headers.find("x-aws-ec2-metadata-token-ttl-seconds"))
            return plain(400, "");
        return plain(200, std::string(kSession));
    }
    if (!has_header(in, "x-aws-ec2-metadata-token", kSession)) return plain(401, "");
    if (in.path == kRoles) return plain(200, std::string(kRole));
    if (in.path.substr(kRoles.size()) != kRole) return plain(404, "");
    return container(in);
}

Refusal Identity::container(const Incoming& in) {
    if (in.path.starts_with("/v2/") && !has_header(in, "authorization", kContainerToken))
        return plain(401, R"({"code":"AccessDenied","message":"the token is not valid"})");
    const std::string id = issue_keys(in.now);
    const Keys& keys = keys_[id];
    Refusal out;
    out.status = 200;
    Writer(out.body)
        .begin_object()
        .member("Code", "Success")
        .member("Type", "AWS-HMAC")
        .member("AccessKeyId", id)
        .member("SecretAccessKey", keys.secret)
        .member("Token", keys.session_token)
        .member("Expiration", to_rfc3339(keys.expires))
        .end_object();
    return out;
}

Refusal Identity::entra(const Incoming& in) {
    auto form = form_of(in.body);
    if (in.path != fmt::format("/{}/oauth2/v2.0/token", kTenant))
        return oauth_error(400, "invalid_request", "AADSTS90002: Tenant not found.");
    if (form["grant_type"] != "client_credentials")
        return oauth_error(400, "unsupported_grant_type", "AADSTS70003: The grant is unsupported.");
    if (form["client_id"] != kClientId)
        return oauth_error(400, "unauthorized_client",
            "AADSTS700016: Application was not found in the directory.");
    if (form["scope"] != kScope)
        return oauth_error(400, "invalid_scope", "AADSTS70011: The provided scope is not valid.");
    if (form.contains("client_assertion")) {
        Material& keys = material();
        crypto::Jwt jwt;
        const auto bad = [](std::string_view why) {
            return oauth_error(401, "invalid_client",
                fmt::format("AADSTS700027: The certificate used to sign the client assertion is "
                            "not registered: {}",
                    why));
        };
        // A workload's token is any that the application was told to trust.
        if (form["client_assertion"] != kWebIdentityToken) {
            if (!crypto::parse_jwt(form["client_assertion"], jwt)) return bad("no JWT");
            const auto header = json::Document::parse(jwt.header_json);
            const auto claims = json::Document::parse(jwt.claims_json);
            const auto certificate = crypto::Certificate::parse(keys.certificate);
            if (!header || !claims) return bad("no JSON");
            if (header->root()["alg"].string() != "RS256" ||
                header->root()["x5t#S256"].string() !=
                    crypto::base64url_encode(crypto::view(certificate->sha256())))
                return bad("another thumbprint");
            if (!certificate->public_key().verify_sha256(jwt.signed_text, jwt.signature))
                return bad("the signature");
            const json::Value& said = claims->root();
            if (said["aud"].string() != endpoint_ + std::string(in.path) ||
                said["iss"].string() != kClientId || said["sub"].string() != kClientId ||
                said["exp"].as_int().value_or(0) <= epoch_s(in.now))
                return bad("its claims");
        }
    } else if (form["client_secret"] != kClientSecret) {
        return oauth_error(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
    }
    Refusal out;
    out.status = 200;
    Writer(out.body)
        .begin_object()
        .member("token_type", "Bearer")
        .member("expires_in", lifetime_s_)
        .member("ext_expires_in", lifetime_s_)
        .member("access_token", issue_token(Issuer::kEntra, "entra-sim-", in.now))
        .end_object();
    return out;
}

Refusal Identity::managed_identity(const Incoming& in) {
    auto query = form_of(in.query);
    if (!has_header(in, "metadata", "true"))
        return oauth_error(400, "invalid_request", "Required metadata header not specified");
    if (query["api-version"] != "2018-02-01" || query["resource"] != kResource)
        return oauth_error(400, "invalid_resource", "AADSTS500011: The resource was not found.");
    Refusal out;
    out.status = 200;
    Writer(out.body)
        .begin_object()
        .member("access_token", issue_token(Issuer::kEntra, "managed-sim-", in.now))
        .member("client_id", kClientId)
        .member("expires_in", std::to_string(lifetime_s_))
        .member("expires_on", std::to_string(epoch_s(end(in.now))))
        .member("resource", kResource)
        .member("token_type", "Bearer")
        .end_object();
    return out;
}

Refusal Identity::google(const Incoming& in) {
    auto form = form_of(in.body);
    const auto bad = [](std::string_view why) { return oauth_error(400, "invalid_grant", why); };
    if (form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer")
        return oauth_error(400, "unsupported_grant_type", "Invalid grant_type");
    crypto::Jwt jwt;
    if (!crypto::parse_jwt(form["assertion"], jwt)) return bad("Invalid JWT");
    const auto header = json::Document::parse(jwt.header_json);
    const auto claims = json::Document::parse(jwt.claims_json);
    if (!header || !claims || header->root()["kid"].string() != kGoogleKeyId)
        return bad("Invalid JWT");
    if (!material().google.public_key().verify_sha256(jwt.signed_text, jwt.signature))
        return bad("Invalid JWT Signature.");
    const json::Value& said = claims->root();
    const std::int64_t issued = said["iat"].as_int().value_or(0);
    const std::int64_t expires = said["exp"].as_int().value_or(0);
    if (said["iss"].string() != kGoogleEmail || said["aud"].string() != endpoint_ + "/token")
        return bad("Invalid JWT: iss or aud");
    if (said["scope"].string() != kGoogleScope)
        return oauth_error(400, "invalid_scope", "Invalid OAuth scope");
    if (expires <= epoch_s(in.now) || expires > issued + 3600)
        return bad("Invalid JWT: Token must be a short-lived token (60 minutes)");
    Refusal out;
    out.status = 200;
    Writer(out.body)
        .begin_object()
        .member("access_token", issue_token(Issuer::kGoogle, "ya29.sim-", in.now))
        .member("expires_in", lifetime_s_)
        .member("token_type", "Bearer")
        .end_object();
    return out;
}

Refusal Identity::google_metadata(const Incoming& in) {
    if (!has_header(in, "metadata-flavor", "Google"))
        return plain(403, "Missing Metadata-Flavor:Google header.");
    Refusal out;
    out.status = 200;
    out.headers.add("metadata-flavor", "Google");
    Writer(out.body)
        .begin_object()
        .member("access_token", issue_token(Issuer::kGoogle, "ya29.metadata-sim-", in.now))
        .member("expires_in", lifetime_s_)
        .member("token_type", "Bearer")
        .end_object();
    return out;
}

Refusal Identity::oci_metadata(const Incoming& in) {
    if (!has_header(in, "authorization", "Bearer Oracle"))
        return plain(401, "the header of version 2 is missing");
    Material& keys = material();
    if (in.path == "/opc/v2/identity/cert.pem" || in.path == "/opc/v2/identity/intermediate.pem")
        return plain(200, keys.oci_certificate);
    if (in.path == "/opc/v2/identity/key.pem")
        return plain(200, std::string(keys.oci.to_pem().reveal()));
    if (in.path == "/opc/v2/instance/region") return plain(200, "eu-frankfurt-1");
    if (in.path == "/opc/v2/instance/regionInfo")
        return plain(200,
            R"({"realmKey":"oc1","realmDomainComponent":"oraclecloud.com",)"
            R"("regionKey":"FRA","regionIdentifier":"eu-frankfurt-1"})");
    return plain(404, "there is no such fact");
}

Refusal Identity::oci_federation(const Incoming& in) {
    namespace http_signature = crypto::http_signature;
    const auto bad = [](int status, std::string_view why) {
        Refusal out;
        out.status = status;
        Writer(out.body)
            .begin_object()
            .member("code", status == 400 ? "InvalidParameter" : "NotAuthenticated")
            .member("message", why)
            .end_object();
        return out;
    };
    Material& keys = material();
    const auto leaf = crypto::Certificate::parse(keys.oci_certificate);
    const auto asked = json::Document::parse(std::string(in.body));
    if (!asked) return bad(400, "the body is no JSON");
    const json::Value& root = asked->root();
    if (root["certificate"].string() != base64_encode(leaf->to_der()) ||
        root["intermediateCertificates"].items().size() != 1)
        return bad(401, "the certificate is not known");
    const auto claim =
        http_signature::parse_authorization(in.headers.find("authorization").value_or(""));
    const std::string date(in.headers.find("date").value_or(""));
    const auto at = parse_http_date(date);
    const std::string digest = http_signature::content_sha256(in.body);
    const http_signature::Request request{.method = in.method,
        .target = in.path,
        .host = {},
        .date = date,
        .content_type = in.headers.find("content-type").value_or(""),
        .content_bytes = in.body.size(),
        .content_sha256 = digest};
    if (!claim || !at || in.headers.find("x-content-sha256") != digest ||
        claim->key_id != fmt::format("{}/fed-x509/{}", kOciTenancy, leaf->sha1_fingerprint()) ||
        !leaf->public_key().verify_sha256(
            http_signature::signing_string(request), claim->signature))
        return bad(401, "Failed to verify the HTTP(S) Signature");
    std::string der;
    const bool is_text = base64_decode(root["publicKey"].string(), der);
    auto key = crypto::RsaPublicKey::parse_der(der);
    if (!is_text || !key) return bad(400, "the public key cannot be read");
    std::erase_if(oci_sessions_, [&](const auto& entry) { return entry.second.expires <= in.now; });
    std::string token = crypto::sign_jwt(R"({"alg":"RS256","typ":"JWT"})",
        fmt::format(R"({{"sub":"ocid1.instance.oc1..simulated","jti":"{}","exp":{}}})", ++serial_,
            epoch_s(end(in.now))),
        keys.oci);
    oci_sessions_.insert_or_assign(token, OciSession{std::move(*key), end(in.now)});
    Refusal out;
    out.status = 200;
    Writer(out.body).begin_object().member("token", token).end_object();
    return out;
}

std::string Identity::to_json() {
    Material& keys = material();
    if (wall_now() >= oci_session_end_) {
        oci_session_end_ = end(wall_now());
        keys.oci_session = crypto::sign_jwt(R"({"alg":"RS256","typ":"JWT"})",
            fmt::format(R"({{"sub":"{}","exp":{}}})", kOciUser, epoch_s(oci_session_end_)),
            keys.oci);
    }
    std::string google_key;
    Writer(google_key)
        .begin_object()
        .member("type", "service_account")
        .member("project_id", "simulated")
        .member("private_key_id", kGoogleKeyId)
        .member("private_key", keys.google.to_pem().reveal())
        .member("client_email", kGoogleEmail)
        .member("token_uri", "https://oauth2.googleapis.com/token")
        .end_object();
    std::string out;
    Writer writer(out);
    writer.begin_object().member("endpoint", endpoint_);
    writer.key("aws").begin_object();
    writer.member("role_arn", kRoleArn).member("web_identity_token", kWebIdentityToken);
    writer.member("container_path", "/v2/credentials/simulated");
    writer.member("container_token", kContainerToken).end_object();
    writer.key("entra").begin_object();
    writer.member("tenant", kTenant).member("client_id", kClientId);
    writer.member("client_secret", kClientSecret).member("certificate", keys.certificate);
    writer.member("private_key", keys.entra.to_pem().reveal());
    writer.member("federated_token", kWebIdentityToken).end_object();
    writer.key("google").begin_object().member("key_file", google_key).end_object();
    writer.key("oci").begin_object();
    writer.member("tenancy", kOciTenancy).member("user", kOciUser);
    writer.member("fingerprint", keys.oci_public.md5_fingerprint());
    writer.member("private_key", keys.oci.to_pem().reveal());
    writer.member("session_token", keys.oci_session).end_object();
    writer.key("asked").begin_object();
    for (const auto& [name, count] : asked_) writer.member(name, count);
    writer.end_object().end_object();
    return out;
}

Status Identity::control(std::string body) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::move(body)));
    std::int64_t lifetime_s = 3600;
    std::int64_t status = 0;
    for (const json::Member& member : document.root().members()) {
        const auto number = member.value.as_int();
        if (!number || *number < 0)
            return fail_field(ErrorCode::kInvalidField, std::string(member.key),
                fmt::format("'{}' is no number", excerpt(member.key)));
        if (member.key == "lifetime_s")
            lifetime_s = *number;
        else if (member.key == "status")
            status = *number;
        else
            return fail_field(ErrorCode::kInvalidField, std::string(member.key),
                fmt::format("there is no '{}'", excerpt(member.key)));
    }
    lifetime_s_ = lifetime_s;
    status_ = status;
    return {};
}

}  // namespace entrepot::cloudsim
