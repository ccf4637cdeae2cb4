#include "crypto/http_signature.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "crypto/rsa.h"
#include "crypto/testing.h"

namespace entrepot::crypto::http_signature {
namespace {

constexpr std::string_view kHost = "inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com";
constexpr std::string_view kDate = "Mon, 23 Nov 2026 12:00:00 GMT";
constexpr std::string_view kKeyId =
    "ocid1.tenancy.oc1..aaaa/ocid1.user.oc1..bbbb/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34";
constexpr std::string_view kBody =
    "{\"compartmentId\":\"ocid1.compartment.oc1..cccc\",\"text\":\"h\xc3\xa9llo\"}";

// Both as Oracle's Python SDK 2.189.0 signed them with the published key; the second was also made
// with `openssl dgst -sha256 -sign`.
constexpr std::string_view kSignatureOfPost =
    "AFKQCtsQsIX9+9BA3/HSMzOK0IAobhEhPBr2xCIHvahOrqvXSl9wMR8Hh9qLxekqgF7QOO9QcS6zkoVc2/dZeYwlCFSI"
    "brC7bW4sEW29jZ5ghvVUXRUZHmax3nZ6cipH95FT4Pd/xmgKmn0KJGRMejI9WuEQt0tjfdsGpIRQ/VQ71B+2Wxud5Tzk"
    "eNwDNCcm2SmvPtat1Ayw6ZP8W0Uqg1ijoWauvLmjbP0j5Uono4tUZOUJP6AWvTXuWv7powJcyufCo6PpreV5czo9tY/l"
    "KntJR6xWioYMvKJojFApwxVx3Mlk3M3Cgs07hk67BDiVbr4ldd1hw62Nfbrjr0NH7A==";
constexpr std::string_view kSignatureOfGet =
    "lu5e4YFyAn4oNHYihb+juYiyX+WFIPVtnwtSG0E5Xe53mV5KNpY+dwL4TsvQ43D0ZK3yPiHtnR1FG8HIqbjlpPkzJek2"
    "MH/0CXMrNr+F68FmcAb1i0KCWkedDPdCFt14AFZaTrFiDrKcW2XJEhHTd+AU+/L3s5XI0fBKm/jL5o/KN3jlXmTCTG2H"
    "bJ6V8K84BXqeeAYgCwsPJeAVEysDmHWdadkIhh7cWTI5NY3ilwXJT4P107Jlz4plXmS6M33ynp41SL1glZp/bq2f44Bu"
    "b6li8UhiQSf+MH+uk3ihjiTVpPXnthl/SVIJW217stVPQHKG4LBh0YBi9tQ91oK/Uw==";

Request post() {
    static const std::string digest = content_sha256(kBody);
    return {.method = "POST",
        .target = "/20231130/actions/chat?x=1",
        .host = kHost,
        .date = kDate,
        .content_type = "application/json",
        .content_bytes = kBody.size(),
        .content_sha256 = digest};
}

RsaPrivateKey published() { return *RsaPrivateKey::parse(testing::kPublishedKey); }

std::optional<std::string_view> header_of_post(std::string_view name) {
    static const std::string length = std::to_string(kBody.size());
    static const std::string digest = content_sha256(kBody);
    if (name == "date") return kDate;
    if (name == "host") return kHost;
    if (name == "content-length") return length;
    if (name == "content-type") return "application/json";
    if (name == "x-content-sha256") return digest;
    return std::nullopt;
}

TEST(HttpSignature, SignsABodyAsOraclesOwnSdkDoes) {
    EXPECT_EQ(content_sha256(kBody), "NRoXZneYL9PfcZeyYYXwTuiHb/3pqKYfnb0/mN0+Gg8=");
    const std::string signature = published().sign_sha256(signing_string(post()));
    EXPECT_EQ(base64_encode(signature), kSignatureOfPost);
    EXPECT_EQ(authorization(kKeyId, signature, covered(post())),
        "Signature algorithm=\"rsa-sha256\",headers=\"date (request-target) host content-length "
        "content-type x-content-sha256\",keyId=\"" +
            std::string(kKeyId) + "\",signature=\"" + std::string(kSignatureOfPost) +
            "\",version=\"1\"");
}

TEST(HttpSignature, SignsARequestWithoutABodyByThreeLines) {
    Request get{.method = "GET",
        .target = "/20231130/models",
        .host = kHost,
        .date = kDate,
        .content_type = {},
        .content_sha256 = {}};
    EXPECT_EQ(base64_encode(published().sign_sha256(signing_string(get))), kSignatureOfGet);
}

TEST(HttpSignature, WithoutAHostTheRestIsCovered) {
    Request request = post();
    request.host = {};
    EXPECT_EQ(
        covered(request), "date (request-target) content-length content-type x-content-sha256");
    const std::string text = signing_string(request);
    EXPECT_EQ(text.find("host:"), std::string::npos);
    EXPECT_NE(text.find("?x=1\ncontent-length:"), std::string::npos);
}

TEST(HttpSignature, WhatWasSignedIsReadBackAndVerified) {
    const RsaPrivateKey key = published();
    const std::string header =
        authorization(kKeyId, key.sign_sha256(signing_string(post())), covered(post()));
    const auto claim = parse_authorization(header);
    ASSERT_TRUE(claim) << claim.error().message;
    EXPECT_EQ(claim->key_id, kKeyId);
    const auto text =
        claimed_string(*claim, "POST", "/20231130/actions/chat?x=1", true, header_of_post);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_TRUE(key.public_key().verify_sha256(*text, claim->signature));
    const auto elsewhere =
        claimed_string(*claim, "POST", "/20231130/actions/chat?x=2", true, header_of_post);
    ASSERT_TRUE(elsewhere);
    EXPECT_FALSE(key.public_key().verify_sha256(*elsewhere, claim->signature));
}

TEST(HttpSignature, ABodyThatIsNotSignedAndAMalformedHeaderAreRefused) {
    const auto bare =
        parse_authorization(authorization(kKeyId, "sig", "date (request-target) host"));
    ASSERT_TRUE(bare);
    EXPECT_FALSE(claimed_string(*bare, "POST", "/x", true, header_of_post));
    EXPECT_TRUE(claimed_string(*bare, "GET", "/x", false, header_of_post));
    for (const std::string_view header :
        {"", "Bearer sk-1", "Signature ",
            R"(Signature algorithm="hmac-sha256",headers="date",keyId="k",signature="YQ==",version="1")",
            R"(Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="YQ==",version="2")",
            R"(Signature algorithm="rsa-sha256",headers="date",keyId="k",signature="?",version="1")",
            R"(Signature algorithm="rsa-sha256",headers="date",keyId="k,signature="YQ==")"})
        EXPECT_FALSE(parse_authorization(header)) << header;
}

// The form of a fingerprint that Oracle's console shows, by `openssl rsa -pubout -outform DER |
// openssl md5 -c`.
TEST(HttpSignature, AKeysFingerprintIsThatOfItsPublicHalf) {
    EXPECT_EQ(published().public_key().md5_fingerprint(), testing::kPublishedFingerprint);
}

}  // namespace
}  // namespace entrepot::crypto::http_signature
