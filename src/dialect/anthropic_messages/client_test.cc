// What a client of this dialect is shown of other makers' answers, and what becomes of it when it
// comes back: ids, signatures, thoughts, errors. And the same dialect as Google sells it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/sealed_signature.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Event;
using canon::PartKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string written(
    ReplyForm form, const std::vector<Event>& events, std::vector<std::string>* dropped = nullptr) {
    const auto encoder = dialect().reply_encoder(form, {.model = "m", .id = "msg_1"});
    std::string out;
    for (const Event& event : events) encoder->add(event, out);
    if (dropped != nullptr) *dropped = encoder->dropped();
    return out;
}

std::vector<Event> read(const std::string& stream) {
    const auto decoder = dialect().reply_decoder(ReplyForm::kStream);
    std::vector<Event> events;
    EXPECT_TRUE(decoder->feed(stream, events));
    EXPECT_TRUE(decoder->finish(events)) << stream;
    return events;
}

/// The content of a whole message as a client sends it back, with a result where it called.
canon::Request sent_back(const std::string& message) {
    const auto reply = json::Document::parse(message);
    EXPECT_TRUE(reply) << message;
    const auto body = json::Document::parse(fmt::format(
        R"({{"model":"m","max_tokens":4000,"messages":[{{"role":"user","content":"a"}},)"
        R"({{"role":"assistant","content":{}}},{{"role":"user","content":"b"}}]}})",
        reply->root()["content"].raw()));
    auto request = dialect().decode_request(*body, {});
    EXPECT_TRUE(request) << request.error().message;
    return std::move(*request);
}

const canon::Item* find_item(
    const canon::Request& request, const std::function<bool(const canon::Item&)>& is_it) {
    const auto found = std::ranges::find_if(request.items, is_it);
    return found == request.items.end() ? nullptr : &*found;
}

std::vector<Event> thought_of(std::string text, std::optional<canon::Signature> signature) {
    std::vector<Event> events{canon::Started{"x", "n", 0},
        canon::PartStarted{.part = 0, .kind = PartKind::kThought},
        canon::PartDelta{0, 0, std::move(text)}};
    if (signature) events.emplace_back(canon::PartSignature{0, 0, *signature});
    events.emplace_back(canon::PartEnded{0, 0});
    events.emplace_back(canon::PartStarted{.part = 1});
    events.emplace_back(canon::PartDelta{0, 1, "so"});
    events.emplace_back(canon::PartEnded{0, 1});
    events.emplace_back(canon::Finished{0, canon::StopReason::kStop, "stop", ""});
    events.emplace_back(canon::Ended{});
    return events;
}

TEST(AnthropicClient, AnotherMakersSignatureReturnsToItAndToNoOther) {
    const canon::Signature signature{"bedrock-converse", "c2ln"};
    const std::vector<Event> events = thought_of("hm", signature);
    std::vector<std::string> dropped;
    const std::string message = written(ReplyForm::kWhole, events, &dropped);
    EXPECT_THAT(dropped, IsEmpty());
    EXPECT_THAT(message, Not(HasSubstr(R"("signature":"c2ln")")));
    EXPECT_THAT(read(written(ReplyForm::kStream, events)),
        testing::Contains(Event(canon::PartSignature{
            0, 0, {"anthropic-messages", seal({signature, Sealed::Of::kThought, {}})}})));

    const canon::Request request = sent_back(message);
    const canon::Item* thought = find_item(request,
        [](const canon::Item& item) { return std::holds_alternative<canon::Thought>(item.body); });
    ASSERT_NE(thought, nullptr);
    EXPECT_EQ(thought->signature, signature);
    // Anthropic itself is told that it is gone, and not shown what it would refuse.
    const auto encoded = dialect().encode_request(request, {.model_id = "claude"});
    ASSERT_TRUE(encoded);
    EXPECT_THAT(encoded->dropped, ElementsAre("messages[1].reasoning"));
    EXPECT_THAT(encoded->body, Not(HasSubstr("thinking")));
}

TEST(AnthropicClient, ASignedCallAndASignedSilenceKeepTheirSignatures) {
    const canon::Signature of_call{"gemini", "QQ=="};
    const canon::Signature of_nothing{"gemini", "Qg=="};
    const std::vector<Event> events{canon::Started{"x", "n", 0},
        canon::PartStarted{.part = 0, .kind = PartKind::kToolCall, .call_id = "f 1", .name = "f"},
        canon::PartSignature{0, 0, of_call}, canon::PartDelta{0, 0, "{}"}, canon::PartEnded{0, 0},
        canon::PartStarted{.part = 1}, canon::PartSignature{0, 1, of_nothing},
        canon::PartEnded{0, 1}, canon::Finished{0, canon::StopReason::kToolCalls, "STOP", ""},
        canon::Ended{}};
    std::vector<std::string> dropped;
    const canon::Request request = sent_back(written(ReplyForm::kWhole, events, &dropped));
    EXPECT_THAT(dropped, IsEmpty());
    const canon::Item* call = find_item(request,
        [](const canon::Item& item) { return std::holds_alternative<canon::ToolCall>(item.body); });
    ASSERT_NE(call, nullptr);
    EXPECT_EQ(call->signature, of_call);
    const canon::Item* silence = find_item(request, [&](const canon::Item& item) {
        return std::holds_alternative<canon::Text>(item.body) && item.signature == of_nothing;
    });
    ASSERT_NE(silence, nullptr);
    EXPECT_EQ(std::get<canon::Text>(silence->body).text, "");
    // The stream shows the same blocks.
    canon::Reply reply;
    for (const Event& event : read(written(ReplyForm::kStream, events))) reply.add(event);
    EXPECT_EQ(reply.choices.at(0).parts.size(), 3u);
}

TEST(AnthropicClient, AThoughtThatNobodySignedIsNamedAndThinkingRestsInItsToolLoop) {
    const auto body = json::Document::parse(
        R"({"model":"m","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000},)"
        R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":[)"
        R"({"type":"thinking","thinking":"hm","signature":""},)"
        R"({"type":"tool_use","id":"t","name":"f","input":{}}]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]})");
    ASSERT_TRUE(body);
    const auto request = dialect().decode_request(*body, {});
    ASSERT_TRUE(request);
    const auto encoded = dialect().encode_request(*request, {.model_id = "claude-sonnet-4-5"});
    ASSERT_TRUE(encoded);
    EXPECT_THAT(encoded->dropped, ElementsAre("messages[1].reasoning", "thinking"));
    EXPECT_THAT(encoded->body, Not(HasSubstr("thinking")));
    const auto refused = dialect().encode_request(
        *request, {.model_id = "claude-sonnet-4-5", .on_lossy = OnLossy::kRefuse});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, "messages[1].reasoning");
}

TEST(AnthropicClient, IdsAreSuchAsAClientMaySendBackAndAlwaysTheSame) {
    const auto id_of = [](std::string id) {
        const std::string message = written(ReplyForm::kWhole,
            {canon::Started{"x", "n", 0},
                canon::PartStarted{
                    .part = 0, .kind = PartKind::kToolCall, .call_id = std::move(id), .name = "f"},
                canon::PartEnded{0, 0}, canon::Ended{}});
        const auto document = json::Document::parse(message);
        return std::string(document->root()["content"].items()[0]["id"].string());
    };
    EXPECT_EQ(id_of("call_a-1"), "call_a-1");
    EXPECT_THAT(id_of("functions.f:1"), testing::MatchesRegex("toolu_[0-9a-f]{16}"));
    EXPECT_EQ(id_of("functions.f:1"), id_of("functions.f:1"));
    EXPECT_NE(id_of("functions.f:1"), id_of("functions.f:2"));
    EXPECT_THAT(id_of(""), testing::MatchesRegex("toolu_[0-9a-f]{16}"));
}

TEST(AnthropicClient, AnErrorBeforeTheAnswerIsAllThatComes) {
    const std::string stream = written(ReplyForm::kStream,
        {canon::Started{"x", "n", 0},
            canon::Failed{{.kind = canon::FailureKind::kOverloaded, .message = "busy"}}});
    EXPECT_EQ(stream,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
        "\"message\":\"busy\"}}\n\n");
    const auto headers = dialect().failure_headers({.request_id = "req_1"});
    ASSERT_EQ(headers.size(), 1u);
    EXPECT_EQ(headers[0].name, "request-id");
    EXPECT_EQ(headers[0].value, "req_1");
}

TEST(VertexAnthropic, ThePathNamesTheModelAndTheBodyTheVersion) {
    const auto body =
        json::Document::parse(R"({"anthropic_version":"vertex-2023-10-16","max_tokens":5,)"
                              R"("messages":[{"role":"user","content":"Hi"}]})");
    ASSERT_TRUE(body);
    const std::vector<Header> headers{
        {"anthropic-beta", "prompt-caching-2024-07-31,context-1m-2025-08-07"}};
    RequestContext context;
    context.model = "claude-sonnet-4-5";
    context.is_stream = true;
    context.headers = headers;
    const auto request = vertex().decode_request(*body, context);
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->model, "claude-sonnet-4-5");
    EXPECT_TRUE(request->is_stream);

    const auto home = vertex().encode_request(*request, {.model_id = "claude-sonnet-4-5@1"});
    ASSERT_TRUE(home);
    EXPECT_THAT(home->body, HasSubstr(R"("anthropic_version":"vertex-2023-10-16")"));
    EXPECT_THAT(home->body, Not(HasSubstr("\"model\"")));
    ASSERT_EQ(home->headers.size(), 1u);
    EXPECT_EQ(home->headers[0].value, "context-1m-2025-08-07");

    const auto maker = dialect().encode_request(*request, {.model_id = "claude-sonnet-4-5"});
    ASSERT_TRUE(maker);
    EXPECT_THAT(maker->body, Not(HasSubstr("anthropic_version")));
    EXPECT_THAT(maker->body, HasSubstr(R"("model":"claude-sonnet-4-5")"));
    EXPECT_THAT(maker->dropped, IsEmpty());
    EXPECT_FALSE(vertex().decode_request(*body, {}));
}

TEST(VertexAnthropic, AnErrorOfGooglesFrontDoorIsRead) {
    const canon::Failure failure = vertex().decode_failure(
        429, {}, R"([{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}])");
    EXPECT_EQ(failure.kind, canon::FailureKind::kRateLimited);
    EXPECT_EQ(failure.message, "Quota");
}

}  // namespace
}  // namespace entrepot::dialect::anthropic_messages
