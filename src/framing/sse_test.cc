#include "framing/sse.h"

#include <gtest/gtest.h>

namespace entrepot::framing {
namespace {

struct Seen {
    std::string name;
    std::string data;
    std::string raw;
    bool has_data;
    bool is_complete;
    friend bool operator==(const Seen&, const Seen&) = default;
};

void keep(const std::vector<SseEvent>& events, std::vector<Seen>& seen) {
    for (const SseEvent& e : events) {
        seen.push_back({std::string(e.name), std::string(e.data), std::string(e.raw), e.has_data,
            e.is_complete});
    }
}

// Feeds the text in pieces, copied so that a view into a piece that is gone shows under ASan.
std::vector<Seen> parse(const std::vector<std::string>& pieces, SseOptions options = {}) {
    SseParser parser(options);
    std::vector<Seen> seen;
    for (const std::string& piece : pieces) {
        const auto copy = std::make_unique<std::string>(piece);
        std::vector<SseEvent> events;
        EXPECT_TRUE(parser.feed(*copy, events));
        keep(events, seen);
    }
    std::vector<SseEvent> events;
    parser.finish(events);
    keep(events, seen);
    return seen;
}

std::vector<std::string> bytes_of(const std::string& text) {
    std::vector<std::string> pieces;
    for (const char c : text) pieces.emplace_back(1, c);
    return pieces;
}

std::vector<std::string> data_of(const std::vector<Seen>& seen) {
    std::vector<std::string> data;
    for (const Seen& s : seen) data.push_back(s.data);
    return data;
}

const std::string kUgly =
    "\xEF\xBB\xBF"
    ": keep-alive\n\n"
    "data: {\"a\":1}\n\n"
    "event: named\r\ndata:no space\r\n\r\n"
    "id: 7\rretry: 10\rdata:  two spaces\r\r"
    "data: first\ndata\ndata: third\n\n"
    "data: gr\xC3\xBC\xC3\x9F\n: comment inside\nevent: late\n\n"
    "event: nothing\n\n"
    "\n\n"
    "data:\n\n"
    "data: [DONE]\n\n";

TEST(Sse, ReadsEveryWayToWriteAnEvent) {
    const std::vector<Seen> seen = parse({kUgly});
    EXPECT_EQ(data_of(seen),
        (std::vector<std::string>{"{\"a\":1}", "no space", " two spaces", "first\n\nthird",
            "gr\xC3\xBC\xC3\x9F", "", "[DONE]"}));
    EXPECT_EQ(seen[1].name, "named");
    EXPECT_EQ(seen[4].name, "late");
    for (const Seen& s : seen) EXPECT_TRUE(s.is_complete && s.has_data);
}

TEST(Sse, BytesSplitAnywhereGiveTheSameEvents) {
    for (const bool reports_empty : {false, true}) {
        const SseOptions options{.reports_empty = reports_empty};
        const std::vector<Seen> whole = parse({kUgly}, options);
        EXPECT_EQ(parse(bytes_of(kUgly), options), whole);
        for (std::size_t at = 0; at <= kUgly.size(); ++at) {
            EXPECT_EQ(parse({kUgly.substr(0, at), kUgly.substr(at)}, options), whole) << at;
        }
    }
}

TEST(Sse, RawSpansAddUpToTheStream) {
    std::string sum;
    for (const Seen& s : parse(bytes_of(kUgly), {.reports_empty = true})) sum += s.raw;
    EXPECT_EQ(sum, kUgly);
}

TEST(Sse, AnEventIsGivenOutWithTheByteThatCompletesIt) {
    for (const std::string end : {"\n\n", "\r\r", "\r\n\r", "\n\r", "\r\n\n"}) {
        SseParser parser;
        std::vector<SseEvent> events;
        ASSERT_TRUE(parser.feed("data: x" + end.substr(0, end.size() - 1), events));
        EXPECT_TRUE(events.empty());
        const std::string last = end.substr(end.size() - 1);
        ASSERT_TRUE(parser.feed(last, events));
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].data, "x");
        EXPECT_EQ(parser.held_bytes(), 0u);
    }
}

TEST(Sse, AStreamThatStopsInsideABlockSaysSo) {
    for (const std::string text : {"data: a\n\ndata: [DONE]", "data: a\n\ndata: [DONE]\n"}) {
        const std::vector<Seen> seen = parse({text});
        ASSERT_EQ(seen.size(), 2u);
        EXPECT_EQ(seen[1].data, "[DONE]");
        EXPECT_FALSE(seen[1].is_complete);
    }
    EXPECT_EQ(parse({"data: a\r\n\r\n"}).size(), 1u);
    EXPECT_TRUE(parse({""}).empty());
}

TEST(Sse, ABlockLargerThanItsBoundIsRefusedAndEarlierEventsStand) {
    const std::string text = "data: ok\n\ndata: 0123456789\n\n";
    for (const auto& pieces : {std::vector<std::string>{text}, bytes_of(text)}) {
        SseParser parser({.event_bytes_max = 16});
        std::vector<Seen> seen;
        Status status;
        for (const std::string& piece : pieces) {
            std::vector<SseEvent> events;
            status = parser.feed(piece, events);
            keep(events, seen);
            if (!status) break;
        }
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code, ErrorCode::kUpstreamProtocol);
        EXPECT_EQ(data_of(seen), (std::vector<std::string>{"ok"}));
        std::vector<SseEvent> events;
        EXPECT_FALSE(parser.feed("data: more\n\n", events));
        EXPECT_TRUE(events.empty());
    }
    EXPECT_EQ(parse({"data: 01234567\n\n"}, {.event_bytes_max = 16}).size(), 1u);
}

TEST(Sse, WhatIsWrittenIsReadBack) {
    for (const std::string data : {"", "{}", "a\nb", "a\n\n", " lead", "x\r\ny"}) {
        std::string out;
        append_sse(out, "n", data);
        append_sse(out, "", data);
        const std::vector<Seen> seen = parse(bytes_of(out));
        ASSERT_EQ(seen.size(), 2u) << data;
        EXPECT_EQ(seen[0].name, "n");
        EXPECT_EQ(seen[1].name, "");
        EXPECT_EQ(seen[0].data, data == "x\r\ny" ? "x\ny" : data);
    }
}

}  // namespace
}  // namespace entrepot::framing
