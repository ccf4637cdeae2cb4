// The simulated Cohere's own checks, and its replies as the gateway's dialect, written apart, reads
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloudsim/cloud.h"
#include "dialect/cohere/cohere.h"

namespace entrepot::cloudsim {
namespace {

using dialect::ReplyForm;
using testing::HasSubstr;

class CloudsimCohere : public testing::Test {
protected:
    Answered<Ask> read(std::string_view body, std::string_view key = "cohere-sim-key-0001") {
        const std::string line = "authorization: Bearer " + std::string(key);
        const std::vector<net::Headers::Entry> entries{
            {0, 15, static_cast<std::uint32_t>(line.size() - 15), 13}};
        const net::Headers headers(line.data(), &entries);
        return cloud_->read({.method = "POST",
            .path = "/v2/chat",
            .query = "",
            .headers = headers,
            .body = body,
            .now = {}});
    }
    /// What the cloud says to these members beside a model and a turn: empty when it takes them.
    std::string refusal(std::string_view members, std::string_view model = "command-a-03-2025") {
        const auto ask = read(R"({"messages":[{"role":"user","content":"a"}],"model":")" +
            std::string(model) + "\"" + (members.empty() ? "" : ",") + std::string(members) + "}");
        return ask ? std::string() : std::to_string(ask.error().status) + " " + ask.error().body;
    }

    canon::Reply told(const Ask& ask, const Answer& answer, ReplyForm form) const {
        std::string bytes;
        if (form == ReplyForm::kWhole) bytes = cloud_->whole(ask, answer, true, {});
        if (form == ReplyForm::kStream)
            for (const std::string& event : cloud_->stream(ask, answer, Control(), true, {}))
                bytes += event;
        const auto decoder = dialect::cohere::dialect().reply_decoder(form);
        std::vector<canon::Event> events;
        EXPECT_TRUE(decoder->feed(bytes, events));
        EXPECT_TRUE(decoder->finish(events)) << bytes;
        canon::Reply reply;
        for (const canon::Event& event : events) reply.add(event);
        return reply;
    }

    std::unique_ptr<Cloud> cloud_ = make_cohere();
};

TEST_F(CloudsimCohere, ChecksKeyAndModel) {
    EXPECT_EQ(refusal(""), "");
    EXPECT_THAT(refusal("", "gpt-5"), HasSubstr("404"));
    const auto ask = read("{}", "wrong");
    ASSERT_FALSE(ask);
    EXPECT_EQ(ask.error().status, 401);
}

TEST_F(CloudsimCohere, RefusesWhatIsNoFieldOfIts) {
    EXPECT_THAT(refusal(R"("top_p":0.5)"), HasSubstr("422"));
    EXPECT_THAT(refusal(R"("tools":[{"type":"function","function":{"name":"f","parameters":{},
        "strict":true}}])"),
        HasSubstr("'strict' is not a valid field"));
    EXPECT_THAT(refusal(R"("tool_choice":"auto")"), HasSubstr("REQUIRED, NONE"));
    EXPECT_THAT(refusal(R"("tool_choice":"REQUIRED")"), HasSubstr("there are no tools"));
    EXPECT_THAT(refusal(R"("p":1)"), HasSubstr("0.99"));
    EXPECT_THAT(refusal(R"("presence_penalty":-1)"), HasSubstr("between 0 and 1"));
    EXPECT_THAT(refusal(R"("thinking":{"type":"enabled"})"), HasSubstr("not supported"));
    EXPECT_EQ(refusal(R"("thinking":{"type":"enabled"})", "command-a-reasoning-08-2025"), "");
    EXPECT_THAT(refusal(R"("stop_sequences":["1","2","3","4","5","6"])"), HasSubstr("at most 5"));
}

TEST_F(CloudsimCohere, WantsAResultForEachCallInAMessageOfItsOwn) {
    const auto with = [&](std::string_view results) {
        const auto ask = read(R"({"model":"command-a-03-2025","messages":[
            {"role":"user","content":"a"},{"role":"assistant","tool_plan":"p","tool_calls":[
            {"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"2","type":"function","function":{"name":"f","arguments":"{}"}}]})" +
            std::string(results) + "]}");
        return ask ? std::string() : ask.error().body;
    };
    constexpr std::string_view kFirst = R"(,{"role":"tool","tool_call_id":"1","content":"x"})";
    constexpr std::string_view kSecond = R"(,{"role":"tool","tool_call_id":"2","content":"x"})";
    EXPECT_EQ(with(std::string(kFirst) + std::string(kSecond)), "");
    EXPECT_THAT(with(kFirst), HasSubstr("a call has no result"));
    EXPECT_THAT(with(std::string(kFirst) + std::string(kFirst)), HasSubstr("of no call"));
}

TEST_F(CloudsimCohere, IsReadAsItWasMeant) {
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
        for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
            const canon::Reply reply = told(ask, answer, form);
            ASSERT_EQ(reply.choices.size(), 1U);
            std::string text, thought, named, wanted;
            for (const auto& part : reply.choices[0].parts) {
                if (part.start.kind == canon::PartKind::kText) text += part.text;
                if (part.start.kind == canon::PartKind::kThought) thought += part.text;
                if (part.start.kind == canon::PartKind::kToolCall)
                    named += part.start.name + part.text;
            }
            for (const SimCall& call : answer.calls) wanted += call.name + call.arguments;
            EXPECT_EQ(text, answer.text);
            EXPECT_EQ(named, wanted);
            // Without thoughts, calls are announced by a plan.
            EXPECT_EQ(thought.empty(), answer.reasoning.empty() && answer.calls.empty());
            if (!answer.reasoning.empty()) {
                EXPECT_EQ(thought, answer.reasoning);
            }
            EXPECT_EQ(canon::to_json(reply.usage), canon::to_json(cloud_->reported(answer.usage)));
        }
    }
}

TEST_F(CloudsimCohere, SaysWhatIsLeftOfTheMonthAndOfTheMinute) {
    net::HeaderLines lines;
    cloud_->add_headers(lines, Answer(), Quota{20, 3, 10});
    EXPECT_THAT(lines.text(), HasSubstr("x-endpoint-monthly-call-limit: 1000"));
    EXPECT_THAT(lines.text(), HasSubstr("x-trial-endpoint-call-remaining: 3"));
    const Refusal refused = cloud_->trouble(Trouble::kThrottled, Control(), Quota{20, -1, 10});
    EXPECT_EQ(refused.status, 429);
    EXPECT_THAT(refused.headers.text(), HasSubstr("x-trial-endpoint-call-remaining: 0"));
    const canon::Failure failure = dialect::cohere::dialect().decode_failure(429, {}, refused.body);
    EXPECT_EQ(failure.kind, canon::FailureKind::kRateLimited);
}

}  // namespace
}  // namespace entrepot::cloudsim
