#include "upstream/supplier.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "crypto/http_signature.h"
#include "crypto/testing.h"

namespace entrepot::upstream {
namespace {

namespace http_signature = crypto::http_signature;
using config::ApiFormat;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

config::CloudSettings cloud_with_key() {
    config::CloudSettings cloud;
    cloud.id = CloudId("c");
    cloud.kind = config::CloudKind::kOci;
    cloud.region = "eu-frankfurt-1";
    cloud.compartment = "ocid1.compartment.oc1..c";
    cloud.api_key = Secret("sk-up");
    return cloud;
}

std::vector<std::string> asked_at(const config::CloudSettings& cloud, std::string_view model,
    ApiFormat format = ApiFormat::kByModel) {
    const auto supplier = make_supplier(cloud);
    std::vector<std::string> all;
    for (const Voice& voice : (*supplier)->voices_in(model, format))
        all.push_back(fmt::format("{} {}", voice.dialect->name, voice.target_stream));
    return all;
}

TEST(OciSupplier, AsksEachModelInTheFormatThatItIsServedIn) {
    const config::CloudSettings cloud = cloud_with_key();
    EXPECT_THAT(asked_at(cloud, "xai.grok-4"),
        ElementsAre(
            "openai-chat /openai/v1/chat/completions", "openai-responses /openai/v1/responses"));
    EXPECT_THAT(asked_at(cloud, "meta.llama-3.3-70b-instruct"),
        ElementsAre("openai-chat /openai/v1/chat/completions"));
    EXPECT_THAT(asked_at(cloud, "cohere.command-r-08-2024"),
        ElementsAre("oci-cohere /20231130/actions/chat"));
    EXPECT_THAT(asked_at(cloud, "cohere.command-a-reasoning-08-2025"),
        ElementsAre("oci-cohere-v2 /20231130/actions/chat"));
    EXPECT_THAT(asked_at(cloud, "ocid1.generativeaiendpoint.oc1.x"),
        ElementsAre("oci /20231130/actions/chat"));
    EXPECT_THAT(asked_at(cloud, "xai.grok-4", ApiFormat::kGeneric),
        ElementsAre("oci /20231130/actions/chat"));
    const auto supplier = make_supplier(cloud);
    EXPECT_EQ((*supplier)->origin().authority(),
        "inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com");
}

TEST(OciSupplier, NamesTheCompartmentWhereTheFormatHasAPlaceForIt) {
    const auto supplier = make_supplier(cloud_with_key());
    const Voice native = (*supplier)->voices_in("xai.grok-4", ApiFormat::kGeneric).front();
    EXPECT_EQ(native.account, "ocid1.compartment.oc1..c");
    EXPECT_THAT(native.header_lines, Not(HasSubstr("compartment")));
    EXPECT_THAT(native.header_lines, HasSubstr("authorization: Bearer sk-up\r\n"));
    const Voice openai = (*supplier)->voices("xai.grok-4").front();
    EXPECT_THAT(openai.header_lines, HasSubstr("opc-compartment-id: ocid1.compartment.oc1..c\r\n"));
}

TEST(OciSupplier, AnEndpointThatNamesTheOpenaiAddressMeansTheCloudBehindIt) {
    config::CloudSettings cloud = cloud_with_key();
    cloud.endpoint = "http://127.0.0.1:1/private/20231130/actions/v1";
    EXPECT_THAT(asked_at(cloud, "meta.llama"),
        ElementsAre("openai-chat /private/20231130/actions/v1/chat/completions"));
    EXPECT_THAT(asked_at(cloud, "cohere.command-r"),
        ElementsAre("oci-cohere /private/20231130/actions/chat"));
}

// The text is put together on the loop; the signature is made elsewhere.
TEST(OciSupplier, SignsWhatIsSentWithTheKeyThatIsPublished) {
    config::CloudSettings cloud = cloud_with_key();
    cloud.api_key = Secret();
    cloud.credentials.from = config::CredentialsFrom::kSigningKey;
    const auto supplier = make_supplier(cloud);
    ASSERT_TRUE(supplier) << supplier.error().message;
    auto cell = std::make_shared<CredentialCell>(std::make_shared<CredentialState>());
    const auto signer = (*supplier)->make_signer(cell);
    ASSERT_NE(signer, nullptr);
    constexpr Instant kNow{1'795'435'200'000'000'000};
    net::HeaderLines lines;
    EXPECT_FALSE(signer->ready(kNow));
    const Signer::Request chat{.target = "/20231130/actions/chat", .body = "{\"a\":1}"};
    EXPECT_FALSE(signer->sign(chat, kNow, lines));

    const auto key = crypto::RsaPrivateKey::parse(crypto::testing::kPublishedKey);
    auto state = std::make_shared<CredentialState>();
    state->held.emplace();
    state->held->signing_key = *key;
    state->held->key_id = "t/u/f";
    cell->publish(state);
    ASSERT_TRUE(signer->ready(kNow));
    const std::string host = "\nhost: inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com";
    const std::string digest = http_signature::content_sha256("{\"a\":1}");
    const std::string none = http_signature::content_sha256("");
    struct Case {
        Signer::Request sent;
        std::string signs;
    };
    const std::vector<Case> cases{
        {chat,
            "post /20231130/actions/chat" + host +
                "\ncontent-length: 7\ncontent-type: application/json\nx-content-sha256: " + digest},
        {{.method = "PUT", .target = "/x", .content_type = "text/plain"},
            "put /x" + host +
                "\ncontent-length: 0\ncontent-type: text/plain\nx-content-sha256: " + none},
        {{.method = "GET", .target = "/x?a=b", .content_type = ""}, "get /x?a=b" + host},
        {{.method = "DELETE", .target = "/x", .content_type = ""}, "delete /x" + host}};
    for (const Case& one : cases) {
        lines.clear();
        ASSERT_TRUE(signer->sign(one.sent, kNow, lines));
        Signer::Rest rest = signer->take_rest();
        ASSERT_TRUE(rest);
        EXPECT_FALSE(signer->take_rest());
        const auto line = rest();
        ASSERT_TRUE(line);
        constexpr std::string_view kName = "authorization: ";
        ASSERT_TRUE(line->starts_with(kName));
        const auto claim = http_signature::parse_authorization(trim(line->substr(kName.size())));
        ASSERT_TRUE(claim) << claim.error().message;
        EXPECT_EQ(claim->key_id, "t/u/f");
        const std::string text =
            "date: Mon, 23 Nov 2026 12:00:00 GMT\n(request-target): " + one.signs;
        EXPECT_TRUE(key->public_key().verify_sha256(text, claim->signature)) << text;
        EXPECT_THAT(lines.text(), HasSubstr("date: Mon, 23 Nov 2026 12:00:00 GMT\r\n"));
        EXPECT_EQ(lines.text().find("x-content-sha256") != std::string_view::npos,
            !one.sent.content_type.empty());
    }
}

TEST(OciSupplier, SaysWhatIsMissing) {
    config::CloudSettings cloud = cloud_with_key();
    cloud.region.clear();
    EXPECT_THAT(make_supplier(cloud).error().message, HasSubstr("clouds.c: region is missing"));
    cloud = cloud_with_key();
    cloud.api_key = Secret();
    EXPECT_THAT(make_supplier(cloud).error().message, HasSubstr("credentials are missing"));
}

}  // namespace
}  // namespace entrepot::upstream
