// What a hostile, slow or long-lived client meets: floods, deadlines, retirement, the drain.
#include <atomic>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/http2_testing.h"
#include "runtime/random.h"

namespace entrepot::net {
namespace {

using namespace std::chrono_literals;
using testing::http2_frame;
using testing::Http2Answer;
using testing::Http2Client;
using testing::Http2Request;
using testing::TestServer;

constexpr std::string_view kGet{
    "\x82\x86\x84\x41\x01"
    "a",
    6};  // GET http a /, in HPACK

Co<void> quick(ServerRequest& request, ResponseWriter& response) {
    (void)co_await response.send(200, {}, request.path);
}

Co<void> as_long_as_asked(ServerRequest& request, ResponseWriter& response) {
    const auto delay = request.path == "/long" ? 20'000ms : request.path == "/short" ? 300ms : 0ms;
    const Until until{Core::current()->after(delay), request.cancel};
    const Result<void> slept = co_await Core::current()->sleep(until);
    (void)co_await response.send(slept ? 200 : 503, {}, "done");
}

Http2Request get(std::string path) {
    Http2Request request;
    request.method = "GET";
    request.path = std::move(path);
    return request;
}

bool waits_for(const std::function<bool()>& what) {
    for (int i = 0; i < 1000 && !what(); ++i) std::this_thread::sleep_for(5ms);
    return what();
}

std::string four_bytes(std::uint32_t value) {
    std::string text;
    for (const int shift : {24, 16, 8, 0}) text.push_back(static_cast<char>(value >> shift));
    return text;
}

/// Sends `frame(i)` for i below `count` at once; true when the connection was punished for it and
/// the server serves others as before.
template <typename Frame>
bool is_punished(TestServer& server, int count, Frame frame) {
    Http2Client client(server.port());
    EXPECT_EQ(client.fetch(get("/")).status, 200);
    for (int i = 0; i < count && !client.closed(); ++i) {
        client.send_raw(frame(i));
        if (i % 64 == 63) client.read_raw(1);
    }
    const std::int64_t code = client.raw_goaway_at_end();
    Http2Client other(server.port());
    EXPECT_EQ(other.fetch(get("/")).status, 200);
    EXPECT_TRUE(waits_for([&] { return server.server().requests_in_flight() == 0; }));
    return client.closed() && code == NGHTTP2_ENHANCE_YOUR_CALM;
}

TEST(Http2Floods, RapidResetEndsTheConnection) {
    std::atomic<int> begun{0};
    TestServer server([&begun](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.path == "/") {
            begun.fetch_add(1);
            const Until until{Core::current()->after(1ms), request.cancel};
            (void)co_await Core::current()->sleep(until);
        }
        (void)co_await response.send(200, {}, {});
    });
    EXPECT_TRUE(is_punished(server, 20'000, [](int i) {
        const auto id = static_cast<std::uint32_t>(2 * i + 3);
        return http2_frame(NGHTTP2_HEADERS, 5, id, kGet) +
            http2_frame(NGHTTP2_RST_STREAM, 0, id, four_bytes(NGHTTP2_CANCEL));
    }));
    EXPECT_LT(begun.load(), 2000) << "each cost a handler";
    EXPECT_TRUE(is_punished(server, 20'000, [](int i) {
        const auto id = static_cast<std::uint32_t>(2 * i + 3);
        return http2_frame(NGHTTP2_HEADERS, 5, id, kGet) +
            http2_frame(NGHTTP2_RST_STREAM, 0, id, four_bytes(NGHTTP2_NO_ERROR));
    })) << "whatever the code says";
}

// The resets are the server's here: the client only makes it send them.
TEST(Http2Floods, MakingTheServerResetCountsTheSame) {
    ServerOptions options;
    options.http2.streams_max = 10'000;  // or too many at once would be what it is punished for
    TestServer server(as_long_as_asked, options);
    EXPECT_TRUE(is_punished(server, 20'000, [](int i) {
        const auto id = static_cast<std::uint32_t>(2 * i + 3);
        return http2_frame(NGHTTP2_HEADERS, 5, id, kGet) +
            http2_frame(NGHTTP2_WINDOW_UPDATE, 0, id, four_bytes(0x7fffffff));
    })) << "a window of more than 2^31 bytes";
    EXPECT_TRUE(is_punished(server, 20'000, [](int i) {
        const auto id = static_cast<std::uint32_t>(2 * i + 3);
        return http2_frame(NGHTTP2_HEADERS, 5, id, std::string(kGet) + "\x40\x01X\x01y");
    })) << "an upper-case name";
}

TEST(Http2Floods, ControlFramesEndTheConnection) {
    TestServer server(quick);
    EXPECT_TRUE(is_punished(
        server, 20'000, [](int) { return http2_frame(NGHTTP2_PING, 0, 0, "12345678"); }));
    EXPECT_TRUE(
        is_punished(server, 20'000, [](int) { return http2_frame(NGHTTP2_SETTINGS, 0, 0); }));
    EXPECT_TRUE(is_punished(server, 20'000,
        [](int) { return http2_frame(NGHTTP2_PRIORITY, 0, 3, four_bytes(0) + "\x10"); }));
    EXPECT_TRUE(is_punished(server, 20'000,
        [](int) { return http2_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, four_bytes(1)); }));
    EXPECT_TRUE(is_punished(server, 200'000, [](int) { return http2_frame(0x77, 0, 0, "what?"); }));
}

TEST(Http2Floods, EmptyDataEndsTheConnection) {
    TestServer server(quick);
    EXPECT_TRUE(is_punished(server, 20'000, [](int i) {
        if (i == 0) return http2_frame(NGHTTP2_HEADERS, 4, 3, kGet);
        return http2_frame(NGHTTP2_DATA, 0, 3);
    }));
}

TEST(Http2Floods, ContinuationsEndTheConnection) {
    TestServer server(quick);
    for (const std::string& piece : {std::string(), std::string(10'000, '\x82')}) {
        Http2Client client(server.port());
        ASSERT_EQ(client.fetch(get("/")).status, 200);
        client.send_raw(http2_frame(NGHTTP2_HEADERS, 1, 3, kGet));
        for (int i = 0; i < 50; ++i)
            client.send_raw(http2_frame(NGHTTP2_CONTINUATION, 0, 3, piece));
        (void)client.goaway_at_end();
        EXPECT_TRUE(client.closed());
    }
}

// 16 KiB on the wire that decode to 64 MB.
TEST(Http2Floods, AHeadThatDecodesToTooMuchEndsTheConnection) {
    TestServer server(quick);
    Http2Client client(server.port());
    ASSERT_EQ(client.fetch(get("/")).status, 200);
    std::string block(kGet);
    block += "\x40\x01x\x7f\xa1\x1e" + std::string(4000, 'v');  // into the table: 3 + 4000 bytes
    block += std::string(12'000, '\xbe');                       // and by reference
    client.send_raw(http2_frame(NGHTTP2_HEADERS, 5, 3, block));
    EXPECT_EQ(client.goaway_at_end(), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST(Http2Floods, ManyWindowUpdatesForMuchDataAreNoFlood) {
    TestServer server([](ServerRequest&, ResponseWriter& response) -> Co<void> {
        response.start(200, {});
        const std::string event(10, 'e');
        for (int i = 0; i < 3000; ++i) {
            (void)co_await response.write(event);
            co_await Core::current()->yield();
        }
        (void)co_await response.finish();
    });
    Http2Client client(server.port());
    const std::int32_t id = client.request(get("/"));
    std::size_t seen = 0;
    EXPECT_TRUE(client.pump_until([&] {
        const Http2Answer& answer = client.answer(id);
        for (; seen < answer.body.size(); seen += 10) client.open_window(0, 10);
        return answer.closed;
    }));
    EXPECT_EQ(client.answer(id).body.size(), 30'000U);
}

// ---- Deadlines

TEST(Http2Deadlines, AClientWithoutSettingsOrWithHalfAHeadIsCutOff) {
    ServerOptions options;
    options.header_timeout = 150ms;
    TestServer server(quick, options);
    Http2Client silent(server.port());
    (void)silent.collect();  // with its settings, which are not sent
    silent.send_raw(testing::kHttp2Magic);
    EXPECT_EQ(silent.raw_goaway_at_end(), NGHTTP2_SETTINGS_TIMEOUT);
    Http2Client half(server.port());
    EXPECT_EQ(half.fetch(get("/")).status, 200);
    half.send_raw(http2_frame(NGHTTP2_HEADERS, 1, 3, kGet));  // END_HEADERS never comes
    EXPECT_EQ(half.goaway_at_end(), NGHTTP2_ENHANCE_YOUR_CALM);
    Http2Client mid_frame(server.port());
    EXPECT_EQ(mid_frame.fetch(get("/")).status, 200);
    mid_frame.send_raw(http2_frame(NGHTTP2_HEADERS, 5, 3, kGet).substr(0, 12));
    EXPECT_EQ(mid_frame.goaway_at_end(), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST(Http2Deadlines, ABodyThatStallsIsRefusedAndTheConnectionStays) {
    ServerOptions options;
    options.body_idle_timeout = 150ms;
    TestServer server(quick, options);
    Http2Client client(server.port());
    Http2Request request;
    request.body = "never sent";
    request.body_waits = true;
    const Http2Answer& answer = client.fetch(request);
    EXPECT_EQ(answer.status, 408);
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(client.fetch(get("/")).status, 200);
}

TEST(Http2Deadlines, AnIdleConnectionIsClosedWithAGoaway) {
    ServerOptions options;
    options.idle_timeout = 150ms;
    TestServer server(as_long_as_asked, options);
    Http2Client client(server.port());
    EXPECT_EQ(client.fetch(get("/short")).status, 200) << "a request in flight is not idle";
    EXPECT_EQ(client.goaway_at_end(), NGHTTP2_NO_ERROR);
}

// Whatever a client does, in whatever order, every request of it ends.
TEST(Http2Deadlines, AClientOfRandomActsLeavesNothingBehind) {
    ServerOptions options;
    options.body_bytes_max = 20'000;
    options.body_idle_timeout = 60ms;
    options.write_timeout = 60ms;
    options.http2.streams_max = 8;
    options.http2.window_bytes = 2048;
    options.http2.requests_max = 40;
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    TestServer server(
        [&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
            begun.fetch_add(1);
            const std::size_t bytes = request.body.size();
            const Until until{Core::current()->after(milliseconds(bytes % 7)), request.cancel};
            const Result<void> slept = co_await Core::current()->sleep(until);
            if (request.path == "/abort") {
                response.abort();
            } else if (request.path == "/stream" && slept) {
                response.start(200, {});
                for (int i = 0; i < 20; ++i) {
                    const Result<void> sent = co_await response.write(request.body);
                    if (!sent) break;
                    if (i % 3 == 0) co_await Core::current()->yield();
                }
                if (!response.finished()) (void)co_await response.finish();
            } else if (request.path != "/nothing") {
                (void)co_await response.send(200, {}, request.body);
            }
            ended.fetch_add(1);
        },
        options);
    Random random(20'261'123);
    for (int round = 0; round < 40; ++round) {
        const Http2Client::Settings settings{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
            static_cast<std::uint32_t>(random.below(2) == 0 ? 100 : 65'535)}};
        Http2Client client(server.port(), settings, random.below(2) == 0);
        std::vector<std::int32_t> ids{1};
        for (int act = 0; act < 60 && !client.closed(); ++act) {
            const std::int32_t id = ids[random.below(ids.size())];
            switch (random.below(8)) {
                case 0:
                case 1:
                case 2: {
                    static constexpr const char* kPaths[] = {
                        "/send", "/stream", "/abort", "/nothing"};
                    Http2Request request;
                    request.path = kPaths[random.below(4)];
                    request.body = std::string(random.below(25'000), 'r');
                    request.body_waits = random.below(6) == 0;
                    const std::int32_t made = client.request(request);
                    if (made > 0) ids.push_back(made);
                    break;
                }
                case 3: client.reset(id, static_cast<std::uint32_t>(random.below(14))); break;
                case 4: client.open_window(id, 1000); break;
                case 5: client.open_window(0, 100'000); break;
                default:
                    client.pump_until([] { return false; }, milliseconds(random.below(4)));
                    break;
            }
        }
        if (random.below(4) == 0)
            client.send_raw(http2_frame(NGHTTP2_DATA, 0, 99, "half").substr(0, 11));
    }
    EXPECT_TRUE(waits_for([&] { return server.server().connections() == 0; }));
    EXPECT_EQ(server.server().requests_in_flight(), 0U);
    EXPECT_GT(begun.load(), 100);
    EXPECT_EQ(begun.load(), ended.load());
}

// ---- Retirement and drain

TEST(Http2Retirement, AfterManyRequestsAtAMomentWithoutOne) {
    ServerOptions options;
    options.http2.requests_max = 5;
    TestServer server(as_long_as_asked, options);
    Http2Client client(server.port());
    const std::int32_t first = client.request(get("/short"));
    for (int i = 0; i < 6; ++i) EXPECT_EQ(client.fetch(get("/")).status, 200);
    EXPECT_EQ(client.goaway(), -1) << "one is still running";
    EXPECT_EQ(client.wait(first).status, 200);
    EXPECT_EQ(client.goaway_at_end(), NGHTTP2_NO_ERROR);
}

TEST(Http2Retirement, AfterTwiceAsManyInAnyCase) {
    ServerOptions options;
    options.http2.requests_max = 5;
    TestServer server(as_long_as_asked, options);
    Http2Client client(server.port());
    const std::int32_t running = client.request(get("/short"));
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 9; ++i) ids.push_back(client.request(get("/")));
    for (const std::int32_t id : ids) EXPECT_EQ(client.wait(id).status, 200);
    EXPECT_TRUE(client.pump_until([&] { return client.goaway() == NGHTTP2_NO_ERROR; }));
    EXPECT_FALSE(client.answer(running).closed);
    EXPECT_EQ(client.wait(running).status, 200) << "what runs may end";
    EXPECT_EQ(client.goaway_at_end(), NGHTTP2_NO_ERROR);
}

TEST(Http2Retirement, AfterAnAge) {
    ServerOptions options;
    options.http2.age_max = 100ms;
    TestServer server(as_long_as_asked, options);
    Http2Client client(server.port());
    EXPECT_EQ(client.fetch(get("/")).status, 200);
    EXPECT_EQ(client.fetch(get("/short")).status, 200);
    EXPECT_EQ(client.goaway_at_end(), NGHTTP2_NO_ERROR);
}

TEST(Http2Drain, GoesAwayLetsTheRestFinishAndThenCancels) {
    TestServer server(as_long_as_asked);
    Http2Client idle(server.port());
    Http2Client busy(server.port());
    EXPECT_EQ(idle.fetch(get("/")).status, 200);
    EXPECT_EQ(busy.fetch(get("/")).status, 200);
    const std::int32_t quickly = busy.request(get("/short"));
    const std::int32_t slow = busy.request(get("/long"));
    busy.flush();
    EXPECT_TRUE(waits_for([&] { return server.server().requests_in_flight() == 2; }));
    server.drain(1000ms);
    EXPECT_EQ(idle.goaway_at_end(), NGHTTP2_NO_ERROR);
    EXPECT_TRUE(busy.pump_until([&] { return busy.goaway() == NGHTTP2_NO_ERROR; }));
    EXPECT_EQ(busy.wait(quickly).status, 200);
    EXPECT_FALSE(busy.answer(slow).closed);
    EXPECT_EQ(busy.wait(slow).status, 503) << "cancelled, and it could still say so";
    EXPECT_EQ(busy.goaway_at_end(), NGHTTP2_NO_ERROR);
}

TEST(Http2Drain, AClientThatReadsNothingDoesNotHoldIt) {
    TestServer server([](ServerRequest&, ResponseWriter& response) -> Co<void> {
        response.start(200, {});
        const std::string chunk(60'000, 'c');
        for (;;) {
            const Result<void> sent = co_await response.write(chunk);
            if (!sent) co_return;
        }
    });
    const Http2Client::Settings settings{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1U << 30U}};
    Http2Client client(server.port(), settings, true, 4096);
    nghttp2_session_set_local_window_size(client.session(), NGHTTP2_FLAG_NONE, 0, 1 << 30);
    client.request(get("/"));
    client.flush();
    std::this_thread::sleep_for(50ms);
    const MonotonicTime before = monotonic_now();
    server.drain(100ms);
    EXPECT_TRUE(waits_for([&] { return server.server().connections() == 0; }));
    EXPECT_LT((monotonic_now() - before).count(), nanoseconds(4s).count());
}

}  // namespace
}  // namespace entrepot::net
