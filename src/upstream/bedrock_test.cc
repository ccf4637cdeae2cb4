#include "upstream/supplier.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/sigv4.h"

namespace entrepot::upstream {
namespace {

namespace sigv4 = crypto::sigv4;
using config::ApiFormat;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

config::CloudSettings cloud_of(std::string_view endpoint = "", std::string_view service = "") {
    config::CloudSettings cloud;
    cloud.id = CloudId("c");
    cloud.kind = config::CloudKind::kBedrock;
    cloud.region = "us-east-1";
    cloud.access_key_id = Secret("AKIA");
    cloud.secret_access_key = Secret("s");
    cloud.endpoint = endpoint;
    cloud.service = service;
    return cloud;
}

/// Of conversations.
std::vector<std::string> asked_at(const config::CloudSettings& cloud, std::string_view model,
    ApiFormat format = ApiFormat::kByModel) {
    const auto supplier = make_supplier(cloud);
    std::vector<std::string> all;
    for (const Voice& voice : (*supplier)->voices_in(model, format))
        if (voice.can(canon::Task::kConverse))
            all.push_back(fmt::format("{} {}", voice.dialect->name, voice.target_stream));
    return all;
}

constexpr Instant kNow{1'795'435'200'000'000'000};

std::string signature_of(const config::CloudSettings& cloud,
    const Signer::Request& sent = {.target = "/x", .body = "{}"}) {
    const auto supplier = make_supplier(cloud);
    net::HeaderLines lines;
    EXPECT_TRUE((*supplier)->make_signer(nullptr)->sign(sent, kNow, lines));
    return std::string(lines.text());
}

TEST(BedrockSupplier, OpenaisOpenWeightsAreAskedInChatCompletionsByClientsWhoSpeakThem) {
    EXPECT_THAT(asked_at(cloud_of(), "openai.gpt-oss-20b-1:0"),
        ElementsAre("bedrock-converse /model/openai.gpt-oss-20b-1%3A0/converse-stream",
            "bedrock-invoke /model/openai.gpt-oss-20b-1%3A0/invoke-with-response-stream",
            "openai-chat /openai/v1/chat/completions"));
    EXPECT_EQ(asked_at(cloud_of(), "amazon.nova-lite-v1:0").size(), 2U);
    EXPECT_THAT(asked_at(cloud_of(), "qwen.qwen3", ApiFormat::kOpenai),
        ElementsAre("openai-chat /openai/v1/chat/completions"));
    EXPECT_THAT(signature_of(cloud_of()), HasSubstr("/us-east-1/bedrock/aws4_request"));
}

TEST(BedrockSupplier, ModelsThatMakeVectorsHoldNoConversations) {
    for (const std::string_view model : {"amazon.titan-embed-text-v2:0", "us.cohere.embed-v4:0"}) {
        EXPECT_THAT(asked_at(cloud_of(), model), IsEmpty()) << model;
        const auto voices = (*make_supplier(cloud_of()))->voices(model);
        ASSERT_EQ(voices.size(), 1U) << model;
        EXPECT_TRUE(voices[0].can(canon::Task::kEmbed)) << model;
        EXPECT_EQ(voices[0].inputs_max, model.starts_with("amazon.") ? 1U : 96U);
    }
}

// What is not sent cannot be checked, and what is sent should not be changed on its way.
TEST(BedrockSupplier, SignsTheMethodAndTheTypeThatAreSent) {
    const config::CloudSettings cloud = cloud_of();
    const std::string host((*make_supplier(cloud))->origin().authority());
    for (const Signer::Request& sent : {Signer::Request{.target = "/x", .body = "{}"},
             Signer::Request{.method = "GET", .target = "/x?a=b", .content_type = ""},
             Signer::Request{.method = "DELETE", .target = "/x", .content_type = ""},
             Signer::Request{.method = "PUT", .target = "/x", .content_type = "text/plain"}}) {
        const std::string lines = signature_of(cloud, sent);
        std::vector<sigv4::HeaderView> headers{{"host", host}};
        if (!sent.content_type.empty()) headers.push_back({"content-type", sent.content_type});
        std::string_view claimed;
        for (const std::string_view line : split(lines, '\n')) {
            const std::size_t colon = line.find(": ");
            if (colon == line.npos) continue;
            headers.push_back({line.substr(0, colon), trim(line.substr(colon + 2))});
            if (headers.back().name == "authorization") claimed = headers.back().value;
        }
        const auto claim = sigv4::parse_authorization(claimed);
        ASSERT_TRUE(claim) << lines;
        const std::size_t cut = std::min(sent.target.find('?'), sent.target.size());
        const std::string digest = crypto::hex(crypto::sha256(sent.body));
        const sigv4::Request request{.method = sent.method,
            .path = sent.target.substr(0, cut),
            .query = cut < sent.target.size() ? sent.target.substr(cut + 1) : "",
            .headers = headers,
            .body_sha256_hex = digest};
        sigv4::KeyCache keys;
        EXPECT_EQ(sigv4::verify(*claim, Secret("s"), request, kNow, keys), sigv4::Verdict::kValid)
            << sent.method;
    }
}

TEST(BedrockSupplier, TheNewerServiceSpeaksTheMakersOwnFormatsAndIsSignedForByItsName) {
    const config::CloudSettings by_host = cloud_of("https://bedrock-mantle.us-east-1.api.aws");
    const config::CloudSettings by_name = cloud_of("", "bedrock-mantle");
    for (const config::CloudSettings& cloud : {by_host, by_name}) {
        EXPECT_EQ(
            (*make_supplier(cloud))->origin().authority(), "bedrock-mantle.us-east-1.api.aws");
        EXPECT_THAT(asked_at(cloud, "openai.gpt-oss-20b"),
            ElementsAre("openai-chat /v1/chat/completions", "openai-responses /v1/responses"));
        EXPECT_THAT(asked_at(cloud, "openai.gpt-5.5"),
            ElementsAre("openai-responses /openai/v1/responses"));
        EXPECT_THAT(asked_at(cloud, "us.anthropic.claude-sonnet-4-5"),
            ElementsAre("anthropic-messages /anthropic/v1/messages"));
        EXPECT_THAT(signature_of(cloud), HasSubstr("/us-east-1/bedrock-mantle/aws4_request"));
    }
    EXPECT_THAT(asked_at(cloud_of("http://127.0.0.1:9/relay", "bedrock-mantle"), "zai.glm-5"),
        ElementsAre(
            "openai-chat /relay/v1/chat/completions", "openai-responses /relay/v1/responses"));
}

}  // namespace
}  // namespace entrepot::upstream
