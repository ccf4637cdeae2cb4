// The simulated Gemini's own checks, and its replies as the gateway's dialect, written apart, reads
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloudsim/cloud.h"
#include "dialect/gemini/gemini.h"

namespace entrepot::cloudsim {
namespace {

using testing::HasSubstr;

class CloudsimGemini : public testing::Test {
protected:
    /// What the cloud says to that body: empty when it takes it.
    std::string refusal(std::string_view body, std::string_view model = "gemini-3-flash-preview",
        std::string_view key = "AIzaSim0001") {
        const std::string path = "/v1beta/models/" + std::string(model) + ":generateContent";
        const std::string query = "key=" + std::string(key);
        const Incoming in{
            .method = "POST", .path = path, .query = query, .headers = {}, .body = body, .now = {}};
        const auto ask = cloud_->read(in);
        return ask ? std::string() : ask.error().body;
    }

    std::unique_ptr<Cloud> cloud_ = make_gemini();
};

constexpr std::string_view kPlain = R"({"contents":[{"role":"user","parts":[{"text":"a"}]}]})";

TEST_F(CloudsimGemini, ChecksKeyAndModel) {
    EXPECT_EQ(refusal(kPlain), "");
    EXPECT_THAT(refusal(kPlain, "gemini-3-flash-preview", "wrong"), HasSubstr("API_KEY_INVALID"));
    EXPECT_THAT(refusal(kPlain, "gpt-5"), HasSubstr("NOT_FOUND"));
}

TEST_F(CloudsimGemini, RefusesNamesThatAreNoneOfTheMessages) {
    EXPECT_THAT(refusal(R"({"contents":[],"model_id":"x"})"), HasSubstr("Unknown name"));
    EXPECT_THAT(refusal(R"({"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"n":1}})"),
        HasSubstr("Unknown name"));
    EXPECT_EQ(refusal(R"({"contents":[{"parts":[{"text":"a"}]}],"generation_config":{
        "max_output_tokens":5}})"),
        "");
}

TEST_F(CloudsimGemini, RefusesCallsWithoutSignaturesAndForeignOnes) {
    const auto with = [&](std::string_view signature, std::string_view model) {
        return refusal(R"({"contents":[{"role":"user","parts":[{"text":"a"}]},
            {"role":"model","parts":[{"functionCall":{"name":"f","args":{}})" +
                std::string(signature) + R"(}]},{"role":"user","parts":[{"functionResponse":{
            "name":"f","response":{}}}]}]})",
            model);
    };
    EXPECT_THAT(with("", "gemini-3-flash-preview"), HasSubstr("thought_signature"));
    EXPECT_EQ(with("", "gemini-2.5-flash"), "");
    EXPECT_EQ(
        with(R"(,"thoughtSignature":"skip_thought_signature_validator")", "gemini-3-flash-preview"),
        "");
    EXPECT_THAT(with(R"(,"thoughtSignature":"dGhlaXJz")", "gemini-2.5-flash"),
        HasSubstr("Corrupted thought signature"));
}

TEST_F(CloudsimGemini, WantsAsManyResultsAsCalls) {
    EXPECT_THAT(refusal(R"({"contents":[{"role":"user","parts":[{"text":"a"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]})",
                    "gemini-2.5-flash"),
        HasSubstr("equal to the number of function call parts"));
}

TEST_F(CloudsimGemini, IsReadAsItWasMeant) {
    Brain brain;
    Ask plain;
    plain.model = cloud_->address().models.front();
    plain.prompt = "Say hello.";
    Ask calls = plain;
    calls.tools = {{"a", R"({"type":"object","properties":{"x":{"type":"string"}}})"}, {"b", ""}};
    calls.last_user_text = "call a and b";
    Ask thinks = plain;
    thinks.wants_reasoning = true;
    for (const Ask& ask : {plain, calls, thinks}) {
        const Answer answer = brain.think(ask, Control());
        for (const auto form : {dialect::ReplyForm::kWhole, dialect::ReplyForm::kStream}) {
            std::string bytes;
            if (form == dialect::ReplyForm::kWhole) bytes = cloud_->whole(ask, answer, true, {});
            if (form == dialect::ReplyForm::kStream)
                for (const std::string& event : cloud_->stream(ask, answer, Control(), true, {}))
                    bytes += event;
            const auto decoder = dialect::gemini::gemini().reply_decoder(form);
            std::vector<canon::Event> events;
            ASSERT_TRUE(decoder->feed(bytes, events));
            ASSERT_TRUE(decoder->finish(events)) << bytes;
            canon::Reply reply;
            for (const canon::Event& event : events) reply.add(event);
            std::string text, thought;
            std::vector<std::string> names;
            ASSERT_EQ(reply.choices.size(), 1u);
            for (const auto& part : reply.choices[0].parts) {
                if (part.start.kind == canon::PartKind::kText) text += part.text;
                if (part.start.kind == canon::PartKind::kThought) thought += part.text;
                if (part.start.kind == canon::PartKind::kToolCall) names.push_back(part.start.name);
            }
            EXPECT_EQ(text, answer.text);
            EXPECT_EQ(thought, answer.reasoning);
            EXPECT_EQ(names.size(), answer.calls.size());
            EXPECT_EQ(reply.usage, cloud_->reported(answer.usage));
        }
    }
}

}  // namespace
}  // namespace entrepot::cloudsim
