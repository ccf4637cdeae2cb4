// What Google tells, told to clients of others and back: log probabilities, and the errors of its
// gate before models that speak other dialects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/logprobs.h"
#include "dialect/registry.h"

namespace entrepot::dialect {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Translated carried(
    std::string_view from, std::string_view to, BodyKind kind, std::string_view bytes) {
    const auto done = translate(*find_dialect(from), *find_dialect(to), kind, bytes);
    EXPECT_TRUE(done) << done.error().message;
    return done ? *done : Translated{};
}

constexpr std::string_view kGoogles = R"({"candidates":[{"content":{"role":"model","parts":[
    {"text":"Hé!"}]},"finishReason":"STOP","logprobsResult":{"topCandidates":[{"candidates":[
    {"token":"Hé","tokenId":7,"logProbability":-0.25},{"token":"Yo","logProbability":-1.5}]},
    {"candidates":[]}],"chosenCandidates":[{"token":"Hé","tokenId":7,"logProbability":-0.25},
    {"token":"!","logProbability":-2e-05}]}}],"usageMetadata":{"promptTokenCount":3,
    "candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"gemini-2.5-flash"})";
constexpr std::string_view kTold = R"([{"token":"Hé","logprob":-0.25,"bytes":[72,195,169],)"
                                   R"("top_logprobs":[{"token":"Hé","logprob":-0.25,)"
                                   R"("bytes":[72,195,169]},{"token":"Yo","logprob":-1.5,)"
                                   R"("bytes":[89,111]}]},{"token":"!","logprob":-2e-05,)"
                                   R"("bytes":[33],"top_logprobs":[]}])";

TEST(Logprobs, OfGoogleAreToldInBothOfOpenAisForms) {
    const Translated chat = carried("vertex", "openai-chat", BodyKind::kResponse, kGoogles);
    EXPECT_THAT(chat.bytes,
        HasSubstr(R"("logprobs":{"content":)" + std::string(kTold) + R"(,"refusal":null})"));
    EXPECT_THAT(chat.dropped, IsEmpty());
    const Translated responses =
        carried("gemini", "openai-responses", BodyKind::kResponse, kGoogles);
    EXPECT_THAT(responses.bytes, HasSubstr(R"("logprobs":)" + std::string(kTold)));
    EXPECT_THAT(responses.dropped, IsEmpty());
}

TEST(Logprobs, OfOpenAiAreToldInGooglesForm) {
    const std::string chat =
        R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hé!"},"logprobs":{"content":)" +
        std::string(kTold) +
        R"(,"refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,
        "completion_tokens":2,"total_tokens":5}})";
    const Translated google = carried("openai-chat", "gemini", BodyKind::kResponse, chat);
    EXPECT_THAT(google.bytes,
        HasSubstr(R"("chosenCandidates":[{"token":"Hé","logProbability":-0.25},)"
                  R"({"token":"!","logProbability":-2e-05}])"));
    EXPECT_THAT(google.bytes, HasSubstr(R"({"token":"Yo","logProbability":-1.5}]})"));
    EXPECT_THAT(google.dropped, IsEmpty());
    const Translated responses =
        carried("openai-chat", "openai-responses", BodyKind::kResponse, chat);
    EXPECT_THAT(responses.bytes, HasSubstr(R"("logprobs":)" + std::string(kTold)));
    const Translated back =
        carried("openai-responses", "openai-chat", BodyKind::kResponse, responses.bytes);
    EXPECT_THAT(back.bytes, HasSubstr(R"("content":)" + std::string(kTold)));
}

TEST(Logprobs, OfAStreamGoWithTheirText) {
    const std::string stream =
        R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},)"
        R"("logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-1}]}}]})"
        "\r\n\r\n"
        R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"b"}]},)"
        R"("finishReason":"STOP",)"
        R"("logprobsResult":{"chosenCandidates":[{"token":"b","logProbability":-2}]}}]})"
        "\r\n\r\n";
    const Translated chat = carried("gemini", "openai-chat", BodyKind::kStream, stream);
    const std::size_t second = chat.bytes.find(R"("content":"b")");
    ASSERT_NE(second, std::string::npos) << chat.bytes;
    EXPECT_THAT(chat.bytes.substr(0, second), HasSubstr(R"("token":"a","logprob":-1)"));
    EXPECT_THAT(chat.bytes.substr(second), HasSubstr(R"("token":"b","logprob":-2)"));
    const Translated responses = carried("gemini", "openai-responses", BodyKind::kStream, stream);
    const std::size_t delta = responses.bytes.find(R"("delta":"b")");
    ASSERT_NE(delta, std::string::npos) << responses.bytes;
    EXPECT_THAT(responses.bytes.substr(0, delta), Not(HasSubstr(R"("token":"b")")));
    EXPECT_THAT(responses.bytes.substr(delta), HasSubstr(R"("token":"b","logprob":-2)"));
}

TEST(Logprobs, AreAskedForInEachDialectsWords) {
    const std::string chat =
        R"({"model":"m","messages":[{"role":"user","content":"a"}],"logprobs":true,
        "top_logprobs":2})";
    EXPECT_THAT(carried("openai-chat", "openai-responses", BodyKind::kRequest, chat).bytes,
        testing::AllOf(HasSubstr(R"("top_logprobs":2)"),
            HasSubstr(R"("include":["message.output_text.logprobs"])")));
    EXPECT_THAT(carried("openai-chat", "vertex", BodyKind::kRequest, chat).bytes,
        HasSubstr(R"("responseLogprobs":true,"logprobs":2)"));
}

// Clients of chat completions keep what a call's first piece says beside its function.
TEST(Signatures, OfACallStandInItsFirstChunkOfChatCompletions) {
    const std::string stream =
        R"(data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f",)"
        R"("args":{"a":1}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"g","args":{}}}]},)"
        R"("finishReason":"STOP"}]})"
        "\r\n\r\n";
    const std::string told = R"("extra_content":{"google":{"thought_signature":"c2ln"}})";
    const std::string chunks = carried("gemini", "openai-chat", BodyKind::kStream, stream).bytes;
    const std::size_t at = chunks.find(told);
    ASSERT_NE(at, std::string::npos) << chunks;
    EXPECT_THAT(chunks.substr(0, at), Not(HasSubstr(R"("arguments":"{)")));
    EXPECT_THAT(chunks.substr(at + 1), Not(HasSubstr(told)));
}

TEST(Signatures, ThatComeLateStandBesideAnEmptyPieceOfTheFunction) {
    const auto encoder = find_dialect("openai-chat")->reply_encoder(ReplyForm::kStream, {});
    canon::PartStarted call;
    call.kind = canon::PartKind::kToolCall;
    call.call_id = "c";
    call.name = "f";
    std::string out;
    encoder->add(call, out);
    out.clear();
    encoder->add(canon::PartSignature{0, 0, {"gemini", "c2ln"}}, out);
    EXPECT_THAT(
        out, HasSubstr(R"([{"index":0,"function":{"arguments":""},"extra_content":{"google":)"));
}

// A client that is told `tool_use` sends results next, of which call?
TEST(Malformed, WithoutACallIsNoCallElsewhere) {
    const std::string reply = R"({"candidates":[{"content":{},"finishReason":
        "MALFORMED_FUNCTION_CALL","finishMessage":"Malformed function call: f(","index":0}]})";
    const Translated told = carried("gemini", "anthropic-messages", BodyKind::kResponse, reply);
    EXPECT_THAT(told.bytes, HasSubstr(R"("content":[],"stop_reason":"end_turn")"));
    EXPECT_THAT(told.dropped, testing::ElementsAre("finishMessage"));
    const Translated called = carried("gemini", "anthropic-messages", BodyKind::kResponse,
        R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"nope"}}]},
            "finishReason":"UNEXPECTED_TOOL_CALL","index":0}]})");
    EXPECT_THAT(called.bytes, HasSubstr(R"("stop_reason":"tool_use")"));
}

constexpr std::string_view kExhausted = R"([{"error":{"code":429,"message":"Resource exhausted.",
    "status":"RESOURCE_EXHAUSTED","details":[{"@type":
    "type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}])";

TEST(GooglesGate, SpeaksBeforeModelsOfEveryDialect) {
    for (const char* name : {"vertex", "vertex-anthropic", "openai-chat"}) {
        SCOPED_TRACE(name);
        const canon::Failure failure = find_dialect(name)->decode_failure(429, {}, kExhausted);
        EXPECT_EQ(failure.kind, canon::FailureKind::kRateLimited);
        EXPECT_EQ(failure.message, "Resource exhausted.");
        EXPECT_EQ(failure.retry_after, std::chrono::milliseconds(7000));
        const canon::Failure denied = find_dialect(name)->decode_failure(401, {},
            R"({"error":{"code":401,"message":"Expected OAuth 2","status":"UNAUTHENTICATED"}})");
        EXPECT_EQ(denied.kind, canon::FailureKind::kAuthentication);
    }
}

TEST(GooglesGate, AModelsOwnErrorStaysItsMakers) {
    const canon::Failure failure = find_dialect("vertex-anthropic")
                                       ->decode_failure(400, {},
                                           R"({"type":"error","error":{"type":
        "invalid_request_error","message":"prompt is too long: 9 tokens"}})");
    EXPECT_EQ(failure.kind, canon::FailureKind::kContextExceeded);
}

TEST(VertexAnthropic, BetasGoInTheHeaderThatGoogleTakes) {
    const Dialect& dialect = *find_dialect("vertex-anthropic");
    const auto body = json::Document::parse(R"({"anthropic_version":"vertex-2023-10-16",
        "max_tokens":9,"messages":[{"role":"user","content":"a"}]})");
    const std::vector<Header> sent{{"anthropic-beta", "context-1m-2025-08-07"}};
    RequestContext context;
    context.model = "claude";
    context.headers = sent;
    const auto request = dialect.decode_request(*body, context);
    ASSERT_TRUE(request);
    for (const char* to : {"vertex-anthropic", "anthropic-messages"}) {
        const auto encoded = find_dialect(to)->encode_request(*request, {.model_id = "claude"});
        ASSERT_TRUE(encoded);
        ASSERT_FALSE(encoded->headers.empty());
        EXPECT_EQ(encoded->headers[0].value, "context-1m-2025-08-07");
    }
    ASSERT_EQ(dialect.own_headers.size(), 1U);
    EXPECT_EQ(dialect.own_headers[0].name, "anthropic-beta");
}

TEST(VertexAnthropic, AVersionOfTheMakersIsAskedForInOursAndNotSaidTwice) {
    const std::string body = R"({"anthropic_version":"2026-10-21","max_tokens":9,
        "messages":[{"role":"user","content":"a"}]})";
    const Translated home =
        carried("vertex-anthropic", "vertex-anthropic", BodyKind::kRequest, body);
    EXPECT_THAT(home.bytes, HasSubstr(R"({"anthropic_version":"vertex-2023-10-16",)"));
    for (const char* to : {"vertex-anthropic", "anthropic-messages", "openai-chat"}) {
        const Translated sent = carried("vertex-anthropic", to, BodyKind::kRequest, body);
        EXPECT_THAT(sent.bytes, Not(HasSubstr("2026-10-21"))) << to;
        EXPECT_THAT(sent.dropped, IsEmpty()) << to;
    }
}

}  // namespace
}  // namespace entrepot::dialect
