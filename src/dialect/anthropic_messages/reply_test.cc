#include <gtest/gtest.h>

#include "canon/reply.h"
#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/anthropic_messages/usage.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Event;
using canon::Meter;
using canon::PartKind;
using canon::StopReason;

struct Decoded {
    std::vector<Event> events;
    canon::Reply reply;
    Status status;
};

Decoded decode(ReplyForm form, std::string_view bytes, std::size_t piece_bytes = 1 << 20) {
    Decoded out;
    const auto decoder = dialect().reply_decoder(form);
    while (!bytes.empty() && out.status) {
        out.status = decoder->feed(bytes.substr(0, piece_bytes), out.events);
        bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
    }
    if (out.status) out.status = decoder->finish(out.events);
    for (const Event& event : out.events) out.reply.add(event);
    return out;
}

std::string encode(
    ReplyForm form, const std::vector<Event>& events, std::vector<std::string>* dropped = nullptr) {
    const auto encoder = dialect().reply_encoder(form, {.model = "shown", .id = "ours"});
    std::string out;
    for (const Event& event : events) encoder->add(event, out);
    if (dropped != nullptr) *dropped = encoder->dropped();
    return out;
}

// One event a line; the SSE name is the type, as the supplier writes it.
std::string stream_of(const std::vector<std::string>& events) {
    std::string out;
    for (const std::string& data : events) {
        const auto document = json::Document::parse(data);
        EXPECT_TRUE(document) << data;
        framing::append_sse(out, document->root()["type"].string(), data);
    }
    return out;
}

const std::string kStart =
    R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":60,"ephemeral_1h_input_tokens":40},"output_tokens":1}}})";
const std::string kStop = R"({"type":"message_stop"})";

std::vector<std::string> full_stream() {
    return {kStart, R"({"type":"ping"})",
        R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})",
        R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}})",
        R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}})",
        R"({"type":"content_block_stop","index":0})",
        R"({"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"xx"}})",
        R"({"type":"content_block_stop","index":1})",
        R"({"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}})",
        R"({"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Gr\u00fc\u00df "}})",
        R"({"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"page","n":1}}})",
        R"({"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Gott"}})",
        R"({"type":"content_block_stop","index":2})",
        R"({"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}})",
        R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"q\":"}})",
        R"({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"1}"}})",
        R"({"type":"content_block_stop","index":3})",
        R"({"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"t1","name":"none","input":{}}})",
        R"({"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}})",
        R"({"type":"content_block_stop","index":4})",
        R"({"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"t2","name":"some","input":{}}})",
        R"({"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}})",
        R"({"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":":2}"}})",
        R"({"type":"content_block_stop","index":5})",
        R"({"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":30,"output_tokens_details":{"thinking_tokens":7}}})",
        kStop};
}

TEST(AnthropicReply, AStreamBecomesParts) {
    const Decoded got = decode(ReplyForm::kStream, stream_of(full_stream()));
    ASSERT_TRUE(got.status) << got.status.error().message;
    EXPECT_EQ(got.reply.started.id, "msg_1");
    const auto& parts = got.reply.choices.at(0).parts;
    ASSERT_EQ(parts.size(), 6u);
    EXPECT_EQ(parts[0].start.kind, PartKind::kThought);
    EXPECT_EQ(parts[0].text, "hm");
    EXPECT_EQ(parts[0].signature->data, "sig");
    EXPECT_TRUE(parts[1].start.is_redacted);
    EXPECT_EQ(parts[1].signature->data, "xx");
    EXPECT_EQ(parts[2].text, "Gr\xC3\xBC\xC3\x9F Gott");
    EXPECT_EQ(parts[3].start.opaque->json,
        R"({"type":"server_tool_use","id":"s","name":"web_search","input":{"q":1}})");
    EXPECT_EQ(parts[4].text, "{}");  // a call without arguments streams only an empty string
    EXPECT_EQ(parts[5].text, R"({"a":2})");
    EXPECT_EQ(parts[5].start.call_id, "t2");
    ASSERT_EQ(got.reply.choices[0].asides.size(), 1u);
    EXPECT_EQ(got.reply.choices[0].asides[0].json, R"({"type":"page","n":1})");
    EXPECT_EQ(got.reply.choices[0].finished->reason, StopReason::kToolCalls);
    EXPECT_TRUE(got.reply.has_ended);
    EXPECT_EQ(canon::to_json(got.reply.usage),
        R"({"input":10,"cache_read":5,"cache_write":60,"cache_write_long":40,"output":30,"reasoning":7})");
}

TEST(AnthropicReply, BytesSplitAnywhereGiveTheSameEvents) {
    const std::string bytes = stream_of(full_stream());
    const Decoded whole = decode(ReplyForm::kStream, bytes);
    const std::string told = encode(ReplyForm::kStream, whole.events);
    for (const std::size_t piece : {1u, 2u, 3u, 7u, 64u}) {
        const Decoded split = decode(ReplyForm::kStream, bytes, piece);
        EXPECT_EQ(split.events.size(), whole.events.size());
        EXPECT_EQ(encode(ReplyForm::kStream, split.events), told);
    }
}

// What a client of this dialect gets from a supplier of this dialect, by way of canon.
TEST(AnthropicReply, AStreamComesBackAsItWas) {
    const Decoded first = decode(ReplyForm::kStream, stream_of(full_stream()));
    const std::string written = encode(ReplyForm::kStream, first.events);
    const Decoded second = decode(ReplyForm::kStream, written);
    ASSERT_TRUE(second.status) << written;
    EXPECT_EQ(encode(ReplyForm::kWhole, second.events), encode(ReplyForm::kWhole, first.events));
    EXPECT_NE(written.find(R"("id":"msg_1","type":"message","role":"assistant","model":"shown")"),
        std::string::npos);
    EXPECT_NE(written.find(R"("usage":{"input_tokens":10,"cache_creation_input_tokens":100)"),
        std::string::npos);
}

TEST(AnthropicReply, AWholeReplyComesBackAsItWas) {
    const std::string body =
        R"({"id":"m","type":"message","role":"assistant","model":"shown","content":[{"type":"thinking","thinking":"t","signature":"s"},)"
        R"({"type":"text","text":"a","citations":[{"x":1},{"x":2}]},{"type":"tool_use","id":"i","name":"n","input":{},"caller":{"type":"code","tool_id":"z"}},)"
        R"({"type":"web_search_tool_result","tool_use_id":"s","content":[]}],"stop_reason":"stop_sequence","stop_sequence":"END","container":{"id":"c"},)"
        R"("usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":4,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0}}})";
    for (const std::size_t piece : {std::size_t{1}, body.size()}) {
        const Decoded got = decode(ReplyForm::kWhole, body, piece);
        ASSERT_TRUE(got.status);
        std::vector<std::string> dropped;
        EXPECT_EQ(encode(ReplyForm::kWhole, got.events, &dropped), body);
        EXPECT_TRUE(dropped.empty());
        EXPECT_EQ(got.reply.usage[Meter::kSearches], 2);
    }
}

TEST(AnthropicReply, AStreamThatStopsEarlyIsAnErrorAndItsUsageStands) {
    std::vector<std::string> events = full_stream();
    events.pop_back();
    const Decoded got = decode(ReplyForm::kStream, stream_of(events));
    ASSERT_FALSE(got.status);
    EXPECT_EQ(got.status.error().code, ErrorCode::kUpstreamProtocol);
    EXPECT_EQ(got.reply.usage[Meter::kOutput], 30);
    EXPECT_FALSE(decode(ReplyForm::kStream, "").status);
    const std::string half = stream_of(full_stream()).substr(0, 700);
    EXPECT_FALSE(decode(ReplyForm::kStream, half).status);
    // The last empty line alone is no loss.
    std::string bytes = stream_of(full_stream());
    bytes.pop_back();
    EXPECT_TRUE(decode(ReplyForm::kStream, bytes).status);
}

TEST(AnthropicReply, AnErrorInTheStreamIsTheSuppliersAnswer) {
    const Decoded got = decode(ReplyForm::kStream,
        stream_of({kStart,
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"}));
    ASSERT_TRUE(got.status);
    ASSERT_TRUE(got.reply.failure);
    EXPECT_EQ(got.reply.failure->kind, canon::FailureKind::kOverloaded);
    EXPECT_EQ(got.reply.failure->status, 529);
    EXPECT_FALSE(got.reply.has_ended);
    EXPECT_NE(
        encode(ReplyForm::kStream, got.events).find("event: error\ndata: {\"type\":\"error\""),
        std::string::npos);
}

TEST(AnthropicReply, WhatIsNotTheProtocolIsSaid) {
    for (const std::string bytes : {"data: {\n\n", "data: nonsense\n\n",
             "data: "
             "{\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"text_delta\","
             "\"text\":\"x\"}}\n\n"}) {
        const Decoded got = decode(ReplyForm::kStream, bytes);
        ASSERT_FALSE(got.status);
        EXPECT_EQ(got.status.error().code, ErrorCode::kUpstreamProtocol);
    }
    for (const std::string body :
        {"", "<html>", "[]", "{}", "{\"content\":\"x\"}", "{\"type\":\"message\""}) {
        EXPECT_FALSE(decode(ReplyForm::kWhole, body).status) << body;
    }
}

TEST(AnthropicReply, StopReasonsHaveTheirMeaning) {
    const std::vector<std::pair<std::string, StopReason>> cases{{"end_turn", StopReason::kStop},
        {"tool_use", StopReason::kToolCalls}, {"max_tokens", StopReason::kLength},
        {"stop_sequence", StopReason::kStopSequence}, {"pause_turn", StopReason::kPause},
        {"refusal", StopReason::kRefusal},
        {"model_context_window_exceeded", StopReason::kContextExceeded},
        {"something_new", StopReason::kOther}};
    for (const auto& [word, reason] : cases) {
        const Decoded got = decode(ReplyForm::kWhole,
            R"({"content":[],"stop_reason":")" + word +
                R"(","usage":{"input_tokens":1,"output_tokens":1}})");
        ASSERT_TRUE(got.status);
        EXPECT_EQ(got.reply.choices.at(0).finished->reason, reason);
        EXPECT_EQ(got.reply.choices[0].finished->raw_reason, word);
    }
}

// Where code of the supplier's calls a client's tool, each further call is a stream of its own: its
// message_start has the call whole, and why it stopped.
TEST(AnthropicReply, AMessageThatStartsFinishedIsReadWhole) {
    const std::string bytes = stream_of(
        {R"({"type":"message_start","message":{"id":"m","model":"c","role":"assistant","content":[{"type":"text","text":"so"},{"type":"tool_use","id":"t","name":"roll","input":{"who":2}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}})",
            kStop});
    for (const std::size_t piece : {bytes.size(), std::size_t{1}}) {
        const Decoded got = decode(ReplyForm::kStream, bytes, piece);
        ASSERT_TRUE(got.status);
        const auto& choice = got.reply.choices.at(0);
        ASSERT_EQ(choice.parts.size(), 2u);
        EXPECT_EQ(choice.parts[0].text, "so");
        EXPECT_EQ(choice.parts[1].start.name, "roll");
        EXPECT_EQ(choice.parts[1].text, R"({"who":2})");
        EXPECT_EQ(choice.finished->reason, StopReason::kToolCalls);
        EXPECT_EQ(got.reply.usage[canon::Meter::kOutput], 4);
        EXPECT_TRUE(got.reply.has_ended);
    }
}

// Tool input cut by the cap is passed on, and a whole reply's client reads an object all the same.
TEST(AnthropicReply, ACallCutByTheCapIsNotAnError) {
    const Decoded got = decode(ReplyForm::kStream,
        stream_of({kStart,
            R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}})",
            R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\": [1,"}})",
            R"({"type":"content_block_stop","index":0})",
            R"({"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":9}})",
            kStop}));
    ASSERT_TRUE(got.status);
    EXPECT_EQ(got.reply.choices[0].parts[0].text, "{\"a\": [1,");
    EXPECT_EQ(got.reply.choices[0].finished->reason, StopReason::kLength);
    std::vector<std::string> dropped;
    EXPECT_NE(
        encode(ReplyForm::kWhole, got.events, &dropped).find("\"input\":{}"), std::string::npos);
    EXPECT_EQ(dropped, std::vector<std::string>{"tool_calls.arguments"});
}

// The first usage of a stream says it, the last one does not.
TEST(AnthropicReply, TheTierThatServedIsReportedWithTheUsage) {
    const Decoded got = decode(ReplyForm::kStream,
        stream_of(
            {R"({"type":"message_start","message":{"content":[],"usage":{"input_tokens":1,"service_tier":"priority"}}})",
                R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}})",
                kStop}));
    ASSERT_TRUE(got.status);
    EXPECT_EQ(got.reply.usage[canon::Meter::kOutput], 9);
    EXPECT_EQ(got.reply.service_tier, "priority");
}

canon::Usage counted(const std::vector<std::string>& usages) {
    UsageCounts counts;
    for (const std::string& usage : usages) {
        const auto document = json::Document::parse(usage);
        EXPECT_TRUE(document) << usage;
        counts.overlay(document->root());
    }
    return counts.total();
}

TEST(AnthropicUsage, TheLastUsageOfAStreamIsLaidOverTheFirst) {
    EXPECT_EQ(canon::to_json(counted({R"({"input_tokens":10,"output_tokens":1})",
                  R"({"input_tokens":12,"output_tokens":5})"})),
        R"({"input":12,"output":5})");
    EXPECT_EQ(canon::to_json(counted({R"({"input_tokens":60385,"output_tokens":1})",
                  R"({"input_tokens":612,"output_tokens":5})"})),
        R"({"input":612,"output":5})");  // lower after a compaction
    EXPECT_EQ(canon::to_json(
                  counted({R"({"input_tokens":10,"output_tokens":1})", R"({"output_tokens":5})"})),
        R"({"input":10,"output":5})");
    EXPECT_EQ(canon::to_json(counted({R"({"input_tokens":10,"cache_read_input_tokens":null})"})),
        R"({"input":10})");
}

TEST(AnthropicUsage, LifetimesOfCacheWritesArePricedApart) {
    EXPECT_EQ(
        canon::to_json(counted({R"({"cache_creation_input_tokens":9})"})), R"({"cache_write":9})");
    const std::string both =
        R"({"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5}})";
    const std::string lasting =
        R"({"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":9}})";
    EXPECT_EQ(canon::to_json(counted({both})), R"({"cache_write":4,"cache_write_long":5})");
    EXPECT_EQ(canon::to_json(counted({both, R"({"cache_creation_input_tokens":9})"})),
        R"({"cache_write":4,"cache_write_long":5})");
    EXPECT_EQ(canon::to_json(counted({both, R"({"cache_creation_input_tokens":11})"})),
        R"({"cache_write":6,"cache_write_long":5})");
    EXPECT_EQ(canon::to_json(counted({lasting, R"({"cache_creation_input_tokens":11})"})),
        R"({"cache_write_long":11})");
    EXPECT_EQ(canon::to_json(counted({lasting, R"({"cache_creation_input_tokens":2})"})),
        R"({"cache_write_long":2})");
}

// The top level counts the message passes alone; the others were billed as well.
TEST(AnthropicUsage, EveryPassIsBilled) {
    EXPECT_EQ(
        canon::to_json(counted(
            {R"({"input_tokens":4727,"output_tokens":3391,"iterations":[)"
             R"({"type":"message","input_tokens":1051,"output_tokens":35},{"type":"advisor_message","model":"x","input_tokens":2728,"output_tokens":3880},{"type":"message","input_tokens":3676,"output_tokens":3356}]})"})),
        R"({"input":7455,"output":7271})");
    EXPECT_EQ(
        canon::to_json(counted(
            {R"({"input_tokens":612,"output_tokens":7,"iterations":[)"
             R"({"type":"compaction","input_tokens":60385,"output_tokens":900,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":3}},{"type":"message","input_tokens":612,"output_tokens":7}]})"})),
        R"({"input":60997,"cache_write_long":3,"output":907})");
    EXPECT_EQ(
        canon::to_json(counted(
            {R"({"input_tokens":20,"output_tokens":7,"iterations":[)"
             R"({"type":"message","input_tokens":19,"output_tokens":2},{"type":"fallback_message","input_tokens":20,"output_tokens":7}]})"})),
        R"({"input":39,"output":9})");
}

// Events as an OpenAI supplier gives them: no signatures, parts that end late and overlap.
TEST(AnthropicReply, BlocksNeverOverlapForAClientOfThisDialect) {
    const std::vector<Event> events{canon::Started{"chatcmpl-1", "gpt", 7},
        canon::PartStarted{.part = 0}, canon::PartDelta{0, 0, "a"},
        canon::PartStarted{.part = 1, .kind = PartKind::kToolCall, .call_id = "c1", .name = "f"},
        canon::PartDelta{0, 1, "{\"x\":"}, canon::PartDelta{0, 0, "b"},
        canon::PartStarted{.part = 2, .kind = PartKind::kToolCall, .call_id = "c2", .name = "g"},
        canon::PartDelta{0, 2, "{}"}, canon::PartDelta{0, 1, "1}"}, canon::PartEnded{0, 1},
        canon::PartEnded{0, 0}, canon::PartEnded{0, 2},
        canon::Aside{"openai-chat", "system_fingerprint", "\"fp\"", std::nullopt},
        canon::Finished{0, StopReason::kToolCalls, "tool_calls", ""},
        canon::UsageReported{counted({R"({"input_tokens":3,"output_tokens":4})"})}, canon::Ended{}};
    std::vector<std::string> dropped;
    const std::string out = encode(ReplyForm::kStream, events, &dropped);
    EXPECT_EQ(dropped, std::vector<std::string>{"system_fingerprint"});
    const Decoded got = decode(ReplyForm::kStream, out);
    ASSERT_TRUE(got.status) << out;
    const auto& parts = got.reply.choices.at(0).parts;
    ASSERT_EQ(parts.size(), 4u) << out;
    EXPECT_EQ(parts[0].text, "a");
    EXPECT_EQ(parts[1].text, "{\"x\":1}");
    EXPECT_EQ(parts[2].text, "b");
    EXPECT_EQ(parts[3].text, "{}");
    EXPECT_EQ(got.reply.usage[Meter::kInput], 3);
    // Between a block's start and its stop stands nothing of another block.
    std::int64_t open = -1;
    for (std::size_t at = 0; (at = out.find("data: ", at)) != std::string::npos; ++at) {
        const auto document =
            json::Document::parse(out.substr(at + 6, out.find('\n', at) - at - 6));
        ASSERT_TRUE(document);
        const std::string_view type = document->root()["type"].string();
        const std::int64_t index = document->root()["index"].as_int().value_or(-1);
        if (type == "content_block_start") {
            EXPECT_EQ(open, -1);
            open = index;
        } else if (index >= 0) {
            EXPECT_EQ(open, index);
            if (type == "content_block_stop") open = -1;
        }
    }
}

TEST(AnthropicReply, TextIsWrittenWithTheEventThatBringsIt) {
    const auto encoder = dialect().reply_encoder(ReplyForm::kStream, {});
    std::string out;
    encoder->add(canon::Started{"i", "m", 0}, out);
    encoder->add(canon::PartStarted{.part = 0}, out);
    out.clear();
    encoder->add(canon::PartDelta{0, 0, "now"}, out);
    EXPECT_NE(out.find("\"text\":\"now\""), std::string::npos);
}

TEST(AnthropicFailure, ErrorsKeepTheirKind) {
    using canon::FailureKind;
    const std::vector<Header> headers{{"request-id", "req_1"}, {"retry-after", "7"}};
    const canon::Failure limited = dialect().decode_failure(429, headers,
        R"({"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"other"})");
    EXPECT_EQ(limited.kind, FailureKind::kRateLimited);
    EXPECT_EQ(limited.request_id, "req_1");
    EXPECT_EQ(limited.message, "slow");
    EXPECT_EQ(limited.retry_after, std::chrono::seconds(7));
    EXPECT_EQ(dialect().decode_failure(529, {}, "<html>busy").kind, FailureKind::kOverloaded);
    EXPECT_EQ(dialect().decode_failure(502, {}, "").kind, FailureKind::kServer);
    EXPECT_FALSE(dialect().decode_failure(502, {}, "").message.empty());
    EXPECT_EQ(
        dialect()
            .decode_failure(400, {},
                R"({"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}})")
            .kind,
        FailureKind::kBilling);
    EXPECT_EQ(
        dialect()
            .decode_failure(400, {},
                R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 1 > 0"}})")
            .kind,
        FailureKind::kContextExceeded);
    const std::vector<std::pair<std::string, std::optional<std::chrono::milliseconds>>> waits{
        {"1.5", std::chrono::milliseconds(1500)}, {"-1", std::nullopt}, {"soon", std::nullopt},
        {"1s", std::nullopt}};
    for (const auto& [word, wait] : waits) {
        const std::vector<Header> one{{"retry-after", word}};
        EXPECT_EQ(dialect().decode_failure(429, one, "{}").retry_after, wait) << word;
    }
    EXPECT_EQ(dialect().encode_failure({.kind = FailureKind::kInvalidRequest,
                  .status = 400,
                  .message = "is 5",
                  .param = "top_k",
                  .request_id = "r"}),
        R"({"type":"error","error":{"type":"invalid_request_error","message":"top_k: is 5"},"request_id":"r"})");
}

}  // namespace
}  // namespace entrepot::dialect::anthropic_messages
