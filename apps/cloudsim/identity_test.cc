#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "cloudsim/identity.h"
#include "crypto/jwt.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using testing::HasSubstr;

// 2026-11-23T00:00:00Z
constexpr Instant kNow{1'795'392'000LL * 1'000'000'000};

class Issuing : public testing::Test {
protected:
    Issuing() { identity_.set_endpoint("http://sim"); }

    Refusal ask(std::string_view method, std::string_view path, std::string_view body = "",
        std::string_view header = "", std::string_view value = "") {
        text_ = fmt::format("{}{}", header, value);
        entries_ = {{0, static_cast<std::uint32_t>(header.size()),
            static_cast<std::uint32_t>(value.size()), static_cast<std::uint16_t>(header.size())}};
        const std::size_t mark = path.find('?');
        Incoming incoming;
        incoming.method = method;
        incoming.path = path.substr(0, mark);
        if (mark != std::string_view::npos) incoming.query = path.substr(mark + 1);
        if (!header.empty()) incoming.headers = net::Headers(text_.data(), &entries_);
        incoming.body = body;
        incoming.now = kNow;
        return identity_.answer(incoming);
    }
    bool knows(std::string_view token, Issuer issuer, Instant now) {
        text_ = fmt::format("authorizationBearer {}", token);
        entries_ = {{0, 13, static_cast<std::uint32_t>(token.size() + 7), 13}};
        Incoming incoming;
        incoming.headers = net::Headers(text_.data(), &entries_);
        incoming.now = now;
        return identity_.knows_bearer(incoming, issuer);
    }
    json::Document facts() { return *json::Document::parse(identity_.to_json()); }

    std::string entra_form(std::string_view proof) {
        const json::Document told = facts();
        const json::Value& entra = told.root()["entra"];
        return fmt::format("grant_type=client_credentials&client_id={}&scope={}&{}",
            entra["client_id"].string(),
            percent_encode("https://cognitiveservices.azure.com/.default"), proof);
    }

    /// Whether Oracle's federation gave a session.
    Refusal federate(std::string_view body) {
        return ask("POST", "/v1/x509", body, "authorization", "Signature none");
    }

    Identity identity_;
    std::string text_;
    std::vector<net::Headers::Entry> entries_;
};

TEST_F(Issuing, EntraIssuesForTheSecretAlone) {
    const json::Document told = facts();
    const json::Value& entra = told.root()["entra"];
    const std::string path = fmt::format("/{}/oauth2/v2.0/token", entra["tenant"].string());
    const Refusal refused = ask("POST", path, entra_form("client_secret=guess"));
    EXPECT_EQ(refused.status, 401);
    EXPECT_THAT(refused.body, HasSubstr("AADSTS7000215"));
    EXPECT_EQ(ask("POST", "/other/oauth2/v2.0/token", "").status, 400);
    const Refusal issued = ask("POST", path,
        entra_form(
            fmt::format("client_secret={}", percent_encode(entra["client_secret"].string()))));
    ASSERT_EQ(issued.status, 200) << issued.body;
    const auto reply = json::Document::parse(issued.body);
    const std::string token(reply->root()["access_token"].string());
    EXPECT_TRUE(knows(token, Issuer::kEntra, kNow + seconds(3599)));
    EXPECT_FALSE(knows(token, Issuer::kEntra, kNow + seconds(3600)));
    EXPECT_FALSE(knows(token, Issuer::kGoogle, kNow));
    EXPECT_FALSE(knows("entra-sim-999999", Issuer::kEntra, kNow));
}

TEST_F(Issuing, AssertionsOfAnotherKeyAreRefused) {
    const json::Document told = facts();
    const json::Value& entra = told.root()["entra"];
    const auto certificate = crypto::Certificate::parse(entra["certificate"].string());
    ASSERT_TRUE(certificate);
    const std::string path = fmt::format("/{}/oauth2/v2.0/token", entra["tenant"].string());
    const std::string header = fmt::format(R"({{"alg":"RS256","x5t#S256":"{}"}})",
        crypto::base64url_encode(crypto::view(certificate->sha256())));
    const auto status = [&](const crypto::RsaPrivateKey& key, std::string_view audience,
                            std::int64_t expires_in) {
        const std::string claims = fmt::format(R"({{"aud":"{}","iss":"{}","sub":"{}","exp":{}}})",
            audience, entra["client_id"].string(), entra["client_id"].string(),
            kNow.ns / 1'000'000'000 + expires_in);
        return ask(
            "POST", path, entra_form("client_assertion=" + crypto::sign_jwt(header, claims, key)))
            .status;
    };
    const auto key = crypto::RsaPrivateKey::parse(entra["private_key"].string());
    ASSERT_TRUE(key);
    EXPECT_EQ(status(*key, "http://sim" + path, 600), 200);
    EXPECT_EQ(status(*key, "http://elsewhere", 600), 401);
    EXPECT_EQ(status(*key, "http://sim" + path, -1), 401);
    EXPECT_EQ(status(crypto::RsaPrivateKey::generate(), "http://sim" + path, 600), 401);
}

TEST_F(Issuing, MetadataWantsTheHeadersThatNoForwardedRequestHas) {
    EXPECT_EQ(ask("GET", "/latest/meta-data/iam/security-credentials/").status, 401);
    EXPECT_EQ(ask("GET", "/latest/api/token").status, 400);
    EXPECT_EQ(ask("GET",
                  "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
                  "https%3A%2F%2Fcognitiveservices.azure.com")
                  .status,
        400);
    EXPECT_EQ(
        ask("GET", "/computeMetadata/v1/instance/service-accounts/default/token").status, 403);
    EXPECT_EQ(ask("GET", "/v2/credentials/simulated").status, 401);
}

TEST_F(Issuing, StsTakesItsTokenAloneAndSpeaksXmlUnlessAsked) {
    const std::string form =
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=test&RoleArn=" +
        percent_encode("arn:aws:iam::111122223333:role/simulated") + "&WebIdentityToken=";
    EXPECT_THAT(ask("POST", "/", form + "guess").body, HasSubstr("InvalidIdentityToken"));
    const Refusal xml = ask("POST", "/", form + "simulated.web.identity");
    EXPECT_EQ(xml.status, 200);
    EXPECT_THAT(xml.body, HasSubstr("<AccessKeyId>ASIASIM"));
    const Refusal json =
        ask("POST", "/", form + "simulated.web.identity", "accept", "application/json");
    const auto reply = json::Document::parse(json.body);
    const std::string_view id =
        reply
            ->root()["AssumeRoleWithWebIdentityResponse"]["AssumeRoleWithWebIdentityResult"]
                    ["Credentials"]["AccessKeyId"]
            .string();
    ASSERT_NE(identity_.find_keys(id), nullptr);
    EXPECT_EQ(identity_.find_keys(id)->expires, kNow + seconds(3600));
    EXPECT_EQ(identity_.find_keys("ASIASIM9"), nullptr);
}

TEST_F(Issuing, IsToldHowLongAndWhetherAtAll) {
    ASSERT_TRUE(identity_.control(R"({"lifetime_s":5})"));
    const Refusal short_lived =
        ask("GET", "/computeMetadata/v1/instance/service-accounts/default/token", "",
            "metadata-flavor", "Google");
    EXPECT_THAT(short_lived.body, HasSubstr("\"expires_in\":5"));
    ASSERT_TRUE(identity_.control(R"({"status":503})"));
    EXPECT_EQ(ask("POST", "/token", "").status, 503);
    EXPECT_FALSE(identity_.control(R"({"life":5})"));
    EXPECT_FALSE(identity_.control(R"({"status":"x"})"));
    EXPECT_EQ(facts().root()["asked"]["google"].as_int(), 1);
}

// What a right request gets is seen end to end.
TEST_F(Issuing, OraclesMetadataWantsItsHeaderAndItsFederationTheInstancesOwnCertificate) {
    EXPECT_EQ(ask("GET", "/opc/v2/identity/cert.pem").status, 401);
    const Refusal pem =
        ask("GET", "/opc/v2/identity/cert.pem", "", "authorization", "Bearer Oracle");
    ASSERT_EQ(pem.status, 200);
    const auto certificate = crypto::Certificate::parse(pem.body);
    ASSERT_TRUE(certificate);
    EXPECT_THAT(certificate->subject()[0], HasSubstr("opc-tenant:ocid1.tenancy."));
    const std::string known = base64_encode(certificate->to_der());
    EXPECT_THAT(federate("{}").body, HasSubstr("the certificate is not known"));
    const Refusal unsigned_one = federate(
        fmt::format(R"({{"certificate":"{}","publicKey":"","intermediateCertificates":["{}"]}})",
            known, known));
    EXPECT_EQ(unsigned_one.status, 401);
    EXPECT_THAT(unsigned_one.body, HasSubstr("Failed to verify the HTTP(S) Signature"));
}

}  // namespace
}  // namespace entrepot::cloudsim
