#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/jwt.h"
#include "crypto/testing.h"

namespace entrepot::crypto {
namespace {

using ::testing::HasSubstr;

// RFC 7515, appendix A.2, byte for byte.
constexpr std::string_view kPublishedClaims =
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
constexpr std::string_view kPublishedToken =
    "eyJhbGciOiJSUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    "."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
    "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
    "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

TEST(Jwt, SignsThePublishedVector) {
    const auto key = RsaPrivateKey::parse(testing::kPublishedKey);
    ASSERT_TRUE(key);
    EXPECT_EQ(sign_jwt(R"({"alg":"RS256"})", kPublishedClaims, *key), kPublishedToken);
}

TEST(Jwt, IsReadBackAndVerifiedByTheKeyOfItsCertificate) {
    const auto certificate = Certificate::parse(testing::kPublishedKeysCertificate);
    ASSERT_TRUE(certificate);
    Jwt jwt;
    ASSERT_TRUE(parse_jwt(kPublishedToken, jwt));
    EXPECT_EQ(jwt.claims_json, kPublishedClaims);
    EXPECT_TRUE(certificate->public_key().verify_sha256(jwt.signed_text, jwt.signature));
    jwt.signed_text.back() = 'g';
    EXPECT_FALSE(certificate->public_key().verify_sha256(jwt.signed_text, jwt.signature));
}

// By `openssl x509 -fingerprint -sha1 -subject` and `openssl pkey -pubin -outform DER | sha256sum`.
TEST(Certificate, IsNamedAsOpensslNamesIt) {
    const auto certificate = Certificate::parse(testing::kPublishedKeysCertificate);
    ASSERT_TRUE(certificate);
    EXPECT_EQ(certificate->sha1_fingerprint(),
        "4C:CB:72:54:83:91:E6:BD:6B:58:DD:98:9B:C4:8B:91:B3:55:A2:BF");
    EXPECT_EQ(certificate->subject(), std::vector<std::string>{"entrepot-test"});
    const std::string der = certificate->public_key().to_der();
    EXPECT_EQ(hex(sha256(der)), "6fd13c2435a361e7c588cd17f55f5ad3df0177a66c1727a6a200845f4d7ab88c");
    const auto again = RsaPublicKey::parse_der(der);
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, certificate->public_key());
    EXPECT_FALSE(RsaPublicKey::parse_der(der.substr(1)));
    EXPECT_FALSE(RsaPublicKey::parse_der(""));
}

TEST(Jwt, RefusesTextsOfAnotherForm) {
    Jwt jwt;
    for (const std::string_view bad :
        {"", "a", "a.b", "e30.e30", "e30.e30.a", "e30.e3+.AA", "e30=.e30.AA"})
        EXPECT_FALSE(parse_jwt(bad, jwt)) << bad;
    EXPECT_TRUE(parse_jwt("e30.e30.AA", jwt));
}

TEST(Jwt, Base64UrlHasNoPaddingAndOneTextPerValue) {
    EXPECT_EQ(base64url_encode("\xfb\xff\xfe"), "-__-");
    EXPECT_EQ(base64url_encode("ab"), "YWI");
    std::string out;
    EXPECT_TRUE(base64url_decode("-__-", out));
    EXPECT_EQ(out, "\xfb\xff\xfe");
    EXPECT_FALSE(base64url_decode("YWJ", out));  // bits are left over
    EXPECT_FALSE(base64url_decode("YWI=", out));
}

TEST(Certificate, HasTheThumbprintThatOpensslGives) {
    const auto certificate = Certificate::parse(testing::kPublishedKeysCertificate);
    ASSERT_TRUE(certificate);
    EXPECT_EQ(base64url_encode(view(certificate->sha256())), testing::kCertificateThumbprint);
    EXPECT_EQ(
        certificate->public_key(), RsaPrivateKey::parse(testing::kPublishedKey)->public_key());
}

TEST(Rsa, AKeyMadeHereSurvivesItsPemAndItsCertificateIsItsOwn) {
    const RsaPrivateKey key = RsaPrivateKey::generate();
    const auto again = RsaPrivateKey::parse(key.to_pem().reveal());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->sign_sha256("x"), key.sign_sha256("x"));
    const auto certificate = Certificate::parse(self_signed_certificate(key, "sim"));
    ASSERT_TRUE(certificate);
    EXPECT_EQ(certificate->public_key(), key.public_key());
    EXPECT_FALSE(key.public_key() == RsaPrivateKey::parse(testing::kPublishedKey)->public_key());
}

TEST(Rsa, SaysWhatIsWrongWithAKeyAndShowsNothingOfIt) {
    const auto refusal = [](std::string_view pem) {
        const auto key = RsaPrivateKey::parse(pem);
        return key ? std::string("accepted") : key.error().message;
    };
    EXPECT_THAT(refusal("hello secret"), HasSubstr("no private key in PEM"));
    EXPECT_THAT(refusal("hello secret"), ::testing::Not(HasSubstr("secret")));
    EXPECT_THAT(refusal("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"), HasSubstr("passphrase"));
    std::string cut(testing::kPublishedKey);
    cut.erase(100, 200);
    EXPECT_THAT(refusal(cut), HasSubstr("no private key in PEM"));
    // An elliptic curve's key, made with `openssl ecparam -genkey -name prime256v1`.
    EXPECT_THAT(refusal("-----BEGIN PRIVATE KEY-----\n"
                        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+bukTlMZxl4cxa9X\n"
                        "9VEDgP5qX0mLfNmWQRzeC0VzXFChRANCAARmISlnlxfCcn6aZGQ7VTRxE4W8kMrQ\n"
                        "liVLApAXr+7BMTWv5OsBixlcrKLEF2QjXdSxgjAkNMlqjbpMg5Jo+KyE\n"
                        "-----END PRIVATE KEY-----\n"),
        HasSubstr("not an RSA key"));
    EXPECT_THAT(refusal(RsaPrivateKey::generate(1024).to_pem().reveal()), HasSubstr("1024 bits"));
}

}  // namespace
}  // namespace entrepot::crypto
