#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "upstream/credentials/replies.h"

namespace entrepot::upstream {
namespace {

using ::testing::HasSubstr;

// 2026-11-23T00:00:00Z
constexpr Instant kNow{1'795'392'000LL * 1'000'000'000};

std::string trouble(const Result<Credential>& read) {
    return read ? "a credential" : read.error().message;
}

// The answers in the words of AWS's documentation.
TEST(AwsReplies, InstanceMetadataAndContainersSpeakAlike) {
    const auto instance = read_aws_keys(200,
        R"({"Code":"Success","LastUpdated":"2026-11-22T23:50:00Z","Type":"AWS-HMAC",)"
        R"("AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG",)"
        R"("Token":"IQoJb3==","Expiration":"2026-11-23T06:00:00Z"})",
        kNow);
    ASSERT_TRUE(instance) << trouble(instance);
    EXPECT_EQ(instance->access_key_id.reveal(), "ASIAIOSFODNN7EXAMPLE");
    EXPECT_EQ(instance->secret_access_key.reveal(), "wJalrXUtnFEMI/K7MDENG");
    EXPECT_EQ(instance->session_token.reveal(), "IQoJb3==");
    EXPECT_EQ(instance->expires, kNow + seconds(6 * 3600));

    const auto container = read_aws_keys(200,
        R"({"RoleArn":"arn","AccessKeyId":"A","SecretAccessKey":"S","Token":"T",)"
        R"("Expiration":"2026-11-23T01:00:00Z"})",
        kNow);
    ASSERT_TRUE(container) << trouble(container);
    EXPECT_EQ(container->expires, kNow + seconds(3600));
}

TEST(AwsReplies, WhatIsNoCredentialIsNamed) {
    EXPECT_THAT(trouble(read_aws_keys(200,
                    R"({"Code":"AssumeRoleUnauthorizedAccess",)"
                    R"("Message":"EC2 cannot assume the role"})",
                    kNow)),
        HasSubstr("AssumeRoleUnauthorizedAccess: EC2 cannot assume the role"));
    EXPECT_THAT(trouble(read_aws_keys(404, "<html>", kNow)), HasSubstr("it answered 404"));
    EXPECT_THAT(trouble(read_aws_keys(302, "", kNow)), HasSubstr("redirects are not followed"));
    EXPECT_THAT(trouble(read_aws_keys(200, "[]", kNow)), HasSubstr("no JSON object"));
    const auto with = [](std::string_view id, std::string_view expires) {
        return trouble(read_aws_keys(200,
            R"({"SecretAccessKey":"S","Token":"T","AccessKeyId":")" + std::string(id) +
                R"(","Expiration":")" + std::string(expires) + "\"}",
            kNow));
    };
    EXPECT_THAT(with("", "2026-11-23T01:00:00Z"), HasSubstr("no AccessKeyId"));
    EXPECT_THAT(with("A\\r\\nx: y", "2026-11-23T01:00:00Z"), HasSubstr("no AccessKeyId"));
    EXPECT_THAT(with("A", "soon"), HasSubstr("no Expiration"));
    EXPECT_THAT(with("A", "2026-11-22T23:59:59Z"), HasSubstr("it has expired already"));
    EXPECT_EQ(with("A", "2026-11-23T00:00:01Z"), "a credential");
}

constexpr std::string_view kStsXml =
    R"(<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>amzn1.account.AF6RHO7KZU5XRVQJGXK6HB56KR2A</SubjectFromWebIdentityToken>
    <Audience>client.5498841531868486423.1548@apps.example.com</Audience>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <Expiration>2026-11-23T01:00:00Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>)";

TEST(StsReplies, AreReadInXmlAndInJson) {
    const auto xml = read_sts_reply(200, kStsXml, kNow);
    ASSERT_TRUE(xml) << trouble(xml);
    EXPECT_EQ(xml->access_key_id.reveal(), "ASgeIAIOSFODNN7EXAMPLE");
    EXPECT_EQ(xml->secret_access_key.reveal(), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
    EXPECT_EQ(xml->session_token.reveal(), "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE");
    EXPECT_EQ(xml->expires, kNow + seconds(3600));
    for (const std::string_view expiration :
        {"1795395600", "1.7953956E9", "1795395600.0", "\"2026-11-23T01:00:00Z\""}) {
        const auto json = read_sts_reply(200,
            R"({"AssumeRoleWithWebIdentityResponse":{"AssumeRoleWithWebIdentityResult":)"
            R"({"Credentials":{"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T",)"
            R"("Expiration":)" +
                std::string(expiration) + "}}}}",
            kNow);
        ASSERT_TRUE(json) << expiration << trouble(json);
        EXPECT_EQ(json->session_token.reveal(), "T");
        EXPECT_EQ(json->expires, kNow + seconds(3600));
    }
}

TEST(StsReplies, SayWhyTheyRefuse) {
    EXPECT_THAT(trouble(read_sts_reply(400,
                    "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>"
                    "<Message>Token expired</Message></Error></ErrorResponse>",
                    kNow)),
        HasSubstr("400: ExpiredTokenException: Token expired"));
    const auto json = read_sts_reply(
        403, R"({"Error":{"Code":"AccessDenied","Message":"Not authorized"}})", kNow);
    EXPECT_THAT(trouble(json), HasSubstr("AccessDenied: Not authorized"));
    EXPECT_EQ(json.error().code, ErrorCode::kUpstreamAuth);
    EXPECT_EQ(read_sts_reply(503, "", kNow).error().code, ErrorCode::kUpstreamError);
    std::string cut(kStsXml);
    cut.erase(cut.find("<SecretAccessKey>"), 20);
    EXPECT_THAT(trouble(read_sts_reply(200, cut, kNow)), HasSubstr("no SecretAccessKey"));
}

TEST(OAuthReplies, TakeTheLifetimeAsNumberOrText) {
    const auto expires = [](std::string_view members) {
        const auto read = read_oauth_reply(200,
            R"({"token_type":"Bearer","access_token":"tok",)" + std::string(members) + "}", kNow);
        return read ? (read->expires - kNow).count() / 1'000'000'000 : -1;
    };
    EXPECT_EQ(expires(R"("expires_in":3599,"ext_expires_in":9999)"), 3599);          // Entra
    EXPECT_EQ(expires(R"("expires_in":"86400","expires_on":"1795395600")"), 86400);  // Azure
    EXPECT_EQ(expires(R"("expires_on":"1795395600")"), 3600);
    EXPECT_EQ(expires(R"("expires_in":99999999999)"), kLifetimeMax.count());
    EXPECT_EQ(expires(R"("expires_in":0)"), -1);
    EXPECT_EQ(expires(R"("expires_in":-5)"), -1);
    EXPECT_EQ(expires(R"("expires_in":"soon")"), -1);
    EXPECT_EQ(expires(R"("x":1)"), -1);
}

TEST(OAuthReplies, SayWhyTheyRefuse) {
    EXPECT_THAT(
        trouble(read_oauth_reply(401,
            R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid client )"
            R"(secret provided."})",
            kNow)),
        HasSubstr("401: invalid_client: AADSTS7000215"));
    EXPECT_THAT(
        trouble(read_oauth_reply(403,
            R"({"error":{"code":403,"message":"disabled","status":"PERMISSION_DENIED"}})", kNow)),
        HasSubstr("PERMISSION_DENIED: disabled"));
    EXPECT_THAT(
        trouble(read_oauth_reply(200, R"({"expires_in":1})", kNow)), HasSubstr("no access_token"));
    EXPECT_THAT(trouble(read_oauth_reply(200, R"({"access_token":"a b","expires_in":1})", kNow)),
        HasSubstr("no access_token"));
    EXPECT_THAT(trouble(read_oauth_reply(
                    200, R"({"access_token":"a","token_type":"pop","expires_in":1})", kNow)),
        HasSubstr("token_type is 'pop'"));
    EXPECT_THAT(trouble(read_oauth_reply(200, "token", kNow)), HasSubstr("no JSON object"));
}

}  // namespace
}  // namespace entrepot::upstream
