#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "crypto/http_signature.h"
#include "crypto/jwt.h"
#include "crypto/testing.h"
#include "json/value.h"
#include "json/writer.h"
#include "upstream/credentials/testing.h"

namespace entrepot::upstream {
namespace {

using config::CredentialsFrom;
using testing::Asked;
using testing::Endpoint;
using testing::fetch_once;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Script;

const std::string kToken =
    R"({"access_token":"the-token","expires_in":3600,"token_type":"Bearer"})";

std::string aws_keys() {
    return fmt::format(R"({{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"secret-1",)"
                       R"("Token":"session-1","Expiration":"{}"}})",
        to_rfc3339(wall_now() + seconds(3600)));
}

std::map<std::string, std::string> form_of_body(std::string_view body) {
    std::map<std::string, std::string> fields;
    for (const std::string_view pair : split(body, '&')) {
        const std::size_t equals = pair.find('=');
        fields[std::string(pair.substr(0, equals))] = percent_decode(pair.substr(equals + 1));
    }
    return fields;
}

class Sources : public ::testing::Test {
protected:
    Sources() {
        cloud.id = CloudId("c");
        cloud.kind = config::CloudKind::kAzure;
        cloud.region = "eu-north-1";
        folder = std::filesystem::temp_directory_path() / fmt::format("entrepot-cred-{}", getpid());
        std::filesystem::create_directories(folder);
    }
    ~Sources() override { std::filesystem::remove_all(folder); }

    std::string file(std::string_view name, std::string_view content) {
        const std::filesystem::path path = folder / name;
        std::ofstream(path) << content;
        return path.string();
    }
    static std::string trouble(const Result<Credential>& fetched) {
        return fetched ? "a credential" : fetched.error().message;
    }

    config::CloudSettings cloud;
    std::filesystem::path folder;
};

TEST_F(Sources, AClientSecretIsSentAsEntraWantsItAndNeverRepeated) {
    Endpoint entra([](const Asked&) { return Script{200, kToken, "", false}; });
    cloud.credentials = {.from = CredentialsFrom::kClientSecret,
        .endpoint = entra.url(),
        .tenant = "acme.example",
        .client_id = "app-1",
        .client_secret = Secret("p&ss=w rd")};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->bearer.reveal(), "the-token");
    const Asked asked = entra.asked().at(0);
    EXPECT_EQ(asked.method, "POST");
    EXPECT_EQ(asked.target, "/acme.example/oauth2/v2.0/token");
    EXPECT_EQ(asked.header("content-type"), "application/x-www-form-urlencoded");
    EXPECT_EQ(form_of_body(asked.body),
        (std::map<std::string, std::string>{{"grant_type", "client_credentials"},
            {"client_id", "app-1"}, {"client_secret", "p&ss=w rd"},
            {"scope", "https://cognitiveservices.azure.com/.default"}}));

    // An endpoint that echoes what it was sent.
    entra.answer_with([](const Asked& request) {
        std::string body;
        json::Writer(body)
            .begin_object()
            .member("error", "invalid_client")
            .member("error_description", "you said " + request.body + " p&ss=w rd")
            .end_object();
        return Script{401, body, "", false};
    });
    const std::string said = trouble(fetch_once(cloud));
    EXPECT_THAT(said, HasSubstr("401: invalid_client"));
    EXPECT_THAT(said, HasSubstr("[redacted]"));
    EXPECT_THAT(said, Not(HasSubstr("p&ss")));
    EXPECT_THAT(said, Not(HasSubstr(percent_encode("p&ss=w rd"))));
}

TEST_F(Sources, ACertificateSignsWhatEntraCanVerify) {
    Endpoint entra([](const Asked&) { return Script{200, kToken, "", false}; });
    cloud.credentials = {.from = CredentialsFrom::kClientCertificate,
        .endpoint = entra.url(),
        .tenant = "t",
        .client_id = "app-1",
        .certificate = Secret(std::string(crypto::testing::kPublishedKeysCertificate)),
        .private_key = Secret(std::string(crypto::testing::kPublishedKey))};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    auto fields = form_of_body(entra.asked().at(0).body);
    EXPECT_EQ(
        fields["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    crypto::Jwt jwt;
    ASSERT_TRUE(crypto::parse_jwt(fields["client_assertion"], jwt));
    EXPECT_TRUE(crypto::Certificate::parse(crypto::testing::kPublishedKeysCertificate)
            ->public_key()
            .verify_sha256(jwt.signed_text, jwt.signature));
    const auto header = json::Document::parse(jwt.header_json);
    EXPECT_EQ(header->root()["alg"].string(), "RS256");
    EXPECT_EQ(header->root()["x5t#S256"].string(), crypto::testing::kCertificateThumbprint);
    const auto claims = json::Document::parse(jwt.claims_json);
    EXPECT_EQ(claims->root()["aud"].string(), entra.url("/t/oauth2/v2.0/token"));
    EXPECT_EQ(claims->root()["iss"].string(), "app-1");
    EXPECT_EQ(claims->root()["sub"].string(), "app-1");
    EXPECT_EQ(claims->root()["jti"].string().size(), 32U);
    EXPECT_EQ(*claims->root()["exp"].as_int() - *claims->root()["nbf"].as_int(), 600);
}

TEST_F(Sources, AWorkloadsTokenIsReadFromItsFileAtEveryFetch) {
    Endpoint entra([](const Asked&) { return Script{200, kToken, "", false}; });
    cloud.credentials = {.from = CredentialsFrom::kWorkloadIdentity,
        .endpoint = entra.url(),
        .token_file = file("federated", "jwt-one\n"),
        .tenant = "t",
        .client_id = "app-1",
        .scope = "https://ai.azure.com/.default"};
    ASSERT_TRUE(fetch_once(cloud));
    (void)file("federated", "jwt-two\n");
    ASSERT_TRUE(fetch_once(cloud));
    auto first = form_of_body(entra.asked().at(0).body);
    EXPECT_EQ(first["client_assertion"], "jwt-one");
    EXPECT_EQ(first["scope"], "https://ai.azure.com/.default");
    EXPECT_EQ(form_of_body(entra.asked().at(1).body)["client_assertion"], "jwt-two");
    std::filesystem::remove(folder / "federated");
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("cannot read"));
}

TEST_F(Sources, AManagedIdentityAsksTheMachineForTheResource) {
    Endpoint metadata([](const Asked&) {
        return Script{200,
            R"({"access_token":"mi","expires_in":"86399","expires_on":"1","token_type":"Bearer"})",
            "", false};
    });
    cloud.credentials = {.from = CredentialsFrom::kManagedIdentity,
        .endpoint = metadata.url(),
        .client_id = "identity-2"};
    cloud.proxy = "http://127.0.0.1:1";  // what is on this machine never goes through it
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->bearer.reveal(), "mi");
    const Asked asked = metadata.asked().at(0);
    EXPECT_EQ(asked.target,
        "/metadata/identity/oauth2/token?api-version=2018-02-01"
        "&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=identity-2");
    EXPECT_EQ(asked.header("metadata"), "true");
}

TEST_F(Sources, AServiceAccountSignsForGoogle) {
    Endpoint google([](const Asked&) { return Script{200, kToken, "", false}; });
    std::string key;
    json::Writer(key)
        .begin_object()
        .member("type", "service_account")
        .member("client_email", "sa@p.iam.gserviceaccount.com")
        .member("private_key_id", "kid-7")
        .member("private_key", crypto::testing::kPublishedKey)
        .member("token_uri", "https://evil.example/token")  // not where it goes
        .end_object();
    cloud.kind = config::CloudKind::kVertex;
    cloud.service_account = Secret(key);
    cloud.credentials = {
        .from = CredentialsFrom::kServiceAccount, .endpoint = google.url("/token")};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    const Asked asked = google.asked().at(0);
    EXPECT_EQ(asked.target, "/token");
    auto fields = form_of_body(asked.body);
    EXPECT_EQ(fields["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    crypto::Jwt jwt;
    ASSERT_TRUE(crypto::parse_jwt(fields["assertion"], jwt));
    EXPECT_TRUE(crypto::RsaPrivateKey::parse(crypto::testing::kPublishedKey)
            ->public_key()
            .verify_sha256(jwt.signed_text, jwt.signature));
    EXPECT_EQ(jwt.header_json, R"({"alg":"RS256","typ":"JWT","kid":"kid-7"})");
    const auto claims = json::Document::parse(jwt.claims_json);
    EXPECT_EQ(claims->root()["iss"].string(), "sa@p.iam.gserviceaccount.com");
    EXPECT_EQ(claims->root()["scope"].string(), "https://www.googleapis.com/auth/cloud-platform");
    EXPECT_EQ(claims->root()["aud"].string(), google.url("/token"));
    EXPECT_EQ(*claims->root()["exp"].as_int() - *claims->root()["iat"].as_int(), 3600);
}

TEST_F(Sources, AServiceAccountsFileAloneCannotSendUsElsewhere) {
    std::string key;
    json::Writer(key)
        .begin_object()
        .member("type", "service_account")
        .member("client_email", "sa@p.iam.gserviceaccount.com")
        .member("private_key", crypto::testing::kPublishedKey)
        .member("token_uri", "http://127.0.0.1:1/token")
        .end_object();
    cloud.service_account = Secret(key);
    cloud.credentials = {.from = CredentialsFrom::kServiceAccount};
    const auto source = make_credential_source(cloud);
    ASSERT_FALSE(source);
    EXPECT_THAT(source.error().message, HasSubstr("none that Google documents"));
}

TEST_F(Sources, GooglesMetadataServerHasToSayThatItIsOne) {
    Endpoint metadata(
        [](const Asked&) { return Script{200, kToken, "metadata-flavor: Google\r\n", false}; });
    cloud.credentials = {.from = CredentialsFrom::kMetadata, .endpoint = metadata.url()};
    ASSERT_TRUE(fetch_once(cloud));
    EXPECT_EQ(metadata.asked().at(0).target,
        "/computeMetadata/v1/instance/service-accounts/default/token");
    EXPECT_EQ(metadata.asked().at(0).header("metadata-flavor"), "Google");
    metadata.answer_with([](const Asked&) { return Script{200, kToken, "", false}; });
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("not from Google's metadata server"));
}

TEST_F(Sources, InstanceMetadataIsAskedWithinASessionAndNeverInItsFirstVersion) {
    Endpoint metadata([](const Asked& asked) {
        if (asked.method == "PUT") return Script{200, "session-token", "", false};
        if (asked.header("x-aws-ec2-metadata-token") != "session-token")
            return Script{401, "", "", false};
        if (asked.target.ends_with("/security-credentials/"))
            return Script{200, "my role/x\nsecond", "", false};
        return Script{200, aws_keys(), "", false};
    });
    cloud.credentials = {.from = CredentialsFrom::kInstance, .endpoint = metadata.url()};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->session_token.reveal(), "session-1");
    ASSERT_EQ(metadata.count(), 3U);
    EXPECT_EQ(metadata.asked()[0].target, "/latest/api/token");
    EXPECT_NE(metadata.asked()[0].header("x-aws-ec2-metadata-token-ttl-seconds"), "");
    EXPECT_EQ(
        metadata.asked()[2].target, "/latest/meta-data/iam/security-credentials/my%20role%2Fx");
    metadata.answer_with([](const Asked& asked) {
        return Script{asked.method == "PUT" ? 403 : 200, aws_keys(), "", false};
    });
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("IMDSv2"));
    EXPECT_EQ(metadata.count(), 4U);
}

TEST_F(Sources, AContainerIsToldWhereAndWithWhat) {
    Endpoint container([](const Asked&) { return Script{200, aws_keys(), "", false}; });
    cloud.credentials = {.from = CredentialsFrom::kContainer,
        .endpoint = container.url("/v2/credentials/abc?id=1"),
        .token_file = file("pod-token", "pod-secret\n")};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->access_key_id.reveal(), "ASIA1");
    EXPECT_EQ(container.asked().at(0).target, "/v2/credentials/abc?id=1");
    EXPECT_EQ(container.asked().at(0).header("authorization"), "pod-secret");
}

TEST_F(Sources, AWebIdentityIsTradedForARolesKeys) {
    Endpoint sts([](const Asked&) {
        return Script{200,
            fmt::format(R"({{"AssumeRoleWithWebIdentityResponse":)"
                        R"({{"AssumeRoleWithWebIdentityResult":{{"Credentials":{{)"
                        R"("AccessKeyId":"ASIA2","SecretAccessKey":"s","SessionToken":"t",)"
                        R"("Expiration":{}}}}}}}}})",
                wall_now().ns / 1'000'000'000 + 3600),
            "", false};
    });
    cloud.credentials = {.from = CredentialsFrom::kWebIdentity,
        .endpoint = sts.url(),
        .role_arn = "arn:aws:iam::1:role/r",
        .session_name = "entrepot",
        .token_file = file("web", "web+jwt")};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->access_key_id.reveal(), "ASIA2");
    EXPECT_EQ(sts.asked().at(0).target, "/");
    EXPECT_EQ(form_of_body(sts.asked().at(0).body),
        (std::map<std::string, std::string>{{"Action", "AssumeRoleWithWebIdentity"},
            {"Version", "2011-06-15"}, {"RoleArn", "arn:aws:iam::1:role/r"},
            {"RoleSessionName", "entrepot"}, {"WebIdentityToken", "web+jwt"}}));
}

TEST_F(Sources, AProfileIsReadFromItsFilesAndLookedAtAgain) {
    cloud.credentials = {.from = CredentialsFrom::kProfile,
        .profile = "prod",
        .credentials_file =
            file("credentials", "[prod]\naws_access_key_id=A\naws_secret_access_key=B\n"),
        .config_file = (folder / "none").string()};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->access_key_id.reveal(), "A");
    EXPECT_EQ(fetched->expires, Credential::kNever);
    EXPECT_TRUE((*make_credential_source(cloud))->look_again());
    (void)file("credentials", "[prod]\n");
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("no 'aws_access_key_id'"));
}

TEST_F(Sources, ARedirectIsNotFollowed) {
    Endpoint elsewhere([](const Asked&) { return Script{200, kToken, "", false}; });
    Endpoint entra([&](const Asked&) {
        return Script{307, "", "location: " + elsewhere.url("/") + "\r\n", false};
    });
    cloud.credentials = {.from = CredentialsFrom::kClientSecret,
        .endpoint = entra.url(),
        .tenant = "t",
        .client_id = "a",
        .client_secret = Secret("secret")};
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("redirects are not followed"));
    EXPECT_EQ(elsewhere.count(), 0U);
}

TEST_F(Sources, AnIdentityChangesWithEverySettingAndNamesNone) {
    cloud.credentials = {.from = CredentialsFrom::kClientSecret,
        .tenant = "t",
        .client_id = "a",
        .client_secret = Secret("hunter2")};
    const std::string first = (*make_credential_source(cloud))->identity();
    EXPECT_EQ((*make_credential_source(cloud))->identity(), first);
    EXPECT_THAT(first, Not(HasSubstr("hunter2")));
    cloud.credentials.client_secret = Secret("hunter3");
    EXPECT_NE((*make_credential_source(cloud))->identity(), first);
    cloud.credentials = {.from = CredentialsFrom::kNowhere};
    EXPECT_EQ(*make_credential_source(cloud), nullptr);
}

// The keys and tokens of Oracle's tools stand in files that these write anew.
TEST_F(Sources, AProfileOfOraclesToolsGivesItsKeyOrItsSession) {
    const std::string key = file("key.pem", crypto::testing::kPublishedKey);
    std::string text(crypto::testing::kOciConfig);
    text.replace(text.find("/keys/oci.pem"), 13, key);
    cloud.kind = config::CloudKind::kOci;
    cloud.credentials = {.from = CredentialsFrom::kProfile,
        .profile = "DEFAULT",
        .config_file = file("config", text)};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->key_id,
        fmt::format("ocid1.tenancy.oc1..aaaa/ocid1.user.oc1..bbbb/{}",
            crypto::testing::kPublishedFingerprint));
    ASSERT_TRUE(fetched->signing_key);
    EXPECT_EQ(fetched->expires, Credential::kNever);

    const auto signer = crypto::RsaPrivateKey::parse(crypto::testing::kPublishedKey);
    const auto session_of = [&](std::int64_t end_s) {
        return crypto::sign_jwt("{}", fmt::format(R"({{"exp":{}}})", end_s), *signer);
    };
    const std::int64_t now_s = wall_now().ns / 1'000'000'000;
    const std::string token = session_of(now_s + 600);
    text += "[s]\nsecurity_token_file=" + file("token", token + "\n") + "\n";
    file("config", text);
    cloud.credentials.profile = "s";
    const auto session = fetch_once(cloud);
    ASSERT_TRUE(session) << trouble(session);
    EXPECT_EQ(session->key_id, "ST$" + token);
    EXPECT_EQ(session->expires, Instant{(now_s + 600) * 1'000'000'000});

    // The same file, as the configuration's check finds it: beside the profile.
    text.replace(text.find(key), key.size(), "key.pem");
    file("config", text);
    EXPECT_EQ(trouble(fetch_once(cloud)), "a credential");

    file("token", session_of(now_s - 5));
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("the session's token expired at"));
    file("token", "hush");
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("no signed token with an end"));
    EXPECT_THAT(trouble(fetch_once(cloud)), Not(HasSubstr("hush")));
}

TEST_F(Sources, OraclesSigningKeyIsThereWithoutAnyFetch) {
    cloud.kind = config::CloudKind::kOci;
    cloud.credentials = {.from = CredentialsFrom::kSigningKey,
        .private_key = Secret(std::string(crypto::testing::kPublishedKey)),
        .tenancy = "ocid1.tenancy.oc1..a",
        .user = "ocid1.user.oc1..b",
        .fingerprint = "f"};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_EQ(fetched->key_id, "ocid1.tenancy.oc1..a/ocid1.user.oc1..b/f");
}

/// Metadata and federation of Oracle, as an instance sees them.
class OracleInstance {
public:
    explicit OracleInstance(std::int64_t lifetime_s) : lifetime_s_(lifetime_s) {}
    Script operator()(const Asked& asked) const {
        if (asked.target == "/v1/x509") {
            const std::int64_t now_s = wall_now().ns / 1'000'000'000;
            const std::string token = crypto::sign_jwt(
                "{}", fmt::format(R"({{"exp":{}}})", now_s + lifetime_s_), instance);
            return {200, fmt::format(R"({{"token":"{}"}})", token), "", false};
        }
        if (asked.header("authorization") != "Bearer Oracle") return {401, "", "", false};
        if (asked.target == "/opc/v2/identity/cert.pem") return {200, certificate, "", false};
        if (asked.target == "/opc/v2/identity/intermediate.pem") return {200, issuer, "", false};
        if (asked.target == "/opc/v2/identity/key.pem")
            return {200, std::string(instance.to_pem().reveal()), "", false};
        return {404, "", "", false};
    }

    crypto::RsaPrivateKey instance = crypto::RsaPrivateKey::generate();
    std::string certificate =
        crypto::self_signed_certificate(instance, "opc-tenant:ocid1.tenancy.oc1..t");
    std::string issuer{crypto::testing::kPublishedKeysCertificate};

private:
    std::int64_t lifetime_s_;
};

TEST_F(Sources, AnInstanceOfOraclesShowsItsCertificateForASessionOfANewKey) {
    const OracleInstance oracle(1200);
    Endpoint endpoint(oracle);
    cloud.kind = config::CloudKind::kOci;
    cloud.credentials = {.from = CredentialsFrom::kInstance, .endpoint = endpoint.url()};
    const auto fetched = fetch_once(cloud);
    ASSERT_TRUE(fetched) << trouble(fetched);
    EXPECT_TRUE(fetched->key_id.starts_with("ST$e30.")) << fetched->key_id;
    EXPECT_LT(fetched->expires, wall_now() + seconds(1201));
    EXPECT_GT(fetched->expires, wall_now() + seconds(1100));

    const Asked asked = endpoint.asked().back();
    EXPECT_EQ(asked.method, "POST");
    const auto body = json::Document::parse(asked.body);
    ASSERT_TRUE(body);
    const auto leaf = crypto::Certificate::parse(oracle.certificate);
    EXPECT_EQ(body->root()["certificate"].string(), base64_encode(leaf->to_der()));
    EXPECT_EQ(body->root()["intermediateCertificates"].items().size(), 1U);
    // The session's key is the one that was shown, and not the instance's.
    ASSERT_TRUE(fetched->signing_key);
    EXPECT_EQ(body->root()["publicKey"].string(),
        base64_encode(fetched->signing_key->public_key().to_der()));
    EXPECT_NE(fetched->signing_key->public_key(), oracle.instance.public_key());

    namespace http_signature = crypto::http_signature;
    const auto claim = http_signature::parse_authorization(asked.header("authorization"));
    ASSERT_TRUE(claim) << claim.error().message;
    EXPECT_EQ(claim->key_id, "ocid1.tenancy.oc1..t/fed-x509/" + leaf->sha1_fingerprint());
    const std::string text = fmt::format(
        "date: {}\n(request-target): post /v1/x509\ncontent-length: {}\n"
        "content-type: application/json\nx-content-sha256: {}",
        asked.header("date"), asked.body.size(), http_signature::content_sha256(asked.body));
    EXPECT_TRUE(leaf->public_key().verify_sha256(text, claim->signature)) << text;
}

TEST_F(Sources, AnInstanceOfOraclesSaysWhatWasRefused) {
    OracleInstance oracle(-5);
    Endpoint endpoint(oracle);
    cloud.kind = config::CloudKind::kOci;
    cloud.credentials = {.from = CredentialsFrom::kInstance, .endpoint = endpoint.url()};
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("gave an expired token"));
    endpoint.answer_with([&](const Asked& asked) {
        return asked.target == "/v1/x509"
            ? Script{401, R"({"code":"NotAuthenticated","message":"no such group"})", "", false}
            : oracle(asked);
    });
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("(it answered 401: no such group)"));
    endpoint.answer_with([](const Asked&) { return Script{404, "", "", false}; });
    EXPECT_THAT(trouble(fetch_once(cloud)),
        HasSubstr("metadata gave no /opc/v2/identity/cert.pem (it answered 404)"));
    oracle.certificate = oracle.issuer;
    endpoint.answer_with(oracle);
    EXPECT_THAT(trouble(fetch_once(cloud)), HasSubstr("certificate names no tenancy"));
}

}  // namespace
}  // namespace entrepot::upstream
