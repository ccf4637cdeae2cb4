#include <gtest/gtest.h>

#include "net/http2_fields.h"
#include "net/http2_guard.h"
#include "net/http2_head.h"
#include "net/http2_memory.h"
#include "net/http2_outbox.h"

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
