#include "dialect/openai_chat/native.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "json/value.h"

namespace entrepot::dialect::openai_chat {
namespace {

using canon::Meter;

Error refused(std::string_view body) {
    RequestFacts facts;
    const Status status = inspect(body, facts);
    EXPECT_FALSE(status) << body;
    return status ? Error{} : status.error();
}

std::string with(std::string_view members) {
    return fmt::format(
        R"({{"model":"m","messages":[{{"role":"user","content":"hi"}}],{}}})", members);
}

std::string content(std::string_view parts) {
    return fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":{}}}]}})", parts);
}

TEST(Inspect, ReadsWhatPlanningNeeds) {
    RequestFacts facts;
    const std::string body = R"( {"messages": [
        {"role":"system","content":"Be \"brief\"."},
        {"role":"user","content":[{"type":"text","text":"What?","image_url":null},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
            {"type":"image_url","image_url":{"url":"https://example.com/a.png"}},
            {"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}},
            {"type":"file","file":{"file_id":"file-1"}}]}],
        "mod\u0065l":"gpt\u002d4o","stream":true,"stream_options":{"include_usage":true},
        "max_tokens":16,"n":2,"tools":[{"type":"function","function":{"name":"f"}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"x"}},
        "reasoning_effort":"high","user":"u-1","temperature":0.5,"stop":["a","b"]} )";
    ASSERT_TRUE(inspect(body, facts));
    EXPECT_EQ(facts.model, "gpt-4o");
    EXPECT_EQ(facts.model_span.in(body), "\"gpt\\u002d4o\"");
    EXPECT_TRUE(facts.is_stream);
    EXPECT_TRUE(facts.wants_stream_usage);
    EXPECT_EQ(facts.output_cap, 16);
    EXPECT_EQ(facts.choices, 2);
    EXPECT_EQ(facts.messages, 2u);
    EXPECT_EQ(facts.tools, 1u);
    EXPECT_EQ(facts.images, 2u);
    EXPECT_EQ(facts.image_data_bytes, 4);
    EXPECT_EQ(facts.audio_parts, 1u);
    EXPECT_EQ(facts.audio_data_bytes, 4);
    EXPECT_EQ(facts.file_ids, 1u);
    EXPECT_TRUE(facts.needs_json_schema);
    EXPECT_TRUE(facts.needs_reasoning);
    EXPECT_EQ(facts.user, "u-1");
    EXPECT_GT(facts.prompt_bytes, 100);
    EXPECT_EQ(facts.prompt_hash, 0u);  // too short for any cache
}

TEST(Inspect, NamesTheFieldTheValueAndWhatIsAccepted) {
    struct Case {
        std::string body;
        std::string field;
        std::string seen;
    };
    const Case cases[] = {
        {R"({"messages":[{"role":"user","content":"x"}]})", "model", "missing"},
        {R"({"model":5,"messages":[{"role":"user"}]})", "model", "5"},
        {R"({"model":"","messages":[{"role":"user"}]})", "model", "empty"},
        {R"({"model":"m"})", "messages", "missing"},
        {R"({"model":"m","messages":[]})", "messages", "empty"},
        {R"({"model":"m","messages":"hi"})", "messages", "\"hi\""},
        {R"({"model":"m","messages":[7]})", "messages[0]", "7"},
        {R"({"model":"m","messages":[{"content":"x"}]})", "messages[0].role", "missing"},
        {R"({"model":"m","messages":[{"role":"robot"}]})", "messages[0].role", "robot"},
        {content("5"), "messages[0].content", "5"},
        {content("[5]"), "messages[0].content[0]", "5"},
        {content(R"([{"text":"x"}])"), "messages[0].content[0].type", "missing"},
        {content(R"([{"type":"image_url"}])"), "messages[0].content[0].image_url", "missing"},
        {content(R"([{"type":"image_url","image_url":{"url":"ftp://x"}}])"),
            "messages[0].content[0].image_url.url", "ftp://x"},
        {content(R"([{"type":"image_url","image_url":{"url":"data:image/png,xx"}}])"),
            "messages[0].content[0].image_url.url", "base64"},
        {content(R"([{"type":"image_url","image_url":{"url":"data:image/png;base64,=%"}}])"),
            "messages[0].content[0].image_url.url", "not base64"},
        {with(R"("stream":"yes")"), "stream", "\"yes\""},
        {with(R"("n":0)"), "n", "0"},
        {with(R"("n":1.5)"), "n", "1.5"},
        {with(R"("max_tokens":0)"), "max_tokens", "0"},
        {with(R"("max_completion_tokens":"9")"), "max_completion_tokens", "\"9\""},
        {with(R"("temperature":2.1)"), "temperature", "2.1"},
        {with(R"("top_p":-1)"), "top_p", "-1"},
        {with(R"("presence_penalty":3)"), "presence_penalty", "3"},
        {with(R"("stop":["a","b","c","d","e"])"), "stop", "[\"a\""},
        {with(R"("stop":[1])"), "stop[0]", "1"},
        {with(R"("tools":[3])"), "tools[0]", "3"},
        {with(R"("tools":[{"type":"function","function":1}])"), "tools[0].function", "1"},
        {with(R"("stream_options":1)"), "stream_options", "1"},
    };
    for (const Case& c : cases) {
        const Error error = refused(c.body);
        EXPECT_EQ(error.code, ErrorCode::kInvalidField) << c.body;
        EXPECT_EQ(error.field, c.field) << c.body;
        EXPECT_NE(error.message.find(c.seen), std::string::npos) << error.message;
        EXPECT_NE(error.message.find("must be"), std::string::npos) << error.message;
    }
}

TEST(Inspect, RefusesWhatIsNoJsonAndWhatIsSaidTwice) {
    for (const char* body : {"", "  ", "[]", "{", R"({"model":"m",})", R"({"model":"m"} x)",
             "{\"model\":\"\x01\"}", "{\"model\":\"\xff\"}", R"({"model":"\q"})",
             "{\"messages\":[{\"content\":[{\"file\":{\"file_data\":\"\x02\"}}]}]}",
             R"({"model":"m","messages":[{"role":"user","content":01}]})"})
        EXPECT_EQ(refused(body).code, ErrorCode::kBadRequest) << body;
    // The last one wins at most suppliers: two models would be authorised and billed apart.
    const Error twice = refused(R"({"model":"a","messages":[{"role":"user"}],"mod\u0065l":"b"})");
    EXPECT_EQ(twice.code, ErrorCode::kBadRequest);
    EXPECT_EQ(twice.field, "model");
}

// A key spelled with escapes is the same key to the supplier, which would bill the image.
TEST(Inspect, CountsAnImageWhoseKeyIsSpelledWithEscapes) {
    RequestFacts facts;
    ASSERT_TRUE(inspect(
        content(R"([{"type":"image_url","image_\u0075rl":{"url":"https://example.com/a.png"}}])"),
        facts));
    EXPECT_EQ(facts.images, 1u);
}

TEST(Inspect, TheNextTurnFindsThisTurnsPromptHashAsItsParent) {
    const std::string rules(4000, 'r');
    const std::string first = R"({"model":"m","messages":[{"role":"system","content":")" + rules +
        R"("},{"role":"user","content":"one"}]})";
    const std::string second = R"({"messages": [{"role":"system","content":")" + rules +
        R"("},{"role":"user","content":"one"}, {"role":"assistant","content":"1"},)"
        R"({"role":"user","content":"two"}],"model":"m"})";
    // The hash is over bytes: the second turn repeats the first as it was spelled.
    RequestFacts a;
    RequestFacts b;
    ASSERT_TRUE(inspect(first, a));
    ASSERT_TRUE(inspect(second, b));
    EXPECT_NE(a.prompt_hash, 0u);
    EXPECT_EQ(a.parent_hash, 0u);
    EXPECT_EQ(b.parent_hash, a.prompt_hash);
    EXPECT_EQ(b.opening_hash, a.opening_hash);
    EXPECT_NE(b.prompt_hash, a.prompt_hash);
}

std::string spliced(std::string_view body, const Edits& edits) {
    RequestFacts facts;
    EXPECT_TRUE(inspect(body, facts));
    Splice splice_out;
    splice(body, facts, edits, splice_out);
    std::string out;
    splice_out.append_to(out);
    EXPECT_EQ(out.size(), splice_out.bytes());
    return out;
}

TEST(Splice, KeepsTheBytesItDoesNotEdit) {
    const std::string body =
        R"( { "messages" : [{"role":"user","content":"\u00e9"}], "model" : "m", "x": 1.0 } )";
    EXPECT_EQ(spliced(body, {}), body);
    EXPECT_EQ(spliced(body, {.model_id = "big \"one\""}),
        R"( { "messages" : [{"role":"user","content":"\u00e9"}], "model" : "big \"one\"", "x": 1.0 } )");
}

TEST(Splice, StatesOrClampsTheCap) {
    Edits edits;
    edits.output_tokens_max = 100;
    const std::string head = R"({"model":"m","messages":[{"role":"user"}])";
    EXPECT_EQ(spliced(head + "}", edits),
        R"({"max_completion_tokens":100,"model":"m","messages":[{"role":"user"}]})");
    EXPECT_EQ(spliced(head + R"(,"max_tokens":50})", edits), head + R"(,"max_tokens":50})");
    EXPECT_EQ(spliced(head + R"(,"max_tokens":500})", edits), head + R"(,"max_tokens":100})");
    EXPECT_EQ(spliced(head + R"(,"max_completion_tokens":null})", edits),
        head + R"(,"max_completion_tokens":100})");
    edits.injects_max_completion_tokens = false;
    EXPECT_EQ(spliced(head + "}", edits),
        R"({"max_tokens":100,"model":"m","messages":[{"role":"user"}]})");
}

TEST(Splice, AsksForUsageInEveryStateOfStreamOptions) {
    Edits edits;
    edits.asks_stream_usage = true;
    const std::string head = R"({"model":"m","messages":[{"role":"user"}],"stream":true)";
    const auto options = [&](std::string_view tail) {
        auto document = json::Document::parse(spliced(head + std::string(tail) + "}", edits));
        EXPECT_TRUE(document);
        return std::string(document->root()["stream_options"].raw());
    };
    EXPECT_EQ(options(""), R"({"include_usage":true})");
    EXPECT_EQ(options(R"(,"stream_options":null)"), R"({"include_usage":true})");
    EXPECT_EQ(options(R"(,"stream_options":{ })"), R"({"include_usage":true})");
    EXPECT_EQ(options(R"(,"stream_options":{"include_usage":false})"), R"({"include_usage":true})");
    EXPECT_EQ(options(R"(,"stream_options":{"include_obfuscation":false})"),
        R"({"include_usage":true,"include_obfuscation":false})");
    const std::string whole = R"({"model":"m","messages":[{"role":"user"}]})";
    EXPECT_EQ(spliced(whole, edits), whole);  // no stream, nothing to ask
}

/// Relays `bytes` cut into pieces of `size`; what the client gets.
std::string relayed(StreamMeter& meter, std::string_view bytes, std::size_t size) {
    std::string passed;
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
        out.clear();
        EXPECT_TRUE(meter.feed(bytes.substr(at, size), out));
        for (const std::string_view span : out) passed += span;
    }
    return passed;
}

constexpr std::string_view kText =
    R"(data: {"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{"content":"hey"},"finish_reason":null}],"usage":null})"
    "\n\n";
constexpr std::string_view kFinish =
    R"(data: {"id":"c-1","usage":null,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\n";
constexpr std::string_view kUsage =
    R"(data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}})"
    "\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string whole_stream() {
    return ": hello\n\n" + std::string(kText) + std::string(kFinish) + std::string(kUsage) +
        std::string(kDone);
}

TEST(StreamMeter, PassesEveryByteAtOnceWhenNothingIsToBeRemoved) {
    const std::string stream = whole_stream();
    StreamMeter meter({});
    std::vector<std::string_view> out;
    for (const char& byte : stream) {
        out.clear();
        ASSERT_TRUE(meter.feed({&byte, 1}, out));
        ASSERT_EQ(out.size(), 1u);
        EXPECT_EQ(out[0].data(), &byte);  // not even copied
    }
    out.clear();
    EXPECT_TRUE(meter.finish(out));
    EXPECT_TRUE(out.empty());
    EXPECT_TRUE(meter.is_done());
    EXPECT_EQ(meter.usage()[Meter::kInput], 5);
    EXPECT_EQ(meter.usage()[Meter::kOutput], 3);
    EXPECT_EQ(meter.stop_reason(), canon::StopReason::kStop);
    EXPECT_EQ(meter.answer_bytes(), 3);
}

TEST(StreamMeter, RemovesExactlyWhatAskingForUsageCaused) {
    const std::string expected =
        ": hello\n\n"
        R"(data: {"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{"content":"hey"},"finish_reason":null}]})"
        "\n\n"
        R"(data: {"id":"c-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
        "\n\n"
        "data: [DONE]\n\n";
    for (std::size_t size = 1; size < 400; ++size) {
        StreamMeter meter({.strips_usage = true});
        EXPECT_EQ(relayed(meter, whole_stream(), size), expected) << size;
        EXPECT_TRUE(meter.has_usage());
    }
}

// Events that repeat the one before are not read again: whatever differs has to be seen all the
// same. Each stream is metered with its events as they stand, and with a space in every other one,
// which is then no repetition.
TEST(StreamMeter, ReadsARepeatedEventAsItReadsANewOne) {
    const auto text = [](std::string_view inside, std::string_view rest) {
        return fmt::format(
            R"({{"id":"1","choices":[{{"index":0,"delta":{{"content":"{}"}}}}],"usage":null,"p":"{}"}})",
            inside, rest);
    };
    const std::vector<std::string> ends{text("ab", "x"), text("", ""), text("abc\\n", "xyz"),
        text("gr\xC3\xBC", "\xC3\xBC"), text(std::string(100, 'a'), std::string(50, 'x')),
        text("\xC3", "x"), text("a", "\xFF"), text("a\"", "x"), text("a\\", "x"), text("a\\x", "x"),
        text("a\x01", "x"), text("a", "x") + "1", text("a", "x\"}"),
        R"({"id":"1","choices":[{"index":0,"delta":{"content":"ab"}}],"usage":null,"p":"x)",
        R"({"id":"1","choices":[{"index":1,"delta":{"content":"ab"}}],"usage":null,"p":"x"})",
        R"({"id":"1","choices":[{"index":0,"delta":{"content":"ab"}}],"usage":{"prompt_tokens":3},"p":"x"})",
        R"({"id":"1","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"length"}]})",
        R"({"error":{"message":"no"}})", "[DONE]"};
    const auto meter_of = [](const std::vector<std::string>& events, bool strips) {
        StreamMeter meter({.strips_usage = strips});
        std::string bytes;
        for (const std::string& event : events) bytes += "data: " + event + "\n\n";
        std::vector<std::string_view> out;
        const Status fed = meter.feed(bytes, out);
        std::string passed;
        for (const std::string_view span : out) passed += span;
        const Status end = meter.finish(out);
        return fmt::format("{} {} {} {} {} {} {} {} {} {} {}", meter.events(), fed.has_value(),
            meter.malformed_events(), meter.answer_bytes(), canon::to_json(meter.usage()),
            meter.has_usage(), meter.is_done(), meter.finished_choices(),
            meter.failure() != nullptr, end.has_value(),
            strips    ? passed.find("null") == std::string::npos
                : fed ? passed == bytes
                      : bytes.starts_with(passed));
    };
    for (const std::string& first : ends)
        for (const std::string& second : ends)
            for (const bool strips : {false, true}) {
                const std::vector<std::string> events{first, second, second, first};
                std::vector<std::string> spaced = events;
                spaced[1].insert(0, " ");
                spaced[3].insert(0, "  ");
                EXPECT_EQ(meter_of(events, strips), meter_of(spaced, strips)) << first << "\n"
                                                                              << second;
            }
    EXPECT_NE(meter_of({ends[0], ends[2]}, false), meter_of({ends[0], ends[0]}, false));
}

TEST(StreamMeter, StripsUsageFromEveryRepetition) {
    StreamMeter meter({.strips_usage = true});
    std::string bytes;
    std::string expected;
    for (const std::string_view word : {"a", "", "four", "\\u00e9"}) {
        for (const std::string_view pad : {"", "padded"}) {
            bytes += fmt::format(
                "data: {{\"p\":\"{}\",\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}],"
                "\"usage\":null}}\n\n",
                pad, word);
            expected += fmt::format(
                "data: {{\"p\":\"{}\",\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
                pad, word);
        }
    }
    std::vector<std::string_view> out;
    ASSERT_TRUE(meter.feed(bytes, out));
    std::string passed;
    for (const std::string_view span : out) passed += span;
    EXPECT_EQ(passed, expected);
    EXPECT_EQ(meter.events(), 8u);
    EXPECT_EQ(meter.answer_bytes(), 2 * (1 + 4 + 6));
}

TEST(StreamMeter, LeavesUsageThatStandsWithContent) {
    constexpr std::string_view kStream =
        R"(data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})"
        "\n\ndata: [DONE]\n\n";
    StreamMeter meter({.strips_usage = true});
    EXPECT_EQ(relayed(meter, kStream, 7), kStream);
    EXPECT_EQ(meter.usage().answer_tokens(), 1);
}

TEST(StreamMeter, GivesOutAContentEventWithTheByteThatEndsItAlsoWithCarriageReturns) {
    std::string stream(kText);
    for (std::size_t at = 0; (at = stream.find('\n', at)) != std::string::npos; at += 2)
        stream.insert(at, "\r");
    StreamMeter meter({.strips_usage = true});
    std::vector<std::string_view> out;
    ASSERT_TRUE(meter.feed(stream, out));
    std::string passed;
    for (const std::string_view span : out) passed += span;
    EXPECT_TRUE(passed.ends_with("}\r\n\r\n")) << passed;
    for (std::size_t size = 1; size < stream.size(); ++size) {
        StreamMeter pieces({.strips_usage = true});
        EXPECT_EQ(relayed(pieces, stream, size), passed) << size;
    }
}

// A client may wait for the LF of the CRLF that ends an event: the first byte of the next event in
// the same piece does not hold it back.
TEST(StreamMeter, EndsAnEventOfCarriageReturnsAlsoWhenTheNextHasBegun) {
    constexpr std::string_view kEvent =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\r\n\r\n";
    StreamMeter meter({.strips_usage = true});
    std::vector<std::string_view> out;
    const std::string piece = std::string(kEvent) + "d";
    ASSERT_TRUE(meter.feed(piece, out));
    std::string passed;
    for (const std::string_view span : out) passed += span;
    EXPECT_EQ(passed, kEvent);
    out.clear();
    ASSERT_TRUE(meter.feed(kEvent.substr(1), out));
    passed.clear();
    for (const std::string_view span : out) passed += span;
    EXPECT_EQ(passed, kEvent);
}

// Its last LF is the first byte of the next block, and was left behind as an empty line.
TEST(StreamMeter, RemovesAnEventOfCarriageReturnsToItsLastByte) {
    constexpr std::string_view kFirst =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},"
        "\"finish_reason\":\"stop\"}]}\r\n\r\n";
    constexpr std::string_view kCounts =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\r\n\r\n";
    constexpr std::string_view kLast = "data: [DONE]\r\n\r\n";
    const std::string stream = fmt::format("{}{}{}", kFirst, kCounts, kLast);
    for (std::size_t size = 1; size <= stream.size(); ++size) {
        StreamMeter meter({.strips_usage = true});
        EXPECT_EQ(relayed(meter, stream, size), fmt::format("{}{}", kFirst, kLast)) << size;
        EXPECT_EQ(meter.usage().answer_tokens(), 1);
    }
    // Without the last event its LF comes when the stream ends.
    StreamMeter meter({.strips_usage = true});
    std::string passed = relayed(meter, fmt::format("{}{}", kFirst, kCounts), 5);
    std::vector<std::string_view> out;
    ASSERT_TRUE(meter.finish(out));
    for (const std::string_view span : out) passed += span;
    EXPECT_EQ(passed, kFirst);
}

TEST(StreamMeter, SeesErrorsInsideTheStream) {
    for (const char* stream : {"data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n",
             "event: error\ndata: {\"error\":{\"message\":\"tool_use_failed\"}}\n\n",
             "data: {\"object\":\"error\",\"message\":\"no\",\"type\":\"x\"}\n\n"}) {
        StreamMeter meter({});
        EXPECT_EQ(relayed(meter, stream, 5), stream);
        std::vector<std::string_view> out;
        EXPECT_TRUE(meter.finish(out)) << stream;
        ASSERT_TRUE(meter.failure()) << stream;
        EXPECT_GE(meter.failure()->status, 400);
        EXPECT_FALSE(meter.failure()->message.empty());
    }
}

TEST(StreamMeter, TellsACutStreamFromOneThatIsComplete) {
    const auto ends_well = [](std::string_view stream) {
        StreamMeter meter({});
        std::vector<std::string_view> out;
        return meter.feed(stream, out).has_value() && meter.finish(out).has_value();
    };
    EXPECT_TRUE(ends_well(whole_stream()));
    EXPECT_TRUE(ends_well(std::string(kText) + std::string(kFinish)));  // Perplexity
    EXPECT_FALSE(ends_well(kText));
    EXPECT_FALSE(ends_well(""));
    EXPECT_FALSE(ends_well(std::string(kFinish) + "data: {\"choices\":[\n\n" + std::string(kDone)));
    EXPECT_FALSE(ends_well(whole_stream().substr(0, 60)));
    EXPECT_FALSE(ends_well(kDone));  // an end of nothing
}

// Seen in the wild: a clock printed at a fixed width. Nothing is lost by passing it on.
TEST(StreamMeter, PassesPaddedNumbersOn) {
    const std::string stream =
        R"(data: {"choices":[{"index":0,"delta":{"content":"hey"},"finish_reason":"stop"}],"t":007})"
        "\n\ndata: [DONE]\n\n";
    for (const bool strips : {false, true}) {
        StreamMeter meter({.strips_usage = strips});
        std::vector<std::string_view> out;
        EXPECT_TRUE(meter.feed(stream, out));
        EXPECT_TRUE(meter.finish(out));
        std::string passed;
        for (const std::string_view span : out) passed += span;
        EXPECT_EQ(passed, stream);
        EXPECT_EQ(meter.answer_bytes(), 3);
    }
}

// A client's own parser would throw in the middle of the answer.
TEST(StreamMeter, StopsBeforeAnEventThatIsNoJson) {
    const std::string stream =
        std::string(kText) + "data: {\"choices\":[\n\n" + std::string(kFinish);
    for (const bool strips : {false, true}) {
        StreamMeter meter({.strips_usage = strips});
        std::vector<std::string_view> out;
        EXPECT_FALSE(meter.feed(stream, out));
        std::string passed;
        for (const std::string_view span : out) passed += span;
        EXPECT_TRUE(passed.ends_with("}\n\n")) << passed;
        EXPECT_NE(passed.find("hey"), std::string::npos);
        EXPECT_EQ(passed.find("[\n"), std::string::npos);
        EXPECT_EQ(meter.finished_choices(), 0u);
    }
    // What stands behind the end of the answer harms nobody.
    StreamMeter meter({});
    std::vector<std::string_view> out;
    EXPECT_TRUE(meter.feed(whole_stream() + "data: bye\n\n", out));
    EXPECT_TRUE(meter.finish(out));
}

TEST(StreamMeter, HidesAzuresFilterChunksFromOtherClients) {
    const std::string filters =
        R"(data: {"choices":[],"created":0,"id":"","model":"","prompt_filter_results":[{}]})"
        "\n\n";
    const std::string late =
        R"(data: {"choices":[{"index":0,"content_filter_offsets":{}}],"id":"","model":""})"
        "\n\n";
    const std::string stream = filters + std::string(kText) + late + std::string(kDone);
    StreamMeter meter({.hides_filter_chunks = true});
    EXPECT_EQ(relayed(meter, stream, 9), std::string(kText) + std::string(kDone));
}

TEST(MeterWhole, ReadsUsageAndErrors) {
    const auto reply = meter_whole(
        R"({"id":"c","model":"m","choices":[{"index":0,"message":{"content":"four"},"finish_reason":"length"}],
            "usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,
            "prompt_tokens_details":{"cached_tokens":6}}})");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->usage[Meter::kInput], 4);
    EXPECT_EQ(reply->usage[Meter::kCacheRead], 6);
    EXPECT_EQ(reply->stop_reason, canon::StopReason::kLength);
    EXPECT_EQ(reply->answer_bytes, 4);
    EXPECT_FALSE(meter_whole("<html>"));
    const auto failed = meter_whole(R"({"error":{"message":"no","code":429}})");
    ASSERT_TRUE(failed);
    ASSERT_TRUE(failed->failure);
    EXPECT_EQ(failed->failure->kind, canon::FailureKind::kRateLimited);
}

// What the request asked for is not always what served it.
TEST(Meters, ReadTheTierThatServed) {
    const auto whole = meter_whole(R"({"choices":[],"service_tier":"default"})");
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->service_tier, "default");
    EXPECT_EQ(meter_whole(R"({"choices":[],"service_tier":null})")->service_tier, "");
    StreamMeter meter({});
    std::vector<std::string_view> out;
    ASSERT_TRUE(
        meter.feed("data: {\"choices\":[],\"service_tier\":\"auto\"}\n\n"
                   "data: {\"choices\":[],\"service_tier\":\"priority\"}\n\n"
                   "data: {\"choices\":[],\"service_tier\":null}\n\ndata: [DONE]\n\n",
            out));
    EXPECT_EQ(meter.service_tier(), "priority");
}

TEST(MeterWhole, CountsWhatASupplierLeavesOutOfItsSums) {
    const auto usage_of = [](std::string_view usage) {
        return meter_whole(fmt::format(R"({{"choices":[],"usage":{}}})", usage))->usage;
    };
    // xAI: reasoning beside completion.
    EXPECT_EQ(canon::to_json(usage_of(R"({"prompt_tokens":331,"completion_tokens":11,
        "total_tokens":674,"prompt_tokens_details":{"cached_tokens":283},
        "completion_tokens_details":{"reasoning_tokens":332}})")),
        R"({"input":48,"cache_read":283,"output":343,"reasoning":332})");
    // Mistral: audio beside prompt.
    EXPECT_EQ(canon::to_json(usage_of(R"({"prompt_tokens":11,"completion_tokens":15,
        "total_tokens":401,"prompt_tokens_details":{"audio_tokens":375,"cached_tokens":9}})")),
        R"({"input":2,"cache_read":9,"audio_in":375,"output":15})");
    EXPECT_EQ(canon::to_json(usage_of(R"({"prompt_tokens":20,"completion_tokens":9,
        "prompt_tokens_details":{"cache_write_tokens":12,"audio_tokens":3},
        "completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":2}})")),
        R"({"input":5,"cache_write":12,"audio_in":3,"output":7,"audio_out":2,"reasoning":4})");
}

}  // namespace
}  // namespace entrepot::dialect::openai_chat
