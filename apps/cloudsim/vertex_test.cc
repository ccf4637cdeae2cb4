// The simulated Vertex AI's own checks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloudsim/cloud.h"

namespace entrepot::cloudsim {
namespace {

using testing::HasSubstr;

constexpr std::string_view kPlace = "/projects/simulated-project/locations/europe-west4";
constexpr std::string_view kGenerate = R"({"contents":[{"role":"user","parts":[{"text":"a"}]}]})";
constexpr std::string_view kMessages = R"({"anthropic_version":"vertex-2023-10-16","max_tokens":9,
    "messages":[{"role":"user","content":"a"}]})";

class CloudsimVertex : public testing::Test {
protected:
    /// What the cloud says: empty when it takes the request.
    std::string refusal(
        std::string_view path, std::string_view body, std::string_view key = "AQ.SimVertex0001") {
        text_ = "x-goog-api-key" + std::string(key);
        entries_.clear();
        if (!key.empty()) entries_.push_back({0, 14, static_cast<std::uint32_t>(key.size()), 14});
        const Incoming in{.method = "POST",
            .path = path,
            .query = "alt=sse",
            .headers = net::Headers(text_.data(), &entries_),
            .body = body,
            .now = {}};
        const auto ask = cloud_->read(in);
        return ask ? std::string() : ask.error().body;
    }
    static std::string at(std::string_view rest, std::string_view version = "/v1beta1") {
        return std::string(version) + std::string(kPlace) + std::string(rest);
    }

    std::string text_;
    std::vector<net::Headers::Entry> entries_;
    std::unique_ptr<Cloud> cloud_ = make_vertex();
};

TEST_F(CloudsimVertex, ChecksCredentialsProjectAndPlace) {
    const std::string path = at("/publishers/google/models/gemini-2.5-flash:generateContent");
    EXPECT_EQ(refusal(path, kGenerate), "");
    EXPECT_THAT(refusal(path, kGenerate, ""), HasSubstr("CREDENTIALS_MISSING"));
    EXPECT_THAT(refusal(path, kGenerate, "wrong"), HasSubstr("API_KEY_INVALID"));
    EXPECT_THAT(refusal("/v1/projects/other/locations/europe-west4/publishers/google/models/"
                        "gemini-2.5-flash:generateContent",
                    kGenerate),
        HasSubstr("PERMISSION_DENIED"));
    EXPECT_THAT(refusal(at("/publishers/google/models/gemini-9:generateContent"), kGenerate),
        HasSubstr("NOT_FOUND"));
}

TEST_F(CloudsimVertex, BindsClaudeToClosedSchemasAlone) {
    const std::string path =
        at("/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict", "/v1");
    const auto refused = [&](std::string_view schema) {
        std::string body(kMessages.substr(0, kMessages.size() - 1));
        body += R"(,"output_config":{"format":{"type":"json_schema","schema":)";
        return refusal(path, body + std::string(schema) + "}}}");
    };
    EXPECT_EQ(refused(R"({"type":"object","additionalProperties":false})"), "");
    EXPECT_THAT(refused(R"({"type":"object"})"), HasSubstr("must be explicitly set to false"));
    EXPECT_THAT(refused(R"({"type":"object","additionalProperties":false,"properties":{"a":)"
                        R"({"type":"array","items":{"type":"integer","minimum":1}}}})"),
        HasSubstr("'minimum' is not supported"));
}

TEST_F(CloudsimVertex, DemandsARoleAndKnowsNoNamesOfTheOtherService) {
    const std::string path = at("/publishers/google/models/gemini-2.5-flash:generateContent");
    EXPECT_THAT(refusal(path, R"({"contents":[{"parts":[{"text":"a"}]}]})"), HasSubstr("role"));
    EXPECT_THAT(refusal(path, R"({"serviceTier":"flex",)" + std::string(kGenerate.substr(1))),
        HasSubstr("Unknown name"));
    EXPECT_EQ(refusal(path, R"({"labels":{"a":"b"},)" + std::string(kGenerate.substr(1))), "");
}

TEST_F(CloudsimVertex, ExpressModeSellsGooglesModelsAlone) {
    EXPECT_EQ(
        refusal("/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent", kGenerate),
        "");
    EXPECT_THAT(
        refusal("/v1/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict", kMessages),
        HasSubstr("NOT_FOUND"));
}

TEST_F(CloudsimVertex, ClaudesModelStandsInThePathAndItsVersionInTheBody) {
    const std::string path =
        at("/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict", "/v1");
    EXPECT_EQ(refusal(path, kMessages), "");
    EXPECT_THAT(refusal(path, R"({"max_tokens":9,"messages":[]})"), HasSubstr("anthropic_version"));
    EXPECT_THAT(refusal(path, R"({"model":"x",)" + std::string(kMessages.substr(1))),
        HasSubstr("Extra inputs"));
}

TEST_F(CloudsimVertex, OpenModelsAreAskedByTheirPublishersNameAndErrorsStandInAList) {
    const std::string path = at("/endpoints/openapi/chat/completions", "/v1");
    const auto ask = [](std::string_view model) {
        return R"({"model":")" + std::string(model) +
            R"(","messages":[{"role":"user","content":"a"}]})";
    };
    EXPECT_EQ(refusal(path, ask("meta/llama-3.3-70b-instruct-maas")), "");
    EXPECT_EQ(refusal(path, ask("llama-3.3-70b-instruct-maas")).front(), '[');
    EXPECT_EQ(refusal(at("/publishers/mistralai/models/mistral-medium-3:rawPredict", "/v1"),
                  ask("mistral-medium-3")),
        "");
}

}  // namespace
}  // namespace entrepot::cloudsim
