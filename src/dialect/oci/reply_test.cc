#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/oci/oci.h"

namespace entrepot::dialect::oci {
namespace {

using canon::FailureKind;
using canon::Meter;
using canon::StopReason;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kUsage =
    R"("usage":{"promptTokens":20,"completionTokens":8,"totalTokens":28,)"
    R"("promptTokensDetails":{"cachedTokens":4},"completionTokensDetails":{"reasoningTokens":3}})";

struct Read {
    std::vector<canon::Event> events;
    Status status;
    bool may_end_here = false;  // before the end of the bytes was told
};

Read read(const Dialect& dialect, ReplyForm form, std::string_view bytes, std::size_t piece,
    std::string_view request_id = "") {
    const auto decoder = dialect.reply_decoder(form);
    const std::vector<Header> headers{{"opc-request-id", std::string(request_id)}};
    if (!request_id.empty()) decoder->take_headers(headers);
    Read out;
    while (!bytes.empty() && out.status) {
        const std::string part(bytes.substr(0, piece));
        out.status = decoder->feed(part, out.events);
        bytes.remove_prefix(part.size());
    }
    out.may_end_here = decoder->may_end_here();
    if (out.status) out.status = decoder->finish(out.events);
    return out;
}

canon::Reply folded(const std::vector<canon::Event>& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

std::string stream_of(std::initializer_list<std::string> events, bool has_done = true) {
    std::string out;
    for (const std::string& event : events) out += "data: " + event + "\n\n";
    if (has_done) out += "data: [DONE]\n\n";
    return out;
}

/// The reply, which is the same however its bytes are split.
canon::Reply streamed(
    const Dialect& dialect, std::string_view bytes, std::string_view request_id = "") {
    const Read whole = read(dialect, ReplyForm::kStream, bytes, bytes.size(), request_id);
    EXPECT_TRUE(whole.status) << whole.status.error().message;
    for (std::size_t piece = 1; piece < 40; ++piece)
        EXPECT_EQ(read(dialect, ReplyForm::kStream, bytes, piece, request_id).events, whole.events)
            << piece;
    return folded(whole.events);
}

canon::Reply whole(const Dialect& dialect, std::string_view bytes) {
    const Read out = read(dialect, ReplyForm::kWhole, bytes, bytes.size());
    EXPECT_TRUE(out.status) << out.status.error().message;
    return folded(out.events);
}

TEST(OciReply, ReadsAWholeGenericAnswer) {
    const canon::Reply reply = whole(generic(),
        fmt::format(
            R"({{"modelId":"xai.grok-4","modelVersion":"1","chatResponse":{{"apiFormat":)"
            R"("GENERIC","timeCreated":"2026-11-23T12:00:00.000Z","choices":[{{"index":0,)"
            R"("message":{{"role":"ASSISTANT","content":[{{"type":"TEXT","text":"Rain."}}],)"
            R"("reasoningContent":"hm","toolCalls":[{{"id":"c1","type":"FUNCTION","name":)"
            R"("weather","arguments":"{{\"city\":\"Oslo\"}}"}}]}},"finishReason":)"
            R"("tool_calls"}}],{}}}}})",
            kUsage));
    EXPECT_EQ(reply.started.model, "xai.grok-4");
    EXPECT_EQ(reply.started.created_s, 1'795'435'200);
    ASSERT_EQ(reply.choices.size(), 1U);
    ASSERT_EQ(reply.choices[0].parts.size(), 3U);
    EXPECT_EQ(reply.choices[0].parts[0].text, "hm");
    EXPECT_EQ(reply.choices[0].parts[1].text, "Rain.");
    EXPECT_EQ(reply.choices[0].parts[2].start.call_id, "c1");
    EXPECT_EQ(reply.choices[0].parts[2].text, R"({"city":"Oslo"})");
    EXPECT_EQ(reply.choices[0].finished->reason, StopReason::kToolCalls);
    EXPECT_EQ(
        canon::to_json(reply.usage), R"({"input":16,"cache_read":4,"output":8,"reasoning":3})");
    EXPECT_TRUE(reply.has_ended);
}

// One choice an event, padding, usage behind the finish, and an end of its own.
TEST(OciReply, ReadsAGenericStreamChoiceByChoice) {
    const canon::Reply reply = streamed(generic(),
        stream_of({R"({"index":0,"message":{"role":"ASSISTANT","content":[{"type":"TEXT",)"
                   R"("text":"Ra"}]},"pad":"aaaa"})",
            R"({"index":1,"message":{"role":"ASSISTANT","content":[{"type":"TEXT",)"
            R"("text":"Sun"}]},"pad":"a"})",
            R"({"index":0,"message":{"role":"ASSISTANT","content":[{"type":"TEXT",)"
            R"("text":"in"}]},"pad":"aaaaaa"})",
            R"({"index":0,"finishReason":"stop","pad":"a"})",
            R"({"index":1,"finishReason":"length","pad":"aaa"})",
            fmt::format(R"({{{},"pad":"aaa"}})", kUsage)}));
    ASSERT_EQ(reply.choices.size(), 2U);
    EXPECT_EQ(reply.choices[0].parts[0].text, "Rain");
    EXPECT_EQ(reply.choices[0].finished->reason, StopReason::kStop);
    EXPECT_EQ(reply.choices[1].parts[0].text, "Sun");
    EXPECT_EQ(reply.choices[1].finished->reason, StopReason::kLength);
    EXPECT_EQ(reply.usage.answer_tokens(), 8);
    EXPECT_TRUE(reply.has_ended);
}

TEST(OciReply, FragmentsOfACallAreOneCallWhateverIdsTheyBear) {
    const canon::Reply reply = streamed(generic(),
        stream_of({R"({"index":0,"message":{"role":"ASSISTANT","toolCalls":[{"id":"a1","type":)"
                   R"("FUNCTION","name":"weather","arguments":""}]}})",
            R"({"index":0,"message":{"role":"ASSISTANT","toolCalls":[{"id":"a2","type":)"
            R"("FUNCTION","arguments":"{\"city\":"}]}})",
            R"({"index":0,"message":{"role":"ASSISTANT","toolCalls":[{"id":"a3","type":)"
            R"("FUNCTION","name":"weather","arguments":"\"Oslo\"}"}]}})",
            R"({"index":0,"message":{"role":"ASSISTANT","toolCalls":[{"id":"b1","type":)"
            R"("FUNCTION","name":"weather","arguments":"{\"city\":\"Rome\"}"}]}})",
            R"({"index":0,"message":{"role":"ASSISTANT","toolCalls":[{"id":"c1","type":)"
            R"("FUNCTION","name":"now"}]}})",
            R"({"index":0,"finishReason":"stop"})"}));
    ASSERT_EQ(reply.choices[0].parts.size(), 3U);
    EXPECT_EQ(reply.choices[0].parts[0].start.call_id, "a1");
    EXPECT_EQ(reply.choices[0].parts[0].text, R"({"city":"Oslo"})");
    EXPECT_EQ(reply.choices[0].parts[1].start.call_id, "b1");
    EXPECT_EQ(reply.choices[0].parts[1].text, R"({"city":"Rome"})");
    EXPECT_EQ(reply.choices[0].parts[2].start.name, "now");
    EXPECT_EQ(reply.choices[0].parts[2].text, "{}");
    EXPECT_EQ(reply.choices[0].finished->reason, StopReason::kToolCalls);
}

// Ids that are made have to differ between two turns of one conversation.
TEST(OciReply, ACallWithoutAnIdGetsOneOfItsOwn) {
    const std::string bytes =
        stream_of({R"({"index":0,"message":{"toolCalls":[{"name":"a","arguments":"{}"},)"
                   R"({"name":"a","arguments":"{}"}]},"pad":"x"})",
            R"({"index":0,"finishReason":"tool_calls"})"});
    const canon::Reply one = streamed(generic(), bytes, "AAAA/BBBB");
    const canon::Reply other = streamed(generic(), bytes, "CCCC/DDDD");
    ASSERT_EQ(one.choices[0].parts.size(), 2U);
    const std::string id = one.choices[0].parts[0].start.call_id;
    EXPECT_THAT(id, HasSubstr("call_"));
    EXPECT_NE(id, one.choices[0].parts[1].start.call_id);
    EXPECT_NE(id, other.choices[0].parts[0].start.call_id);
    EXPECT_EQ(one.started.id, "AAAA/BBBB");
}

TEST(OciReply, ReadsWholeAnswersOfBothOfCoheresVersions) {
    const canon::Reply first = whole(cohere(),
        fmt::format(
            R"({{"modelId":"cohere.command-r","chatResponse":{{"apiFormat":"COHERE","text":)"
            R"("I will look.","finishReason":"COMPLETE","toolCalls":[{{"name":"weather",)"
            R"("parameters":{{"city":"Oslo"}}}}],"chatHistory":[],{}}}}})",
            kUsage));
    ASSERT_EQ(first.choices[0].parts.size(), 2U);
    EXPECT_EQ(first.choices[0].parts[0].text, "I will look.");
    EXPECT_EQ(first.choices[0].parts[1].text, R"({"city":"Oslo"})");
    EXPECT_THAT(first.choices[0].parts[1].start.call_id, HasSubstr("call_"));
    EXPECT_EQ(first.choices[0].finished->reason, StopReason::kToolCalls);
    const canon::Reply second = whole(cohere_v2(),
        fmt::format(
            R"({{"modelId":"cohere.command-a","chatResponse":{{"apiFormat":"COHEREV2","id":)"
            R"("r1","message":{{"role":"ASSISTANT","content":[{{"type":"THINKING",)"
            R"("thinking":"hm"}},{{"type":"TEXT","text":"Rain."}}],"toolPlan":"I look.",)"
            R"("toolCalls":[{{"id":"c1","type":"FUNCTION","function":{{"name":"weather",)"
            R"("arguments":"{{}}"}}}}]}},"finishReason":"TOOL_CALL",{}}}}})",
            kUsage));
    EXPECT_EQ(second.started.id, "r1");
    ASSERT_EQ(second.choices[0].parts.size(), 3U);
    EXPECT_EQ(second.choices[0].parts[0].text, "hmI look.");
    EXPECT_EQ(second.choices[0].parts[1].text, "Rain.");
    EXPECT_EQ(second.choices[0].parts[2].start.call_id, "c1");
}

// No [DONE] follows, and the last event says everything once more.
TEST(OciReply, ACohereStreamEndsWithItsFinishAndItsUsage) {
    const std::string finish =
        R"("text":"Rain.","finishReason":"COMPLETE","chatHistory":[],"pad":"a")";
    const std::string begin = R"({"apiFormat":"COHERE","text":"Ra","pad":"aa"})";
    const std::string middle = R"({"apiFormat":"COHERE","text":"in","pad":"a"})";
    const std::string with_usage = stream_of(
        {begin, middle, fmt::format(R"({{"apiFormat":"COHERE",{},{}}})", finish, kUsage)}, false);
    const Read out = read(cohere(), ReplyForm::kStream, with_usage, with_usage.size());
    EXPECT_FALSE(out.may_end_here);  // it has ended
    const canon::Reply reply = streamed(cohere(), with_usage);
    ASSERT_EQ(reply.choices[0].parts.size(), 1U);
    EXPECT_EQ(reply.choices[0].parts[0].text, "Rain.");
    EXPECT_EQ(reply.usage.answer_tokens(), 8);
    EXPECT_TRUE(reply.has_ended);

    const std::string without =
        stream_of({begin, middle, fmt::format(R"({{"apiFormat":"COHERE",{}}})", finish)}, false);
    const Read open = read(cohere(), ReplyForm::kStream, without, 7);
    EXPECT_TRUE(open.may_end_here);
    EXPECT_TRUE(open.status);
    EXPECT_TRUE(folded(open.events).has_ended);
    const std::string late = without + stream_of({fmt::format("{{{}}}", kUsage)}, false);
    EXPECT_EQ(streamed(cohere(), late).usage.answer_tokens(), 8);
}

TEST(OciReply, AGenericStreamThatHasCountedMayEndWithoutItsDone) {
    const std::string finish = R"({"index":0,"message":{"content":[{"type":"TEXT","text":"a"}]},)"
                               R"("finishReason":"stop"})";
    const std::string answered = stream_of({finish}, false);
    EXPECT_FALSE(read(generic(), ReplyForm::kStream, answered, answered.size()).may_end_here);
    const std::string counted = stream_of({finish, fmt::format("{{{}}}", kUsage)}, false);
    const Read out = read(generic(), ReplyForm::kStream, counted, counted.size());
    EXPECT_TRUE(out.may_end_here);
    EXPECT_TRUE(out.status);
    EXPECT_EQ(folded(out.events).usage.answer_tokens(), 8);
    EXPECT_TRUE(folded(out.events).has_ended);
}

// Two answers to one prompt are two answers' tokens.
TEST(OciReply, ChoicesThatCountEachAreCountedTogether) {
    const auto choice = [](int index, int tokens) {
        return fmt::format(R"({{"index":{},"message":{{"content":[{{"type":"TEXT","text":"a"}}]}},)"
                           R"("finishReason":"stop","usage":{{"promptTokens":7,)"
                           R"("completionTokens":{},"totalTokens":{}}}}})",
            index, tokens, tokens + 7);
    };
    const std::string one = stream_of({choice(0, 20)}, false);
    EXPECT_FALSE(read(generic(), ReplyForm::kStream, one, one.size()).may_end_here)
        << "the other has not begun";
    const canon::Reply both = streamed(generic(), stream_of({choice(0, 20), choice(1, 30)}));
    EXPECT_EQ(both.usage.answer_tokens(), 50);
    EXPECT_EQ(both.usage.prompt_tokens(), 7);
    const canon::Reply total = streamed(
        generic(), stream_of({choice(0, 20), choice(1, 30), fmt::format("{{{}}}", kUsage)}));
    EXPECT_EQ(total.usage.answer_tokens(), 8) << "what all of it took is said last";
}

TEST(OciReply, ACohereStreamOfTheSecondVersionHasTextsThoughtsAndCalls) {
    const canon::Reply reply = streamed(cohere_v2(),
        stream_of(
            {R"({"apiFormat":"COHEREV2","message":{"role":"ASSISTANT","content":[{"type":)"
             R"("THINKING","thinking":"hm"}]}})",
                R"({"apiFormat":"COHEREV2","message":{"role":"ASSISTANT","content":[{"type":)"
                R"("TEXT","text":"I look"}]}})",
                R"({"apiFormat":"COHEREV2","message":{"role":"ASSISTANT","toolCalls":[{"id":)"
                R"("c1","type":"FUNCTION","function":{"name":"weather","arguments":"{\"a\":"}}]}})",
                R"({"apiFormat":"COHEREV2","message":{"role":"ASSISTANT","toolCalls":[{"id":)"
                R"("c1","type":"FUNCTION","function":{"arguments":"1}"}}]}})",
                fmt::format(R"({{"apiFormat":"COHEREV2","message":{{"role":"ASSISTANT",)"
                            R"("content":[{{"type":"TEXT","text":"I look"}}],"toolCalls":[{{)"
                            R"("id":"c1","type":"FUNCTION","function":{{"name":"weather",)"
                            R"("arguments":"{{\"a\":1}}"}}}}]}},"finishReason":"COMPLETE",{}}})",
                    kUsage)},
            false));
    ASSERT_EQ(reply.choices[0].parts.size(), 3U);
    EXPECT_EQ(reply.choices[0].parts[1].text, "I look");
    EXPECT_EQ(reply.choices[0].parts[2].text, R"({"a":1})");
    EXPECT_EQ(reply.choices[0].finished->reason, StopReason::kToolCalls);
}

TEST(OciReply, ReasonsAreKnownInEveryMakersWordsAndCase) {
    const auto reason = [](std::string_view word) {
        return streamed(generic(),
            stream_of({R"({"index":0,"message":{"content":[{"type":"text","text":"a"}]}})",
                fmt::format(R"({{"index":0,"finishReason":"{}"}})", word)}))
            .choices[0]
            .finished->reason;
    };
    EXPECT_EQ(reason("stop"), StopReason::kStop);
    EXPECT_EQ(reason("STOP"), StopReason::kStop);
    EXPECT_EQ(reason("MAX_TOKENS"), StopReason::kLength);
    EXPECT_EQ(reason("length"), StopReason::kLength);
    EXPECT_EQ(reason("SAFETY"), StopReason::kContentFilter);
    EXPECT_EQ(reason("ERROR_TOXIC"), StopReason::kContentFilter);
    EXPECT_EQ(reason("something new"), StopReason::kOther);
}

TEST(OciReply, TokensThatMakersCountBesideTheAnswerAreInTheTotalAndArePaidFor) {
    const auto usage = [](std::string_view counts) {
        return canon::to_json(streamed(generic(),
            stream_of({R"({"index":0,"finishReason":"stop"})",
                fmt::format(R"({{"usage":{{{}}}}})", counts)}))
                .usage);
    };
    EXPECT_EQ(usage(R"("promptTokens":10,"completionTokens":5,"totalTokens":35,)"
                    R"("completionTokensDetails":{"reasoningTokens":20})"),
        R"({"input":10,"output":25,"reasoning":20})");
    EXPECT_EQ(usage(R"("promptTokens":10,"completionTokens":5,"totalTokens":22,)"
                    R"("completionTokensDetails":{"reasoningTokens":3})"),
        R"({"input":10,"output":12,"reasoning":3})");
    EXPECT_EQ(usage(R"("promptTokens":10,"completionTokens":5,"totalTokens":35)"),
        R"({"input":10,"output":25,"reasoning":20})");
    EXPECT_EQ(
        usage(R"("promptTokens":-1,"completionTokens":5,"totalTokens":5)"), R"({"output":5})");
}

TEST(OciReply, AStreamWithoutAFinishIsBrokenAndAnErrorInsideItIsTheSuppliers) {
    const std::string cut = stream_of({R"({"index":0,"message":{"content":[{"type":"TEXT",)"
                                       R"("text":"a"}]}})"},
        false);
    EXPECT_FALSE(read(generic(), ReplyForm::kStream, cut, cut.size()).status);
    EXPECT_FALSE(read(generic(), ReplyForm::kStream, "data: {\"index\":0,\n\n", 99).status);
    EXPECT_FALSE(read(cohere(), ReplyForm::kStream, "data: [DONE]\n\n", 99).status);
    const canon::Reply failed = streamed(generic(),
        stream_of({R"({"index":0,"message":{"content":[{"type":"TEXT","text":"a"}]}})",
                      R"({"code":"TooManyRequests","message":"slow down"})"},
            false));
    ASSERT_TRUE(failed.failure);
    EXPECT_EQ(failed.failure->kind, FailureKind::kRateLimited);
    EXPECT_EQ(failed.failure->status, 429);
    const canon::Reply broke_off = streamed(cohere(),
        stream_of({R"({"apiFormat":"COHERE","text":"a"})",
                      R"({"apiFormat":"COHERE","text":"a","finishReason":"ERROR","errorMessage":)"
                      R"("lost the worker"})"},
            false));
    ASSERT_TRUE(broke_off.failure);
    EXPECT_EQ(broke_off.failure->message, "lost the worker");
}

TEST(OciFailure, CodesSayWhatStatusesLeaveOpen) {
    const auto kind = [](int status, std::string_view code, std::string_view message) {
        return generic()
            .decode_failure(
                status, {}, fmt::format(R"({{"code":"{}","message":"{}"}})", code, message))
            .kind;
    };
    EXPECT_EQ(kind(401, "NotAuthenticated", "Failed to verify"), FailureKind::kAuthentication);
    EXPECT_EQ(kind(404, "NotAuthorizedOrNotFound", "no"), FailureKind::kPermission);
    EXPECT_EQ(kind(429, "TooManyRequests", "slow"), FailureKind::kRateLimited);
    EXPECT_EQ(kind(400, "InvalidParameter", "bad topP"), FailureKind::kInvalidRequest);
    EXPECT_EQ(kind(400, "InvalidParameter", "This model's maximum context length is 8"),
        FailureKind::kContextExceeded);
    EXPECT_EQ(kind(400, "400", "Inappropriate content detected!!!"), FailureKind::kContentFilter);
    EXPECT_EQ(kind(400, "LimitExceeded", "x"), FailureKind::kQuotaExhausted);
    EXPECT_EQ(kind(500, "InternalServerError", "x"), FailureKind::kServer);
    const std::vector<Header> headers{{"opc-request-id", "R/1"}, {"retry-after", "7"}};
    const canon::Failure failure = generic().decode_failure(503, headers, "<html>");
    EXPECT_EQ(failure.kind, FailureKind::kOverloaded);
    EXPECT_EQ(failure.request_id, "R/1");
    EXPECT_EQ(failure.retry_after, std::chrono::milliseconds(7000));
    EXPECT_THAT(generic().encode_failure(failure), HasSubstr(R"("code":"ServiceUnavailable")"));
}

}  // namespace
}  // namespace entrepot::dialect::oci
