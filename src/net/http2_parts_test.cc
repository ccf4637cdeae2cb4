#include <gtest/gtest.h>

#include "net/http2_fields.h"
#include "net/http2_guard.h"
#include "net/http2_head.h"
#include "net/http2_memory.h"
#include "net/http2_outbox.h"
#include "net/http2_script.h"
#include "net/http2_session.h"

namespace entrepot::net {
namespace {

using namespace std::chrono_literals;

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

TEST(Http2Fields, TakesHeaderLinesAndLeavesOutWhatBelongsToTheConnection) {
    Http2Fields fields;
    fields.add_lines(
        "X-A: 1\r\nConnection: close\r\nkeep-alive: 5\r\nTransfer-Encoding: chunked\r\n"
        "content-length: 3\r\nx-empty:\r\nno colon\r\nx-b:  two words \r\n");
    ASSERT_EQ(fields.span().size(), 3U);
    EXPECT_EQ(text_of(fields.span()[0].name, fields.span()[0].namelen), "X-A");
    EXPECT_EQ(fields.span()[1].valuelen, 0U);
    EXPECT_EQ(text_of(fields.span()[2].value, fields.span()[2].valuelen), "two words");
}

TEST(Http2Outbox, GivesInAnyPiecesWhatWasAppendedAndThenItsEnd) {
    Http2Outbox outbox;
    std::uint32_t flags = 0;
    std::uint8_t into[7];
    EXPECT_EQ(outbox.take(into, sizeof into, &flags), NGHTTP2_ERR_DEFERRED);
    EXPECT_TRUE(outbox.take_deferred());
    EXPECT_FALSE(outbox.take_deferred()) << "told once";
    std::string sent;
    std::string got;
    for (int i = 0; i < 20'000; ++i) {
        const std::string piece = std::to_string(i);
        outbox.append(piece);
        sent += piece;
        const ssize_t taken = outbox.take(into, sizeof into, &flags);
        got += text_of(into, static_cast<std::size_t>(taken));
    }
    outbox.end();
    EXPECT_FALSE(outbox.is_through());
    while ((flags & NGHTTP2_DATA_FLAG_EOF) == 0) {
        const ssize_t taken = outbox.take(into, sizeof into, &flags);
        ASSERT_GE(taken, 0);
        got += text_of(into, static_cast<std::size_t>(taken));
    }
    EXPECT_TRUE(outbox.is_through());
    EXPECT_EQ(got, sent);
}

TEST(Pace, GivesABurstAndThenSoManyASecond) {
    Pace pace(10, 5);
    MonotonicTime now{1'000'000'000'000};
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(pace.take(now)) << i;
    EXPECT_FALSE(pace.take(now));
    now = now + 2s;
    int given = 0;
    while (pace.take(now)) ++given;
    EXPECT_GE(given, 8);
    EXPECT_LE(given, 10);
}

TEST(Http2Memory, RefusesWhatIsBeyondItsBoundAndForgetsWhatIsFreed) {
    Http2Memory memory(1000);
    nghttp2_mem functions = memory.functions();
    void* user = functions.mem_user_data;
    void* a = functions.malloc(600, user);
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(functions.malloc(401, user), nullptr);
    EXPECT_EQ(functions.realloc(a, 1001, user), nullptr);
    a = functions.realloc(a, 900, user);
    ASSERT_NE(a, nullptr);
    auto* b = static_cast<char*>(functions.calloc(10, 10, user));
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b[99], 0);
    EXPECT_EQ(memory.bytes(), 1000U);
    functions.free(a, user);
    functions.free(b, user);
    functions.free(nullptr, user);
    EXPECT_EQ(memory.bytes(), 0U);
}

TEST(Http2Memory, GivesBackTheFrameBufferAndNothingElse) {
    constexpr std::size_t kFrame = 16 * 1024 + 10;
    Http2Memory memory(200'000);
    nghttp2_mem functions = memory.functions();
    void* user = functions.mem_user_data;
    auto* frame = static_cast<char*>(functions.realloc(nullptr, kFrame, user));
    auto* second = static_cast<char*>(functions.malloc(kFrame, user));
    memory.session_made();
    auto* later = static_cast<char*>(functions.malloc(kFrame, user));
    ASSERT_TRUE(frame != nullptr && second != nullptr && later != nullptr);
    for (char* block : {frame, second, later}) std::memset(block, 'x', kFrame);
    memory.give_back_frame_buffer();
    EXPECT_EQ(std::string_view(frame, 16 * 1024), std::string(16 * 1024, '\0'));
    EXPECT_EQ(std::string_view(second, kFrame), std::string(kFrame, 'x'));
    EXPECT_EQ(std::string_view(later, kFrame), std::string(kFrame, 'x'));
    // Nor is it lost track of.
    std::memset(frame, 'y', kFrame);
    frame = static_cast<char*>(functions.realloc(frame, 2 * kFrame, user));
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(std::string_view(frame, kFrame), std::string(kFrame, 'y'));
    memory.give_back_frame_buffer();
    EXPECT_EQ(frame[0], 'y');
    EXPECT_EQ(memory.bytes(), 4 * kFrame);
    for (char* block : {frame, second, later}) functions.free(block, user);
    EXPECT_EQ(memory.bytes(), 0U);
}

struct Answered final : Http2Stream {
    using Http2Stream::Http2Stream;
    void on_head() override {}
    void on_body() override {}
    void on_taken() override {}
    void on_closed() override {}
};

/// A session whose streams are kept until it goes.
struct Rested final : Http2Session::Owner {
    Http2Stream* open_stream(std::int32_t id) override {
        streams.push_back(std::make_unique<Answered>(session, id, limits));
        return streams.back().get();
    }
    ~Rested() { streams.clear(); }
    /// What the client would read of the answer's body.
    std::string fetch(std::uint32_t id, const std::string& body) {
        session.receive(
            testing::http2_frame(NGHTTP2_HEADERS,
                NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                testing::http2_field(":method", "GET") + testing::http2_field(":scheme", "http") +
                    testing::http2_field(":authority", "a") + testing::http2_field(":path", "/")),
            now);
        Http2Session::Answer answer;
        answer.status = 200;
        answer.header_lines = "x-a: b\r\n";
        answer.date = "today";
        session.respond(*streams.back(), answer);
        streams.back()->outbox().append(body);
        streams.back()->outbox().end();
        session.resume(*streams.back());
        std::string sent, read;
        for (std::string_view piece = session.produce(now); !piece.empty();
            piece = session.produce(now))
            sent.append(piece);
        for (std::size_t at = 0; at + 9 <= sent.size();) {
            const auto byte = [&](std::size_t i) {
                return std::size_t{static_cast<unsigned char>(sent[at + i])};
            };
            const std::size_t size = byte(0) << 16U | byte(1) << 8U | byte(2);
            if (byte(3) == NGHTTP2_DATA) read.append(sent, at + 9, size);
            at += 9 + size;
        }
        return read;
    }
    MonotonicTime now{1'000'000'000};
    Http2Options options;
    RequestLimits limits;
    Http2Session session{options, limits, *this, now};
    std::vector<std::unique_ptr<Answered>> streams;
};

TEST(Http2Session, AnswersAfterARestAsItDidBefore) {
    Rested rested;
    rested.session.receive(testing::kHttp2Magic, rested.now);
    rested.session.receive(testing::http2_frame(NGHTTP2_SETTINGS, 0, 0), rested.now);
    for (std::uint32_t id = 1; id < 9; id += 2) {
        const std::string body(16'000, static_cast<char>('a' + id));  // four fit the windows
        EXPECT_TRUE(rested.fetch(id, body) == body) << id;
        rested.session.rest();
    }
}

TEST(Http2Head, ReadsTheSameHoweverHostAndAuthorityCome) {
    const RequestLimits limits;
    Http2Head both(limits);
    both.add(":authority", "gw.test");
    both.add(":method", "POST");
    both.add(":path", "/v1/x?a=b");
    both.add("x-a", "1");
    both.add("host", "GW.test");
    both.finish();
    EXPECT_FALSE(both.is_refused());
    EXPECT_EQ(both.target(), "/v1/x?a=b");
    EXPECT_EQ(both.headers().count("host"), 1U);
    EXPECT_EQ(both.headers()[0].name, "host");
    EXPECT_EQ(both.headers()[0].value, "gw.test");
    Http2Head bare(limits);
    bare.add(":path", "/");
    bare.add(":method", "GET");
    bare.add("host", "gw.test");
    bare.finish();
    EXPECT_FALSE(bare.is_refused());
    EXPECT_EQ(bare.headers().find("host"), "gw.test");
    Http2Head alone(limits);
    alone.add(":path", "/");
    alone.add(":method", "GET");
    alone.add(":authority", "gw.test");
    alone.finish();
    EXPECT_EQ(alone.headers().find("host"), "gw.test");
}

}  // namespace
}  // namespace entrepot::net
