#include <gtest/gtest.h>

#include "dialect/openai_responses/openai_responses.h"
#include "dialect/sealed_signature.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::PartKind;
using canon::StopReason;
using Events = std::vector<canon::Event>;
using Names = std::vector<std::string>;

std::string stream_of(const std::vector<std::string>& data) {
    std::string bytes;
    for (const std::string& event : data) framing::append_sse(bytes, {}, event);
    return bytes;
}

Events decode(ReplyForm form, const std::string& bytes) {
    const auto decoder = dialect().reply_decoder(form);
    Events events;
    Status status = decoder->feed(bytes, events);
    if (status) status = decoder->finish(events);
    EXPECT_TRUE(status) << status.error().message;
    return events;
}

canon::Reply fold(const Events& events) {
    canon::Reply reply;
    for (const canon::Event& event : events) reply.add(event);
    return reply;
}

canon::Reply whole(const std::string& output, const std::string& more = "") {
    return fold(decode(ReplyForm::kWhole,
        R"({"id":"resp_1","status":"completed","model":"m","output":[)" + output + "]" + more +
            "}"));
}

struct Written {
    std::string bytes;
    Names dropped;
    std::vector<std::string> types;         ///< of a stream's events
    std::vector<json::Document> documents;  ///< a whole body, or the events

    [[nodiscard]] const json::Value& last() const { return documents.back().root(); }
};

Written write(ReplyForm form, const Events& events, const ReplyContext& context = {}) {
    Written written;
    const auto encoder = dialect().reply_encoder(form, context);
    for (const canon::Event& event : events) encoder->add(event, written.bytes);
    written.dropped = encoder->dropped();
    if (form == ReplyForm::kWhole) {
        written.documents.push_back(json::Document::parse(written.bytes).value());
        return written;
    }
    framing::SseParser parser;
    std::vector<framing::SseEvent> seen;
    EXPECT_TRUE(parser.feed(written.bytes, seen));
    for (const framing::SseEvent& event : seen) {
        written.documents.push_back(json::Document::parse(std::string(event.data)).value());
        EXPECT_EQ(written.last()["type"].string(), event.name);
        EXPECT_EQ(written.last()["sequence_number"].as_int(),
            static_cast<std::int64_t>(written.types.size()));
        written.types.emplace_back(event.name);
    }
    return written;
}

canon::PartStarted part(std::uint32_t number, PartKind kind) {
    canon::PartStarted started;
    started.part = number;
    started.kind = kind;
    return started;
}

canon::PartStarted call(std::uint32_t number, std::string id) {
    canon::PartStarted started = part(number, PartKind::kToolCall);
    started.call_id = std::move(id);
    started.name = "f";
    return started;
}

// --- reading ---

TEST(ResponsesReply, TheCiphertextOfTheWholeItemIsTheSignature) {
    const Events events = decode(ReplyForm::kStream,
        stream_of({R"({"type":"response.created","response":{"id":"resp_1","output":[]}})",
            R"({"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning",)"
            R"("id":"rs_1","encrypted_content":"early","summary":[]}})",
            R"({"type":"response.reasoning_summary_part.added","output_index":0,)"
            R"("summary_index":0})",
            R"({"type":"response.reasoning_summary_text.delta","output_index":0,)"
            R"("summary_index":0,"delta":"hm"})",
            R"({"type":"response.reasoning_summary_part.done","output_index":0,)"
            R"("summary_index":0})",
            R"({"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning",)"
            R"("id":"rs_1","encrypted_content":"final","summary":[{"type":"summary_text",)"
            R"("text":"hm"}]}})",
            R"({"type":"response.completed","response":{"id":"resp_1","status":"completed",)"
            R"("output":[{"type":"reasoning","id":"rs_1","encrypted_content":"later",)"
            R"("summary":[]}]}})"}));
    const canon::Reply reply = fold(events);
    ASSERT_EQ(reply.choices.at(0).parts.size(), 1u);
    const canon::Reply::Part& thought = reply.choices[0].parts[0];
    EXPECT_EQ(thought.text, "hm");
    EXPECT_TRUE(thought.start.is_summary);
    ASSERT_TRUE(thought.signature);
    EXPECT_EQ(thought.signature->data, "final");
    // The signature comes inside of its part.
    EXPECT_TRUE(std::holds_alternative<canon::PartSignature>(events.at(events.size() - 4)) ||
        std::holds_alternative<canon::PartSignature>(events.at(3)));
}

TEST(ResponsesReply, ServersMayLeaveThePiecesOut) {
    const std::string done =
        R"({"type":"response.output_item.done","output_index":0,"item":{"type":"message",)"
        R"("id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"hello"}]}})";
    const std::string created = R"({"type":"response.created","response":{"id":"resp_1"}})";
    const std::string delta = R"({"type":"response.output_text.delta","output_index":0,)"
                              R"("content_index":0,"delta":"hel"})";
    const std::string last = R"({"type":"response.completed","response":{"status":"completed",)"
                             R"("output":[{"type":"message","id":"msg_1","content":[)"
                             R"({"type":"output_text","text":"hello"}]}]}})";
    for (const auto& pieces : std::vector<std::vector<std::string>>{{created, delta, done, last},
             {created, done, last}, {created, last}, {last}, {delta, last}, {delta, done, last}}) {
        const canon::Reply reply = fold(decode(ReplyForm::kStream, stream_of(pieces)));
        ASSERT_EQ(reply.choices.at(0).parts.size(), 1u) << stream_of(pieces);
        EXPECT_EQ(reply.choices[0].parts[0].text, "hello") << stream_of(pieces);
        EXPECT_EQ(reply.choices[0].finished->reason, StopReason::kStop);
    }
}

TEST(ResponsesReply, WhyItEndedIsReadFromWhatItHolds) {
    const auto reason = [](const canon::Reply& reply) {
        return reply.choices.at(0).finished.value().reason;
    };
    const std::string text =
        R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]})";
    EXPECT_EQ(reason(whole(text)), StopReason::kStop);
    EXPECT_EQ(reason(whole(
                  R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)" + text)),
        StopReason::kToolCalls);
    EXPECT_EQ(reason(whole(R"({"type":"mcp_approval_request","id":"m"})")), StopReason::kPause);
    const auto incomplete = [&](const std::string& why) {
        return reason(fold(decode(ReplyForm::kWhole,
            R"({"status":"incomplete","incomplete_details":{"reason":")" + why +
                R"("},"output":[]})")));
    };
    EXPECT_EQ(incomplete("max_output_tokens"), StopReason::kLength);
    EXPECT_EQ(incomplete("content_filter"), StopReason::kContentFilter);
    EXPECT_EQ(incomplete("steered"), StopReason::kOther);
}

TEST(ResponsesReply, AnErrorIsToldOnceWithWhatWasUsed) {
    const std::string error = R"({"type":"error","error":{"type":"insufficient_quota",)"
                              R"("code":"insufficient_quota","message":"over"}})";
    const std::string failed =
        R"({"type":"response.failed","response":{"status":"failed","output":[],"error":)"
        R"({"code":"insufficient_quota","message":"over"},"usage":{"input_tokens":3,)"
        R"("output_tokens":1,"total_tokens":4}}})";
    for (const auto& pieces : std::vector<std::vector<std::string>>{
             {error, failed}, {failed}, {error}, {error, "[DONE]"}}) {
        const canon::Reply reply = fold(decode(ReplyForm::kStream, stream_of(pieces)));
        ASSERT_TRUE(reply.failure);
        EXPECT_EQ(reply.failure->kind, canon::FailureKind::kQuotaExhausted);
        EXPECT_EQ(reply.failure->message, "over");
        EXPECT_EQ(reply.has_usage, pieces.back() == failed);
        EXPECT_FALSE(reply.has_ended);
    }
    // The words at the top of the event, as the specification has it.
    const canon::Reply flat = fold(decode(ReplyForm::kStream,
        stream_of({R"({"type":"error","code":"rate_limit_exceeded","message":"slow"})"})));
    EXPECT_EQ(flat.failure->kind, canon::FailureKind::kRateLimited);
    EXPECT_EQ(flat.failure->status, 429);
}

TEST(ResponsesReply, AStreamWithoutItsEndIsNoReply) {
    const auto decoder = dialect().reply_decoder(ReplyForm::kStream);
    Events events;
    ASSERT_TRUE(decoder->feed(
        stream_of({R"({"type":"response.created","response":{"id":"resp_1"}})"}), events));
    const Status end = decoder->finish(events);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, ErrorCode::kUpstreamProtocol);
}

TEST(ResponsesReply, UsageIsBroughtToDisjointMeters) {
    using canon::Meter;
    const canon::Reply reply = whole(R"({"type":"web_search_call","id":"w","action":{"type":)"
                                     R"("search"}},{"type":"web_search_call","id":"x","action":)"
                                     R"({"type":"open_page"}})",
        R"(,"service_tier":"flex","usage":{"input_tokens":100,"input_tokens_details":)"
        R"({"cached_tokens":60,"cache_write_tokens":30,"cache_write_tokens_details":)"
        R"({"ttl_12h_tokens":10,"ttl_30m_tokens":20}},"output_tokens":9,)"
        R"("output_tokens_details":{"reasoning_tokens":5},"total_tokens":109})");
    EXPECT_EQ(canon::to_json(reply.usage),
        R"({"input":10,"cache_read":60,"cache_write":20,"cache_write_long":10,"output":9,)"
        R"("reasoning":5,"searches":1})");
    EXPECT_EQ(reply.service_tier, "flex");
}

// --- writing ---

TEST(ResponsesReply, AForeignStreamIsToldInTheWholeOfficialSequence) {
    canon::Usage usage;
    usage[canon::Meter::kInput] = 3;
    usage[canon::Meter::kOutput] = 2;
    const Written written = write(ReplyForm::kStream,
        {canon::Started{"msg_01", "claude", 7}, part(0, PartKind::kThought),
            canon::PartDelta{0, 0, "hm"},
            canon::PartSignature{0, 0, {"anthropic-messages", "Eq=="}}, canon::PartEnded{0, 0},
            part(1, PartKind::kText), canon::PartDelta{0, 1, "a"}, canon::PartEnded{0, 1},
            call(2, "c1"), call(3, "c2"), canon::PartDelta{0, 3, "{}"}, canon::PartEnded{0, 2},
            canon::PartEnded{0, 3}, canon::Finished{0, StopReason::kToolCalls, "tool_use", ""},
            canon::UsageReported{usage}, canon::Ended{}},
        {.model = "shown"});
    EXPECT_EQ(written.types,
        (Names{"response.created", "response.in_progress", "response.output_item.added",
            "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done", "response.reasoning_summary_part.done",
            "response.output_item.done", "response.output_item.added",
            "response.content_part.added", "response.output_text.delta",
            "response.output_text.done", "response.content_part.done", "response.output_item.done",
            "response.output_item.added", "response.output_item.added",
            "response.function_call_arguments.delta", "response.function_call_arguments.delta",
            "response.function_call_arguments.done", "response.function_call_arguments.done",
            "response.output_item.done", "response.output_item.done", "response.completed"}));
    const json::Value& response = written.last()["response"];
    EXPECT_EQ(response["id"].string(), "resp_msg_01");
    EXPECT_EQ(response["model"].string(), "shown");
    EXPECT_EQ(response["usage"]["total_tokens"].as_int(), 5);
    ASSERT_EQ(response["output"].items().size(), 4u);
    const auto sealed = unseal(response["output"].items()[0]["encrypted_content"].string());
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealed->signature, (canon::Signature{"anthropic-messages", "Eq=="}));
    EXPECT_EQ(response["output"].items()[2]["arguments"].string(), "{}") << "an empty call";
    EXPECT_TRUE(written.dropped.empty());
}

TEST(ResponsesReply, AnAnswerThatIsCutSaysSoAndSoDoesItsLastItem) {
    const Written written = write(ReplyForm::kStream,
        {canon::Started{"x", "m", 1}, call(0, "c1"), canon::PartDelta{0, 0, "{\"a"},
            canon::PartEnded{0, 0}, canon::Finished{0, StopReason::kLength, "length", ""},
            canon::Ended{}});
    EXPECT_EQ(written.types.back(), "response.incomplete");
    const json::Value& response = written.last()["response"];
    EXPECT_EQ(response["status"].string(), "incomplete");
    EXPECT_EQ(response["incomplete_details"]["reason"].string(), "max_output_tokens");
    EXPECT_EQ(response["output"].items()[0]["status"].string(), "incomplete");
}

// Codex compacts its history on that code and on nothing else.
TEST(ResponsesReply, AFullContextIsAFailedResponseWithTheCodeThatAgentsKnow) {
    const canon::Failure failure{.kind = canon::FailureKind::kContextExceeded,
        .status = 400,
        .message = "prompt is too long",
        .code = "invalid_request_error"};
    const Written written = write(ReplyForm::kStream, {canon::Failed{failure}}, {.id = "resp_1"});
    EXPECT_EQ(
        written.types, (Names{"response.created", "response.in_progress", "response.failed"}));
    const json::Value& error = written.last()["response"]["error"];
    EXPECT_EQ(error["code"].string(), "context_length_exceeded");
    EXPECT_EQ(error["message"].string(), "prompt is too long");
    const Written body = write(ReplyForm::kWhole, {canon::Failed{failure}});
    EXPECT_EQ(body.last()["error"]["code"].string(), "context_length_exceeded");
}

TEST(ResponsesReply, SignaturesOfCallsAndOfNothingHaveItemsOfTheirOwn) {
    const Written written = write(ReplyForm::kWhole,
        {canon::Started{"x", "m", 1}, call(0, "c1"), canon::PartSignature{0, 0, {"gemini", "s1"}},
            canon::PartEnded{0, 0}, part(1, PartKind::kText),
            canon::PartSignature{0, 1, {"gemini", "s2"}}, canon::PartEnded{0, 1},
            canon::Finished{0, StopReason::kToolCalls, "STOP", ""}, canon::Ended{}});
    const auto output = written.last()["output"].items();
    ASSERT_EQ(output.size(), 3u);
    const Sealed of_call{{"gemini", "s1"}, Sealed::Of::kPart, "c1"};
    const Sealed of_text{{"gemini", "s2"}, Sealed::Of::kEmptyText, ""};
    EXPECT_EQ(unseal(output[1]["encrypted_content"].string()), of_call);
    EXPECT_EQ(unseal(output[2]["encrypted_content"].string()), of_text);
}

TEST(ResponsesReply, WhatHasNoPlaceIsNamed) {
    canon::PartStarted opaque = part(0, PartKind::kOpaque);
    opaque.opaque = canon::Opaque{"anthropic-messages", "server_tool_use", "{}"};
    canon::PartStarted sound = part(1, PartKind::kMedia);
    sound.media = canon::Media{.kind = canon::Media::Kind::kAudio, .data = "QQ=="};
    canon::PartStarted other = part(0, PartKind::kText);
    other.choice = 1;
    const Written written = write(ReplyForm::kWhole,
        {canon::Started{"x", "m", 1}, opaque, sound, other,
            canon::Aside{"gemini", "citationMetadata", "{}", 0},
            canon::UsageReported{{}, "on_demand"}, canon::Ended{}});
    EXPECT_EQ(written.dropped,
        (Names{"server_tool_use", "media", "choices", "citationMetadata", "service_tier"}));
    EXPECT_TRUE(written.last()["output"].items().empty());
    EXPECT_TRUE(written.last()["service_tier"].is_null());
}

TEST(ResponsesReply, ImagesOfOthersAreImageCalls) {
    canon::PartStarted image = part(0, PartKind::kMedia);
    image.media = canon::Media{.media_type = "image/webp", .data = "QUJD"};
    const Events events{canon::Started{"x", "m", 1}, image, canon::PartEnded{0, 0},
        canon::Finished{}, canon::Ended{}};
    const Written written = write(ReplyForm::kWhole, events);
    const json::Value& item = written.last()["output"].items()[0];
    EXPECT_EQ(item["type"].string(), "image_generation_call");
    EXPECT_EQ(item["result"].string(), "QUJD");
    const canon::Reply back = fold(decode(ReplyForm::kWhole, written.bytes));
    EXPECT_EQ(back.choices.at(0).parts.at(0).start.media->media_type, "image/webp");
}

TEST(ResponsesReply, TheRequestIsRepeatedAsItsClientWroteIt) {
    const auto document = json::Document::parse(
        R"({"model":"m","input":"x","instructions":"be brief","store":true,"tools":[)"
        R"({"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],)"
        R"("tool_choice":"required","temperature":0.20,"text":{"format":{"type":"json_object"}}})");
    const auto request = dialect().decode_request(*document, {});
    ASSERT_TRUE(request);
    const Written written = write(ReplyForm::kWhole, {canon::Started{"x", "m", 1}, canon::Ended{}},
        {.echo = dialect().echo_of(*request)});
    const json::Value& response = written.last();
    EXPECT_EQ(response["instructions"].string(), "be brief");
    EXPECT_EQ(response["tools"].raw(), document->root()["tools"].raw());
    EXPECT_EQ(response["tool_choice"].string(), "required");
    EXPECT_EQ(response["temperature"].raw(), "0.20");
    EXPECT_EQ(response["text"].raw(), document->root()["text"].raw());
    EXPECT_EQ(response["store"].as_bool(), false) << "another dialect's supplier stores nothing";
}

}  // namespace
}  // namespace entrepot::dialect::openai_responses
