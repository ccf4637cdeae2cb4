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
    const std::vector<Voice> voices = made(cloud)->voices(id);
    EXPECT_EQ(voices.size(), 1U);
    return voices.front();
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

TEST(Vertex, AKeyWithoutAProjectIsExpressMode) {
    config::CloudSettings cloud = cloud_in("");
    cloud.project.clear();
    cloud.credentials = {};
    cloud.api_key = Secret("AQ.key");
    EXPECT_EQ(made(cloud)->origin().host, "aiplatform.googleapis.com");
    const Voice voice = voice_of(cloud, "gemini-3-flash-preview");
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
