#include "framing/event_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/hash.h"

namespace entrepot::framing {
namespace {

std::string bytes(std::initializer_list<int> values) {
    std::string out;
    for (const int value : values) out += static_cast<char>(value);
    return out;
}

struct Outcome {
    std::vector<std::string> messages;  ///< event type, payload
    bool is_good = true;
};

Outcome parse(std::string_view text, std::size_t piece_bytes, EventStreamOptions options = {}) {
    EventStreamParser parser(options);
    Outcome outcome;
    while (!text.empty() && outcome.is_good) {
        std::vector<EventStreamMessage> messages;
        const std::string piece(text.substr(0, piece_bytes));
        outcome.is_good = parser.feed(piece, messages).has_value();
        text.remove_prefix(piece.size());
        for (const EventStreamMessage& message : messages)
            outcome.messages.push_back(
                std::string(message.find(":event-type")) + " " + std::string(message.payload));
    }
    outcome.is_good = outcome.is_good && parser.finish().has_value();
    return outcome;
}

std::string three_events() {
    std::string out;
    append_event_stream_event(out, "messageStart", R"({"role":"assistant"})");
    append_event_stream_event(out, "empty", "");
    append_event_stream_event(out, "messageStop", R"({"stopReason":"end_turn"})");
    return out;
}

// The two smallest vectors of AWS's own codec: no headers, no payload; and one integer header's
// payload.
TEST(EventStream, WritesAwsPublishedVectors) {
    std::string empty;
    append_event_stream(empty, {}, "");
    EXPECT_EQ(
        empty, bytes({0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff}));
    std::string payload;
    append_event_stream(payload, {}, "{'foo':'bar'}");
    EXPECT_EQ(payload.substr(0, 12), bytes({0, 0, 0, 0x1d, 0, 0, 0, 0, 0xfd, 0x52, 0x8c, 0x5a}));
    EXPECT_EQ(payload.substr(25), bytes({0xc3, 0x65, 0x39, 0x36}));
}

TEST(EventStream, ReadsWhatItWroteSplitAtEveryByte) {
    const std::string stream = three_events();
    const Outcome whole = parse(stream, stream.size());
    ASSERT_TRUE(whole.is_good);
    EXPECT_THAT(whole.messages,
        testing::ElementsAre(R"(messageStart {"role":"assistant"})", "empty ",
            R"(messageStop {"stopReason":"end_turn"})"));
    for (std::size_t piece = 1; piece < stream.size(); ++piece) {
        const Outcome split = parse(stream, piece);
        EXPECT_TRUE(split.is_good) << piece;
        EXPECT_EQ(split.messages, whole.messages) << piece;
    }
}

TEST(EventStream, GivesAMessageOutWithItsLastByte) {
    const std::string stream = three_events();
    EventStreamParser parser;
    std::vector<EventStreamMessage> messages;
    std::string first;
    append_event_stream_event(first, "messageStart", R"({"role":"assistant"})");
    ASSERT_TRUE(parser.feed(std::string_view(stream).substr(0, first.size() - 1), messages));
    EXPECT_TRUE(messages.empty());
    EXPECT_EQ(parser.held_bytes(), first.size() - 1);
    ASSERT_TRUE(parser.feed(std::string_view(stream).substr(first.size() - 1, 1), messages));
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0].raw, first);
    EXPECT_EQ(parser.held_bytes(), 0U);
}

TEST(EventStream, DetectsEveryFlippedBit) {
    const std::string stream = three_events();
    const Outcome good = parse(stream, stream.size());
    for (std::size_t bit = 0; bit < stream.size() * 8; ++bit) {
        std::string bad = stream;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
        const Outcome outcome = parse(bad, 7);
        EXPECT_FALSE(outcome.is_good) << "bit " << bit;
        // What came before the damage stands, and nothing after it.
        ASSERT_LT(outcome.messages.size(), good.messages.size());
        for (std::size_t i = 0; i < outcome.messages.size(); ++i)
            EXPECT_EQ(outcome.messages[i], good.messages[i]);
    }
}

TEST(EventStream, RefusesEveryTruncation) {
    const std::string stream = three_events();
    std::string first, second;
    append_event_stream_event(first, "messageStart", R"({"role":"assistant"})");
    append_event_stream_event(second, "empty", "");
    for (std::size_t n = 1; n < stream.size(); ++n) {
        const bool between = n == first.size() || n == first.size() + second.size();
        EXPECT_EQ(parse(stream.substr(0, n), 5).is_good, between) << n;
    }
}

TEST(EventStream, ReadsEveryHeaderType) {
    const std::vector<EventStreamHeader> headers{
        {"t", EventStreamType::kTrue, ""},
        {"f", EventStreamType::kFalse, ""},
        {"b", EventStreamType::kByte, "1"},
        {"s", EventStreamType::kShort, "12"},
        {"i", EventStreamType::kInt, "1234"},
        {"l", EventStreamType::kLong, "12345678"},
        {"bytes", EventStreamType::kBytes, "any"},
        {":event-type", EventStreamType::kString, "text"},
        {"time", EventStreamType::kTimestamp, "12345678"},
        {"uuid", EventStreamType::kUuid, "1234567890abcdef"},
    };
    std::string stream;
    append_event_stream(stream, headers, "payload");
    EventStreamParser parser;
    std::vector<EventStreamMessage> messages;
    ASSERT_TRUE(parser.feed(stream, messages));
    ASSERT_EQ(messages.size(), 1U);
    const std::vector<EventStreamHeader> read = messages[0].list();
    ASSERT_EQ(read.size(), headers.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
        EXPECT_EQ(read[i].name, headers[i].name);
        EXPECT_EQ(read[i].type, headers[i].type);
        EXPECT_EQ(read[i].value, headers[i].value);
    }
    EXPECT_EQ(messages[0].find(":event-type"), "text");
    EXPECT_EQ(messages[0].find("bytes"), "");  // no string
    EXPECT_EQ(messages[0].payload, "payload");
}

/// A frame with right checksums around whatever headers and lengths.
std::string frame(std::uint32_t total, std::uint32_t headers_bytes, std::string_view rest) {
    std::string out;
    const auto u32 = [&](std::uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8)
            out += static_cast<char>(value >> shift & 0xff);
    };
    u32(total);
    u32(headers_bytes);
    u32(crypto::crc32(out));
    out += rest;
    u32(crypto::crc32(out));
    return out;
}

TEST(EventStream, RefusesLengthsThatCannotBe) {
    EXPECT_TRUE(parse(frame(16, 0, ""), 3).is_good);
    EXPECT_FALSE(parse(frame(15, 0, ""), 3).is_good);
    EXPECT_FALSE(parse(frame(0, 0, ""), 3).is_good);
    EXPECT_FALSE(parse(frame(16, 1, ""), 3).is_good);
    EXPECT_FALSE(parse(frame(20, 0xffffffff, "abcd"), 3).is_good);
    EXPECT_FALSE(parse(frame(0xffffffff, 0, ""), 3).is_good);
    const EventStreamOptions small{.message_bytes_max = 64, .headers_bytes_max = 8};
    EXPECT_TRUE(parse(frame(64, 0, std::string(48, 'x')), 3, small).is_good);
    EXPECT_FALSE(parse(frame(65, 0, std::string(49, 'x')), 3, small).is_good);
}

TEST(EventStream, RefusesMalformedHeaders) {
    const auto with_headers = [](std::string_view block) {
        return frame(static_cast<std::uint32_t>(16 + block.size()),
            static_cast<std::uint32_t>(block.size()), block);
    };
    EXPECT_TRUE(parse(with_headers(bytes({1, 'a', 0})), 3).is_good);
    EXPECT_FALSE(parse(with_headers(bytes({0, 0})), 3).is_good);          // no name
    EXPECT_FALSE(parse(with_headers(bytes({9, 'a', 0})), 3).is_good);     // name too long
    EXPECT_FALSE(parse(with_headers(bytes({1, 'a', 10})), 3).is_good);    // unknown type
    EXPECT_FALSE(parse(with_headers(bytes({1, 'a', 7, 0})), 3).is_good);  // half a length
    EXPECT_FALSE(parse(with_headers(bytes({1, 'a', 7, 0, 2, 'x'})), 3).is_good);
    EXPECT_FALSE(parse(with_headers(bytes({1, 'a', 4, 0, 0, 0})), 3).is_good);
}

TEST(EventStream, StaysFailed) {
    EventStreamParser parser;
    std::vector<EventStreamMessage> messages;
    EXPECT_FALSE(parser.feed(frame(15, 0, ""), messages));
    EXPECT_FALSE(parser.feed(three_events(), messages));
    EXPECT_FALSE(parser.finish());
    EXPECT_TRUE(messages.empty());
}

}  // namespace
}  // namespace entrepot::framing
