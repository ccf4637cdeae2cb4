#include "upstream/vertex/vertex.h"

#include <gtest/gtest.h>

#include "dialect/dialect.h"

namespace entrepot::upstream {
namespace {

config::CloudSettings cloud_in(std::string region) {
    config::CloudSettings cloud;
    cloud.id = CloudId("gcp");
    cloud.kind = config::CloudKind::kVertex;
    cloud.project = "acme-123";
    cloud.region = std::move(region);
    cloud.credentials.from = config::CredentialsFrom::kMetadata;
    return cloud;
}

std::unique_ptr<const Supplier> made(const config::CloudSettings& cloud) {
    auto supplier = make_vertex(cloud);
    EXPECT_TRUE(supplier) << supplier.error().message;
    return std::move(*supplier);
}

Voice voice_of(const config::CloudSettings& cloud, std::string_view id) {
    return made(cloud)->voices(id).front();
}

/// The voice that does the task; one that speaks nothing where none does.
Voice voice_for(canon::Task task, std::string_view id) {
    for (const Voice& voice : made(cloud_in("eu"))->voices(id))
        if (voice.can(task)) return voice;
    return {};
}

TEST(Vertex, EachLocationHasItsOwnHost) {
    EXPECT_EQ(
        made(cloud_in("europe-west4"))->origin().host, "europe-west4-aiplatform.googleapis.com");
    EXPECT_EQ(made(cloud_in("global"))->origin().host, "aiplatform.googleapis.com");
    EXPECT_EQ(made(cloud_in("eu"))->origin().host, "aiplatform.eu.rep.googleapis.com");
    EXPECT_EQ(made(cloud_in("us"))->origin().host, "aiplatform.us.rep.googleapis.com");
}

TEST(Vertex, GooglesModelsAreAskedToGenerateByTheBeta) {
    for (const char* id : {"gemini-2.5-flash", "google/gemini-2.5-flash",
             "publishers/google/models/gemini-2.5-flash"}) {
        const Voice voice = voice_of(cloud_in("europe-west4"), id);
        EXPECT_EQ(voice.dialect->name, "vertex");
        EXPECT_EQ(voice.target_whole,
            "/v1beta1/projects/acme-123/locations/europe-west4/publishers/google/models/"
            "gemini-2.5-flash:generateContent");
        EXPECT_TRUE(voice.target_stream.ends_with(":streamGenerateContent?alt=sse"));
        EXPECT_EQ(voice.model_id, "gemini-2.5-flash");
    }
}

TEST(Vertex, WhatWasTunedIsAskedAtItsEndpoint) {
    EXPECT_EQ(voice_of(cloud_in("us-central1"), "endpoints/4711").target_whole,
        "/v1beta1/projects/acme-123/locations/us-central1/endpoints/4711:generateContent");
}

TEST(Vertex, ClaudeIsAskedInItsMakersFormatWithTheVersionInItsName) {
    for (const char* id : {"claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4-5@20250929"}) {
        const Voice voice = voice_of(cloud_in("us-east5"), id);
        EXPECT_EQ(voice.dialect->name, "vertex-anthropic");
        EXPECT_EQ(voice.target_stream,
            "/v1/projects/acme-123/locations/us-east5/publishers/anthropic/models/"
            "claude-sonnet-4-5@20250929:streamRawPredict");
    }
}

TEST(Vertex, PartnersAreAskedByChatCompletionsUnderTheirPublishersName) {
    for (const char* id : {"llama-3.3-70b-instruct-maas", "meta/llama-3.3-70b-instruct-maas",
             "publishers/meta/models/llama-3.3-70b-instruct-maas"}) {
        const Voice voice = voice_of(cloud_in("us-central1"), id);
        EXPECT_EQ(voice.dialect->name, "openai-chat");
        EXPECT_EQ(voice.target_whole,
            "/v1/projects/acme-123/locations/us-central1/endpoints/openapi/chat/completions");
        EXPECT_EQ(voice.model_id, "meta/llama-3.3-70b-instruct-maas");
    }
    EXPECT_EQ(voice_of(cloud_in("global"), "gemma-4-26b-a4b-it-maas").model_id,
        "google/gemma-4-26b-a4b-it-maas");
}

TEST(Vertex, MistralTakesChatCompletionsAtItsOwnModel) {
    const Voice voice = voice_of(cloud_in("europe-west4"), "mistral-medium-3");
    EXPECT_EQ(voice.dialect->name, "openai-chat");
    EXPECT_EQ(voice.target_whole,
        "/v1/projects/acme-123/locations/europe-west4/publishers/mistralai/models/"
        "mistral-medium-3:rawPredict");
    EXPECT_EQ(voice.model_id, "mistral-medium-3");
    EXPECT_FALSE(voice.quirks.can_ask_stream_usage);
}

TEST(Vertex, CountsTokensOfGooglesModelsAndOfClaude) {
    constexpr auto kTask = canon::Task::kCountTokens;
    EXPECT_TRUE(voice_for(kTask, "gemini-2.5-pro")
            .target_whole.ends_with("/publishers/google/models/gemini-2.5-pro:countTokens"));
    const Voice claude = voice_for(kTask, "anthropic/claude-sonnet-4-5@20250929");
    EXPECT_EQ(claude.target_whole,
        "/v1/projects/acme-123/locations/eu/publishers/anthropic/models/count-tokens:rawPredict");
    EXPECT_EQ(claude.model_id, "claude-sonnet-4-5@20250929");  // the body names it
    EXPECT_EQ(voice_for(kTask, "meta/llama-3.3-70b-instruct-maas").dialect, nullptr);
}

TEST(Vertex, MakesVectorsByTheCallOfEachModel) {
    constexpr auto kTask = canon::Task::kEmbed;
    const Voice text = voice_for(kTask, "text-embedding-005");
    EXPECT_TRUE(text.target_whole.ends_with("/models/text-embedding-005:predict"));
    EXPECT_EQ(text.inputs_max, 250U);
    const Voice first = voice_for(kTask, "publishers/google/models/gemini-embedding-001");
    EXPECT_TRUE(first.target_whole.ends_with("/models/gemini-embedding-001:predict"));
    EXPECT_EQ(first.inputs_max, 1U);
    EXPECT_TRUE(voice_for(kTask, "gemini-embedding-2")
            .target_whole.ends_with("/models/gemini-embedding-2:embedContent"));
    EXPECT_EQ(voice_for(canon::Task::kConverse, "text-embedding-005").dialect, nullptr);
    EXPECT_EQ(voice_for(kTask, "gemini-2.5-pro").dialect, nullptr);
}

TEST(Vertex, AKeyWithoutAProjectIsExpressMode) {
    config::CloudSettings cloud = cloud_in("");
    cloud.project.clear();
    cloud.credentials = {};
    cloud.api_key = Secret("AQ.key");
    EXPECT_EQ(made(cloud)->origin().host, "aiplatform.googleapis.com");
    const auto supplier = made(cloud);
    const Voice voice = supplier->voices("gemini-3-flash-preview").front();
    EXPECT_EQ(voice.target_whole,
        "/v1beta1/publishers/google/models/gemini-3-flash-preview:generateContent");
    EXPECT_NE(voice.header_lines.find("x-goog-api-key: AQ.key"), std::string::npos);
}

TEST(Vertex, AnEndpointMayNameOneVersionForAll) {
    config::CloudSettings cloud = cloud_in("us-central1");
    cloud.endpoint = "https://vertex.internal.example/v1";
    EXPECT_TRUE(voice_of(cloud, "gemini-2.5-pro").target_whole.starts_with("/v1/projects/"));
}

}  // namespace
}  // namespace entrepot::upstream
