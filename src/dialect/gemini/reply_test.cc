#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/gemini/testing.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Meter;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::string sse(std::initializer_list<std::string_view> chunks) {
    std::string out;
    for (const std::string_view chunk : chunks) out += fmt::format("data: {}\r\n\r\n", chunk);
    return out;
}

/// The same, split at every byte, whatever the form.
Decoded read(std::string_view bytes, const Dialect& dialect = gemini()) {
    const Decoded whole = decode(ReplyForm::kStream, bytes, bytes.size() + 1, dialect);
    const Decoded split = decode(ReplyForm::kStream, bytes, 1, dialect);
    EXPECT_EQ(whole.shown, split.shown);
    EXPECT_EQ(whole.status.has_value(), split.status.has_value());
    return whole;
}

Decoded read_whole(std::string_view body, const Dialect& dialect = gemini()) {
    return decode(ReplyForm::kWhole, body, body.size() + 1, dialect);
}

canon::Usage usage_of(std::string_view metadata) {
    const auto decoded = read_whole(fmt::format(
        R"({{"candidates":[{{"finishReason":"STOP"}}],"usageMetadata":{}}})", metadata));
    return fold(decoded.events).usage;
}

TEST(GeminiReply, TextGoesOnFromChunkToChunk) {
    const auto decoded = read(
        sse({R"({"candidates":[{"content":{"parts":[{"text":"A"}],"role":"model"},"index":0}],)"
             R"("modelVersion":"m","responseId":"r"})",
            R"({"candidates":[{"content":{"parts":[{"text":"B"}]},"index":0}]})",
            R"({"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"MAX_TOKENS"}]})"}));
    ASSERT_TRUE(decoded.status);
    EXPECT_THAT(decoded.shown,
        ElementsAre("started r m 0", "part 0.0 kind 0  ", "delta 0.0 A", "delta 0.0 B", "end 0.0",
            "finished 0 length MAX_TOKENS", "ended"));
}

TEST(GeminiReply, AnArrayOfChunksIsTheSameStream) {
    const std::string first = R"({"candidates":[{"content":{"parts":[{"text":"] , [ \" }"}]}}]})";
    const std::string last = R"({"candidates":[{"content":{},"finishReason":"STOP"}]})";
    const auto events = read(sse({first, last}));
    ASSERT_TRUE(events.status);
    for (const std::string& array :
        {fmt::format("[{}\n,\r\n{}\n]\n", first, last), fmt::format("  \n[{},{}]", first, last)})
        EXPECT_EQ(read(array).shown, events.shown);
    EXPECT_FALSE(read("[" + first + "," + last).status);
    EXPECT_FALSE(read("[" + first + last + "]").status);
    EXPECT_FALSE(read("[" + first + "] " + last).status);
    EXPECT_FALSE(read("[1]").status);
    EXPECT_FALSE(read("").status);
    EXPECT_FALSE(read(sse({first})).status);
}

TEST(GeminiReply, TheFirstByteThatIsNoSpaceTellsTheForm) {
    const std::string chunk =
        R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]})";
    EXPECT_TRUE(read("\r\n\r\n" + sse({chunk})).status);
    EXPECT_TRUE(read("\xEF\xBB\xBF" + sse({chunk})).status);
    EXPECT_TRUE(read(": a comment\n\n" + sse({chunk, "[DONE]"})).status);
    EXPECT_TRUE(read("\n\n " + chunk).status);
}

TEST(GeminiReply, AnErrorMayStandBareInTheMiddle) {
    const std::string first = R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}]})";
    const std::string error =
        "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"busy\",\n"
        "    \"status\": \"UNAVAILABLE\"\n  }\n}\n";
    for (const std::string& bytes : {sse({first}) + error, sse({first}) + "[" + error + "]\n",
             "[" + first + ",\n" + error + "]",
             sse({first,
                 R"({"error":{"code":503,)"
                 R"("message":"busy",)"
                 R"("status":"UNAVAILABLE"}})"})}) {
        const auto decoded = read(bytes);
        EXPECT_TRUE(decoded.status) << bytes;
        EXPECT_EQ(decoded.shown.back(), "failed 503 UNAVAILABLE busy") << bytes;
        EXPECT_THAT(decoded.shown, Contains("delta 0.0 a"));
    }
    EXPECT_THAT(read(error).shown, ElementsAre("failed 503 UNAVAILABLE busy"));
}

TEST(GeminiReply, StopWithCallsMeansToolCalls) {
    const auto decoded = read(
        sse({R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},)"
             R"("thoughtSignature":"s1"},{"functionCall":{"id":"x","name":"g"}}]}}]})",
            R"({"candidates":[{"finishReason":"STOP"}]})"}));
    ASSERT_TRUE(decoded.status);
    const canon::Reply reply = fold(decoded.events);
    ASSERT_EQ(reply.choices[0].parts.size(), 2U);
    const auto& first = reply.choices[0].parts[0];
    EXPECT_TRUE(first.start.call_id.starts_with(kMadeUpId));
    EXPECT_EQ(first.text, R"({"a":1})");
    EXPECT_EQ(first.signature, (canon::Signature{"gemini", "s1"}));
    EXPECT_EQ(reply.choices[0].parts[1].start.call_id, "x");
    EXPECT_EQ(reply.choices[0].parts[1].text, "{}");
    EXPECT_EQ(reply.choices[0].finished->reason, canon::StopReason::kToolCalls);
    EXPECT_EQ(reply.choices[0].finished->raw_reason, "STOP");
}

TEST(GeminiReply, ArgumentsThatComeInPiecesAreWrittenAsTheyCome) {
    const auto call = [](std::string_view members) {
        return fmt::format(
            R"({{"candidates":[{{"content":{{"parts":[{{"functionCall":{}}}]}}}}]}})", members);
    };
    const auto decoded = read(sse({call(R"({"name":"f","willContinue":true})"),
        call(R"({"partialArgs":[{"jsonPath":"$.a","stringValue":"x\"","willContinue":true}],)"
             R"("willContinue":true})"),
        call(R"({"partialArgs":[{"jsonPath":"$.a","stringValue":"y"},)"
             R"({"jsonPath":"$.b.c[0].d","numberValue":1},{"jsonPath":"$.b.c[0].e",)"
             R"("boolValue":true},{"jsonPath":"$.b.c[1].d","nullValue":null},)"
             R"({"jsonPath":"$['odd key']","stringValue":""}],"willContinue":true})"),
        call("{}"), R"({"candidates":[{"finishReason":"STOP"}]})"}));
    ASSERT_TRUE(decoded.status) << decoded.status.error().message;
    EXPECT_EQ(fold(decoded.events).choices[0].parts[0].text,
        R"({"a":"x\"y","b":{"c":[{"d":1,"e":true},{"d":null}]},"odd key":""})");
    // What is closed cannot be said otherwise.
    EXPECT_FALSE(read(sse({call(R"({"name":"f","willContinue":true,"partialArgs":[)"
                                R"({"jsonPath":"$.a.b","numberValue":1},)"
                                R"({"jsonPath":"$.c","numberValue":1},)"
                                R"({"jsonPath":"$.a.d","numberValue":1}]})")}))
            .status);
    // What the cap has cut stays cut.
    const auto cut =
        read(sse({call(R"({"name":"f","willContinue":true,"partialArgs":[)"
                       R"({"jsonPath":"$.a","stringValue":"x","willContinue":true}]})"),
            R"({"candidates":[{"finishReason":"MAX_TOKENS"}]})"}));
    EXPECT_EQ(fold(cut.events).choices[0].parts[0].text, R"({"a":"x)");
}

TEST(GeminiReply, WhatIsSignedIsAPartOfItsOwn) {
    const auto decoded = read_whole(
        R"({"candidates":[{"content":{"parts":[{"text":"t","thought":true},{"text":"a"},)"
        R"({"text":"b","thoughtSignature":"s"},{"text":"","thoughtSignature":"u"}]},)"
        R"("finishReason":"STOP"}]})");
    EXPECT_THAT(decoded.shown,
        ElementsAre("started   0", "part 0.0 kind 2  ", "delta 0.0 t", "end 0.0",
            "part 0.1 kind 0  ", "delta 0.1 a", "end 0.1", "part 0.2 kind 0  ",
            "signature 0.2 gemini s", "delta 0.2 b", "end 0.2", "part 0.3 kind 0  ",
            "signature 0.3 gemini u", "end 0.3", "finished 0 stop STOP", "ended"));
}

TEST(GeminiReply, CodeAndPicturesAreWholeParts) {
    const auto decoded = read_whole(
        R"({"candidates":[{"content":{"parts":[)"
        R"({"executableCode":{"code":"1"},"thoughtSignature":"s"},)"
        R"({"codeExecutionResult":{"output":"1"}},)"
        R"({"inlineData":{"mimeType":"image/png","data":"eA=="}}]},"finishReason":"STOP",)"
        R"("groundingMetadata":{"webSearchQueries":["q","r"]}}],)"
        R"("usageMetadata":{"promptTokenCount":1,"totalTokenCount":1}})");
    EXPECT_THAT(decoded.shown,
        testing::IsSupersetOf({std::string(R"(part 0.0 kind 5   executableCode )"
                                           R"({"executableCode":{"code":"1"}})"),
            std::string("signature 0.0 gemini s"),
            std::string("part 0.2 kind 4   image/png eA==")}));
    const canon::Usage usage = fold(decoded.events).usage;
    EXPECT_EQ(usage[Meter::kSearches], 2);
    EXPECT_EQ(usage[Meter::kToolCalls], 1);
    const std::string again = encode(ReplyForm::kWhole, decoded.events);
    EXPECT_THAT(again, HasSubstr(R"({"executableCode":{"code":"1"},"thoughtSignature":"s"})"));
    EXPECT_THAT(again, HasSubstr(R"({"inlineData":{"mimeType":"image/png","data":"eA=="}})"));
}

TEST(GeminiReply, ABlockedPromptIsAnAnswer) {
    const std::string body =
        R"({"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3,)"
        R"("totalTokenCount":3}})";
    for (const auto& decoded : {read_whole(body), read(sse({body}))}) {
        ASSERT_TRUE(decoded.status);
        EXPECT_THAT(decoded.shown,
            ElementsAre("started   0", R"(aside promptFeedback {"blockReason":"SAFETY"})",
                R"(usage {"input":3})", "finished 0 content_filter SAFETY", "ended"));
        EXPECT_EQ(encode(ReplyForm::kWhole, decoded.events).find("candidates"), std::string::npos);
        EXPECT_EQ(encode(ReplyForm::kStream, decoded.events).find("candidates"), std::string::npos);
    }
}

TEST(GeminiReply, ReasonsHaveNumbersThatDifferByService) {
    const auto reason = [](int number, const Dialect& dialect) {
        return fold(
            read_whole(fmt::format(R"({{"candidates":[{{"finishReason":{}}}]}})", number), dialect)
                .events)
            .choices[0]
            .finished->raw_reason;
    };
    EXPECT_EQ(reason(2, gemini()), "MAX_TOKENS");
    EXPECT_EQ(reason(10, gemini()), "MALFORMED_FUNCTION_CALL");
    EXPECT_EQ(reason(10, vertex()), "MODEL_ARMOR");
    EXPECT_EQ(reason(6, gemini()), "LANGUAGE");
    EXPECT_EQ(reason(6, vertex()), "BLOCKLIST");
}

TEST(GeminiReply, TheLastReasonOfAStreamIsMeant) {
    const auto decoded =
        read(sse({R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]})",
            R"({"candidates":[{"finishReason":"RECITATION"}]})"}));
    EXPECT_THAT(decoded.shown, Contains("finished 0 content_filter RECITATION"));
    EXPECT_THAT(decoded.shown, testing::Not(Contains("finished 0 stop STOP")));
}

TEST(GeminiReply, CandidatesAreChoices) {
    const auto decoded = read_whole(
        R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","index":0},)"
        R"({"content":{"parts":[{"text":"b"}]},"finishReason":"SAFETY","index":1}]})");
    const canon::Reply reply = fold(decoded.events);
    ASSERT_EQ(reply.choices.size(), 2U);
    EXPECT_EQ(reply.choices[1].parts[0].text, "b");
    EXPECT_EQ(reply.choices[1].finished->reason, canon::StopReason::kContentFilter);
    const Decoded again = read(encode(ReplyForm::kStream, decoded.events));
    EXPECT_EQ(fold(again.events).choices[1].parts[0].text, "b");
    EXPECT_FALSE(read_whole(R"({"candidates":[{"index":4000000000}]})").status);
}

TEST(GeminiUsage, EachTokenIsCountedOnce) {
    const canon::Usage usage = usage_of(
        R"({"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":30,)"
        R"("thoughtsTokenCount":7,"toolUsePromptTokenCount":5,"totalTokenCount":142,)"
        R"("promptTokensDetails":[{"modality":"AUDIO","tokenCount":25},{"modality":2,)"
        R"("tokenCount":10}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":15}],)"
        R"("candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":20}]})");
    EXPECT_EQ(usage[Meter::kInput], 40 + 5);
    EXPECT_EQ(usage[Meter::kAudioIn], 10);
    EXPECT_EQ(usage[Meter::kImageIn], 10);
    EXPECT_EQ(usage[Meter::kCacheRead], 25);
    EXPECT_EQ(usage[Meter::kAudioCacheRead], 15);
    EXPECT_EQ(usage[Meter::kImageOut], 20);
    EXPECT_EQ(usage[Meter::kOutput], 10 + 7);
    EXPECT_EQ(usage[Meter::kReasoning], 7);
    EXPECT_EQ(usage.prompt_tokens() + usage.answer_tokens(), 142);
}

TEST(GeminiUsage, DetailsNeverCountMoreThanTheCountsDo) {
    const canon::Usage usage =
        usage_of(R"({"promptTokenCount":10,"cachedContentTokenCount":40,"candidatesTokenCount":3,)"
                 R"("promptTokensDetails":[{"modality":"AUDIO","tokenCount":500}],)"
                 R"("candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":9}]})");
    EXPECT_EQ(usage.prompt_tokens(), 10);
    EXPECT_EQ(usage.answer_tokens(), 3);
    EXPECT_EQ(usage[Meter::kAudioOut], 3);
    // An answer that nobody counted is in the total.
    EXPECT_EQ(usage_of(R"({"promptTokenCount":10,"totalTokenCount":14})")[Meter::kOutput], 4);
}

TEST(GeminiUsage, ACompleteAccountReplacesTheOneBeforeAPartialOneIsLaidOver) {
    const auto chunk = [](std::string_view usage) {
        return fmt::format(
            R"({{"candidates":[{{"finishReason":"STOP"}}],"usageMetadata":{}}})", usage);
    };
    const auto last = [&](std::string_view first, std::string_view second) {
        return canon::to_json(fold(read(sse({chunk(first), chunk(second)})).events).usage);
    };
    EXPECT_EQ(last(R"({"promptTokenCount":9,"candidatesTokenCount":21,"totalTokenCount":30})",
                  R"({"promptTokenCount":87,"thoughtsTokenCount":78,"totalTokenCount":165})"),
        R"({"input":87,"output":78,"reasoning":78})");
    EXPECT_EQ(last(R"({"promptTokenCount":9,"totalTokenCount":9})",
                  R"({"candidatesTokenCount":5,"thoughtsTokenCount":2})"),
        R"({"input":9,"output":7,"reasoning":2})");
}

TEST(GeminiReply, AStreamIsWrittenInGooglesForm) {
    std::vector<canon::Event> events;
    events.push_back(canon::Started{"r", "supplier-model", 0});
    canon::PartStarted text;
    events.push_back(text);
    events.push_back(canon::PartDelta{0, 0, "a\nb"});
    events.push_back(canon::PartEnded{0, 0});
    canon::PartStarted call;
    call.part = 1;
    call.kind = canon::PartKind::kToolCall;
    call.call_id = "call_1";
    call.name = "f";
    events.push_back(call);
    events.push_back(canon::PartDelta{0, 1, "{\n"});
    events.push_back(canon::PartDelta{0, 1, "\"x\":1}"});
    events.push_back(canon::PartEnded{0, 1});
    events.push_back(canon::Finished{0, canon::StopReason::kToolCalls, "tool_use", {}});
    canon::UsageReported usage;
    usage.usage[Meter::kInput] = 5;
    usage.usage[Meter::kCacheRead] = 2;
    usage.usage[Meter::kOutput] = 4;
    usage.usage[Meter::kReasoning] = 1;
    events.push_back(usage);
    events.push_back(canon::Ended{});
    ReplyContext context;
    context.model = "shown";
    const std::string tail = R"(,"modelVersion":"shown","responseId":"r"})";
    const std::string first =
        R"({"candidates":[{"content":{"parts":[{"text":"a\nb"}],"role":"model"},"index":0}])" +
        tail;
    const std::string second =
        R"({"candidates":[{"content":{"parts":[{"functionCall":{"id":"call_1","name":"f",)"
        R"("args":{ "x":1}},"thoughtSignature":"ZXBvdDE6bm9uZTpwOjA6"}],"role":"model"},)"
        R"("index":0}])" +
        tail;
    const std::string third =
        R"({"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}],)"
        R"("usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"totalTokenCount":11,)"
        R"("cachedContentTokenCount":2,"thoughtsTokenCount":1,)"
        R"("promptTokensDetails":[{"modality":"TEXT","tokenCount":7}],)"
        R"("cacheTokensDetails":[{"modality":"TEXT","tokenCount":2}],)"
        R"("candidatesTokensDetails":[{"modality":"TEXT","tokenCount":3}]})" +
        tail;
    EXPECT_EQ(encode(ReplyForm::kStream, events, context),
        fmt::format("data: {}\n\ndata: {}\n\ndata: {}\n\n", first, second, third));
    context.wants_json_array = true;
    EXPECT_EQ(encode(ReplyForm::kStream, events, context),
        fmt::format("[{},\r\n{},\r\n{}]", first, second, third));
    events.back() = canon::Failed{{.status = 500, .message = "m"}};
    EXPECT_THAT(encode(ReplyForm::kStream, events, context),
        testing::EndsWith(R"({"error":{"code":500,"message":"m","status":"INTERNAL"}}])"));
    context.wants_json_array = false;
    EXPECT_THAT(encode(ReplyForm::kStream, events, context),
        testing::EndsWith("\n\ndata: {\"error\":{\"code\":500,\"message\":\"m\",\"status\":"
                          "\"INTERNAL\"}}\n\n"));
}

TEST(GeminiReply, ACallThatIsNoObjectIsToldAsMalformed) {
    std::vector<canon::Event> events{canon::Started{}};
    canon::PartStarted call;
    call.kind = canon::PartKind::kToolCall;
    call.name = "f";
    events.push_back(call);
    events.push_back(canon::PartDelta{0, 0, R"({"x":)"});
    events.push_back(canon::PartEnded{0, 0});
    events.push_back(canon::Finished{0, canon::StopReason::kLength, "length", {}});
    events.push_back(canon::Ended{});
    for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
        std::vector<std::string> dropped;
        const std::string out = encode(form, events, {}, &dropped);
        EXPECT_EQ(out.find("functionCall"), std::string::npos);
        EXPECT_THAT(out, HasSubstr(R"x("finishReason":"MALFORMED_FUNCTION_CALL")x"));
        EXPECT_THAT(out, HasSubstr(R"x("finishMessage":"Malformed function call: f({\"x\":)")x"));
        EXPECT_THAT(dropped, ElementsAre("tool_calls"));
    }
}

TEST(GeminiReply, AnotherMakersSignatureIsSealed) {
    std::vector<canon::Event> events{canon::Started{}};
    canon::PartStarted thought;
    thought.kind = canon::PartKind::kThought;
    events.push_back(thought);
    events.push_back(canon::PartDelta{0, 0, "hm"});
    events.push_back(canon::PartSignature{0, 0, {"anthropic-messages", "proof"}});
    events.push_back(canon::PartEnded{0, 0});
    events.push_back(canon::Finished{0, canon::StopReason::kStop, "end_turn", {}});
    events.push_back(canon::Ended{});
    std::vector<std::string> dropped;
    const std::string out = encode(ReplyForm::kWhole, events, {}, &dropped);
    EXPECT_TRUE(dropped.empty());
    EXPECT_EQ(out.find("proof"), std::string::npos);
    const canon::Reply again = fold(read_whole(out).events);
    const Sealed sealed = read_signature(again.choices[0].parts[0].signature->data);
    EXPECT_EQ(sealed.signature, (canon::Signature{"anthropic-messages", "proof"}));
}

TEST(GeminiFailure, GooglesCodesBecomeKinds) {
    const auto read_failure = [](int status, std::string_view error) {
        return gemini().decode_failure(status, {}, fmt::format(R"({{"error":{}}})", error));
    };
    using canon::FailureKind;
    EXPECT_EQ(read_failure(400,
                  R"({"code":400,"status":"INVALID_ARGUMENT","message":)"
                  R"("The input token count (5) exceeds the maximum number of )"
                  R"(tokens allowed (4)."})")
                  .kind,
        FailureKind::kContextExceeded);
    EXPECT_EQ(read_failure(400,
                  R"({"status":"INVALID_ARGUMENT","message":"x","details":[)"
                  R"({"@type":"type.googleapis.com/google.rpc.ErrorInfo",)"
                  R"("reason":"API_KEY_INVALID"}]})")
                  .kind,
        FailureKind::kAuthentication);
    const auto quota = read_failure(429,
        R"({"status":"RESOURCE_EXHAUSTED","message":"x",)"
        R"("details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[)"
        R"({"quotaId":"RequestsPerDayPerProject"}]},)"
        R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]})");
    EXPECT_EQ(quota.kind, FailureKind::kQuotaExhausted);
    EXPECT_EQ(quota.retry_after, std::chrono::milliseconds(1500));
    EXPECT_EQ(gemini()
                  .decode_failure(429, {},
                      R"([{"error":{"status":"RESOURCE_EXHAUSTED",)"
                      R"("message":"Please retry in 2.25s."}}])")
                  .retry_after,
        std::chrono::milliseconds(2250));
    EXPECT_EQ(gemini().decode_failure(503, {}, "<html>").kind, FailureKind::kOverloaded);
    EXPECT_EQ(gemini().decode_failure(500, {}, "").message, "the supplier gave no reason");
}

TEST(GeminiFailure, ErrorsAreWrittenSoThatGooglesClientsKnowThem) {
    canon::Failure failure;
    failure.kind = canon::FailureKind::kRateLimited;
    failure.status = 429;
    failure.message = "slow down";
    failure.retry_after = std::chrono::milliseconds(2500);
    failure.param = "contents";
    EXPECT_EQ(gemini().encode_failure(failure),
        R"({"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[)"
        R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.500s"},)"
        R"({"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[)"
        R"({"field":"contents","description":"slow down"}]}]}})");
    failure = {};
    failure.kind = canon::FailureKind::kContextExceeded;
    failure.status = 400;
    failure.message = "too long";
    EXPECT_THAT(gemini().encode_failure(failure),
        HasSubstr("The input token count exceeds the maximum number of tokens allowed. too long"));
}

}  // namespace
}  // namespace entrepot::dialect::gemini
