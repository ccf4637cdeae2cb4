#include "dialect/cohere/cohere.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json/value.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Item said(Role role, std::uint32_t turn, std::string_view text) {
    return {.role = role, .turn = turn, .body = canon::Text{std::string(text)}};
}

canon::Request asked() {
    canon::Request request;
    request.origin = "openai-chat";
    request.items.push_back(said(Role::kUser, 1, "Hi"));
    return request;
}

canon::Tool tool(std::string_view name) {
    canon::Tool out;
    out.name = name;
    out.parameters = R"({"type":"object"})";
    return out;
}

Result<EncodedRequest> encode(const canon::Request& request,
    std::string_view model = "command-a-03-2025", OnLossy on_lossy = OnLossy::kMeaning) {
    EncodeTarget target;
    target.model_id = model;
    target.on_lossy = on_lossy;
    return dialect().encode_request(request, target);
}

std::string body_of(const Result<EncodedRequest>& encoded) {
    return encoded ? encoded->body : "refused: " + encoded.error().field;
}

std::vector<std::string> dropped_of(const Result<EncodedRequest>& encoded) {
    return encoded ? encoded->dropped : std::vector<std::string>{"refused"};
}

Result<std::vector<canon::Event>> events_of(ReplyForm form, std::string_view bytes) {
    const auto decoder = dialect().reply_decoder(form);
    std::vector<canon::Event> events;
    ENTREPOT_TRY_DO(decoder->feed(bytes, events));
    ENTREPOT_TRY_DO(decoder->finish(events));
    return events;
}

canon::Reply read(ReplyForm form, std::string_view bytes) {
    const auto events = events_of(form, bytes);
    EXPECT_TRUE(events) << events.error().message;
    canon::Reply reply;
    if (events)
        for (const canon::Event& event : *events) reply.add(event);
    return reply;
}

TEST(CohereRequest, HasAMessageForEveryTurnAndForEveryResult) {
    canon::Request request;
    request.items.push_back(said(Role::kSystem, 0, "Be brief."));
    request.items.push_back(said(Role::kUser, 1, "Weather?"));
    request.items.push_back({.role = Role::kAssistant,
        .turn = 2,
        .body = canon::ToolCall{"c1", "f", R"({"a":1})", false}});
    request.items.push_back(
        {.role = Role::kAssistant, .turn = 2, .body = canon::ToolCall{"c2", "f", "", false}});
    for (const std::string_view id : {"c1", "c2"}) {
        canon::ToolResult result;
        result.call_id = id;
        result.content.push_back(said(Role::kTool, 3, "sunny"));
        request.items.push_back({.role = Role::kTool, .turn = 3, .body = std::move(result)});
    }
    EXPECT_EQ(body_of(encode(request)),
        R"({"model":"command-a-03-2025","stream":false,"messages":[)"
        R"({"role":"system","content":[{"type":"text","text":"Be brief."}]},)"
        R"({"role":"user","content":[{"type":"text","text":"Weather?"}]},)"
        R"({"role":"assistant","tool_calls":[)"
        R"({"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},)"
        R"({"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
        R"({"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"sunny"}]},)"
        R"({"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"sunny"}]}]})");
}

// As clients of OpenAI's Responses send them: each thought and each call is a turn of its own.
TEST(CohereRequest, CallsInARowStandInOneMessageAndThoughtsThatStayBehindInNone) {
    canon::Request request = asked();
    request.items.push_back({.role = Role::kAssistant,
        .turn = 2,
        .body = canon::Thought{},
        .signature = canon::Signature{"gemini", "s"}});
    EXPECT_THAT(body_of(encode(request)), Not(HasSubstr("assistant")));
    for (const std::uint32_t turn : {3u, 4u})
        request.items.push_back({.role = Role::kAssistant,
            .turn = turn,
            .body = canon::ToolCall{fmt::format("c{}", turn), "f", "{}", false}});
    EXPECT_THAT(body_of(encode(request)),
        HasSubstr(R"({"role":"assistant","tool_calls":[)"
                  R"({"id":"c3","type":"function","function":{"name":"f","arguments":"{}"}},)"
                  R"({"id":"c4","type":"function","function":{"name":"f","arguments":"{}"}}]}])"));
}

TEST(CohereRequest, TakesThoughtsBackThatNobodyElseHasSigned) {
    canon::Request request = asked();
    request.items.push_back(
        {.role = Role::kAssistant, .turn = 2, .body = canon::Thought{"Let me see."}});
    Item plan{.role = Role::kAssistant, .turn = 2, .body = canon::Thought{"I will call f."}};
    plan.marks.push_back({"tool_plan", "true", "cohere"});
    request.items.push_back(std::move(plan));
    request.items.push_back(
        {.role = Role::kAssistant, .turn = 2, .body = canon::ToolCall{"c", "f", "{}", false}});
    EXPECT_THAT(body_of(encode(request)),
        HasSubstr(R"({"role":"assistant","content":[{"type":"thinking","thinking":"Let me see."}],)"
                  R"("tool_plan":"I will call f.","tool_calls":)"));
    request.items[1].signature = canon::Signature{"anthropic-messages", "s"};
    EXPECT_THAT(body_of(encode(request)), Not(HasSubstr("Let me see.")));
    EXPECT_THAT(dropped_of(encode(request)), ElementsAre("messages[2].reasoning_content"));
}

TEST(CohereRequest, OffersOnlyTheToolsThatMayBeCalled) {
    canon::Request request = asked();
    request.tools = {tool("f"), tool("g")};
    EXPECT_THAT(body_of(encode(request)), Not(HasSubstr("tool_choice")));
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kNamed, "g", {}};
    const std::string named = body_of(encode(request));
    EXPECT_THAT(named, HasSubstr(R"("tool_choice":"REQUIRED")"));
    EXPECT_THAT(named, Not(HasSubstr(R"("name":"f")")));
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kAuto, "", {"f"}};
    EXPECT_THAT(body_of(encode(request)), Not(HasSubstr(R"("name":"g")")));
    request.tool_choice = canon::ToolChoice{canon::ToolChoice::Mode::kNone, "", {}};
    EXPECT_THAT(body_of(encode(request)), HasSubstr(R"("tool_choice":"NONE")"));
    request.tools[0].is_strict = true;
    EXPECT_THAT(body_of(encode(request)), HasSubstr(R"("strict_tools":true)"));
    EXPECT_THAT(dropped_of(encode(request)), ElementsAre("tools.strict"));
    request.parallel_tool_calls = false;
    EXPECT_EQ(body_of(encode(request)), "refused: parallel_tool_calls");
}

TEST(CohereRequest, SaysSamplingAndFormatInItsOwnWords) {
    canon::Request request = asked();
    request.is_stream = true;
    request.output_tokens_max = 9;
    request.temperature = "0.30";
    request.top_p = "0.5";
    request.top_k = 4;
    request.seed = 7;
    request.frequency_penalty = "0.5";
    request.stop = {"x"};
    request.format = canon::ResponseFormat{};
    request.format->kind = canon::ResponseFormat::Kind::kJsonSchema;
    request.format->schema = R"({"type":"object"})";
    EXPECT_EQ(body_of(encode(request)),
        R"({"model":"command-a-03-2025","stream":true,"messages":[{"role":"user","content":[)"
        R"({"type":"text","text":"Hi"}]}],"max_tokens":9,"temperature":0.30,"p":0.5,"k":4,)"
        R"("seed":7,"frequency_penalty":0.5,"stop_sequences":["x"],)"
        R"("response_format":{"type":"json_object","json_schema":{"type":"object"}}})");
    request.top_p = "1";
    EXPECT_THAT(body_of(encode(request)), HasSubstr(R"("p":0.99)"));
    EXPECT_THAT(dropped_of(encode(request)), ElementsAre("top_p"));
    request.presence_penalty = "-1";
    EXPECT_EQ(body_of(encode(request)), "refused: presence_penalty");
    request.presence_penalty.reset();
    request.stop = {"1", "2", "3", "4", "5", "6"};
    EXPECT_EQ(body_of(encode(request)), "refused: stop");
}

TEST(CohereRequest, TurnsThinkingOnForModelsThatThink) {
    canon::Request request = asked();
    request.reasoning = canon::Reasoning{};
    request.reasoning->budget_tokens = 500;
    EXPECT_THAT(body_of(encode(request, "command-a-reasoning-08-2025")),
        HasSubstr(R"("thinking":{"type":"enabled","token_budget":500})"));
    EXPECT_THAT(dropped_of(encode(request)), ElementsAre("reasoning_effort"));
    request.reasoning->budget_tokens.reset();
    request.reasoning->effort = "none";
    EXPECT_THAT(body_of(encode(request, "command-a-reasoning-08-2025")),
        HasSubstr(R"("thinking":{"type":"disabled"})"));
    EXPECT_THAT(dropped_of(encode(request)), ElementsAre());
}

TEST(CohereRequest, RefusesOrNamesWhatItHasNoPlaceFor) {
    const auto refused = [](const auto& change) {
        canon::Request request = asked();
        change(request);
        const auto encoded = encode(request);
        return encoded ? fmt::format("{}", fmt::join(encoded->dropped, " "))
                       : "refused: " + encoded.error().field;
    };
    EXPECT_EQ(refused([](auto& r) { r.choices = 2; }), "refused: n");
    EXPECT_EQ(refused([](auto& r) { r.logit_bias = R"({"1":2})"; }), "refused: logit_bias");
    EXPECT_EQ(refused([](auto& r) { r.top_logprobs = 3; }), "refused: top_logprobs");
    EXPECT_EQ(refused([](auto& r) { r.user = "u"; }), "user");
    EXPECT_EQ(refused([](auto& r) { r.extras.push_back({"web_search_options", "{}"}); }),
        "refused: web_search_options");
    EXPECT_EQ(refused([](auto& r) { r.extras.push_back({"odd", "1"}); }), "odd");
    EXPECT_EQ(refused([](auto& r) {
        Media media;
        media.kind = Media::Kind::kAudio;
        r.items.push_back({.turn = 1, .body = media});
    }),
        "refused: messages[1].content");
    EXPECT_EQ(refused([](auto& r) {
        Media media;
        media.media_type = "image/png";
        media.data = "aGk=";
        r.items.push_back({.turn = 1, .body = media});
    }),
        "");
    EXPECT_EQ(refused([](auto& r) { r.items.clear(); }), "refused: messages");
}

TEST(CohereReply, IsBilledByItsUnitsAndNotByWhatItProcessed) {
    const canon::Reply reply = read(ReplyForm::kWhole,
        R"({"id":"i","finish_reason":"MAX_TOKENS","message":{"role":"assistant","content":[)"
        R"({"type":"text","text":"Hi"}]},"usage":{"billed_units":{"input_tokens":5,)"
        R"("output_tokens":418},"tokens":{"input_tokens":71,"output_tokens":420,)"
        R"("reasoning_tokens":400},"cached_tokens":60}})");
    EXPECT_EQ(canon::to_json(reply.usage), R"({"input":5,"output":418,"reasoning":400})");
    EXPECT_EQ(reply.choices[0].finished->reason, canon::StopReason::kLength);
    EXPECT_EQ(reply.started.id, "i");
}

TEST(CohereReply, StatesItsUsageAsItWas) {
    constexpr std::string_view kReply =
        R"({"id":"i","message":{"role":"assistant","content":[{"type":"text","text":"Hi"}]},)"
        R"("finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,)"
        R"("output_tokens":4},"tokens":{"input_tokens":71,"output_tokens":6},"cached_tokens":60}})";
    const auto events = events_of(ReplyForm::kWhole, kReply);
    ASSERT_TRUE(events);
    const auto encoder = dialect().reply_encoder(ReplyForm::kWhole, {});
    std::string written;
    for (const canon::Event& event : *events) encoder->add(event, written);
    EXPECT_EQ(written, kReply);
}

TEST(CohereReply, ThatTheModelBrokeOffIsAFailureWithItsUsage) {
    const canon::Reply reply = read(ReplyForm::kStream,
        "event: message-start\n"
        R"(data: {"type":"message-start","id":"i","delta":{"message":{}}})"
        "\n\n"
        R"(data: {"type":"message-end","delta":{"finish_reason":"ERROR","error":"out of memory",)"
        R"("usage":{"billed_units":{"input_tokens":3,"output_tokens":1}}}})"
        "\n\n");
    ASSERT_TRUE(reply.failure);
    EXPECT_EQ(reply.failure->message, "out of memory");
    EXPECT_EQ(reply.usage[canon::Meter::kInput], 3);
    EXPECT_FALSE(reply.has_ended);
}

TEST(CohereReply, WithACallWithoutArgumentsHasAnEmptyObject) {
    const canon::Reply reply = read(ReplyForm::kStream,
        R"(data: {"type":"message-start","id":"i"})"
        "\n\n"
        R"(data: {"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":)"
        R"({"id":"c","type":"function","function":{"name":"f","arguments":""}}}}})"
        "\n\n"
        R"(data: {"type":"message-end","delta":{"finish_reason":"TOOL_CALL"}})"
        "\n\n");
    ASSERT_EQ(reply.choices.size(), 1U);
    EXPECT_EQ(reply.choices[0].parts.at(0).text, "{}");
    EXPECT_EQ(reply.choices[0].finished->reason, canon::StopReason::kToolCalls);
}

TEST(CohereReply, ThatIsNoneIsAnError) {
    for (const std::string_view bytes : {"", "{}", "[]", "x"})
        EXPECT_FALSE(events_of(ReplyForm::kWhole, bytes)) << bytes;
    for (const std::string_view bytes :
        {"", "data: {\"type\":\"message-start\"}\n\n", "data: [1]\n\n", "data: {\"ty"})
        EXPECT_FALSE(events_of(ReplyForm::kStream, bytes)) << bytes;
    const canon::Reply reply =
        read(ReplyForm::kWhole, R"({"id":"i","message":"model 'x' not found"})");
    ASSERT_TRUE(reply.failure);
    EXPECT_EQ(reply.failure->message, "model 'x' not found");
}

TEST(CohereFailure, IsToldByStatusAndWords) {
    const auto kind = [](int status, std::string_view message) {
        return dialect()
            .decode_failure(status, {}, fmt::format(R"({{"id":"r","message":"{}"}})", message))
            .kind;
    };
    EXPECT_EQ(kind(400, "invalid request"), canon::FailureKind::kInvalidRequest);
    EXPECT_EQ(kind(400, "too many tokens: size limit exceeded by 5"),
        canon::FailureKind::kContextExceeded);
    EXPECT_EQ(kind(401, "invalid api token"), canon::FailureKind::kAuthentication);
    EXPECT_EQ(kind(404, "model 'x' not found"), canon::FailureKind::kNotFound);
    EXPECT_EQ(kind(429, "You are past the per minute limit"), canon::FailureKind::kRateLimited);
    EXPECT_EQ(kind(429, "limited to 1000 API calls / month"), canon::FailureKind::kQuotaExhausted);
    EXPECT_EQ(kind(498, "invalid token"), canon::FailureKind::kAuthentication);
    const std::vector<Header> headers{{"Retry-After", "3"}};
    const canon::Failure failure = dialect().decode_failure(503, headers, "");
    EXPECT_EQ(failure.retry_after, std::chrono::milliseconds(3000));
    EXPECT_THAT(dialect().encode_failure(failure), HasSubstr("\"message\""));
}

}  // namespace
}  // namespace entrepot::dialect::cohere
