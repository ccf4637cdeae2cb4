#include <atomic>

#include <gtest/gtest.h>

#include "net/http2_script.h"
#include "net/http_client.h"
#include "net/http_client_testing.h"
#include "runtime/scope.h"

namespace entrepot::net {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::ask;
using testing::ask_at_once;
using testing::by_http2;
using testing::code_of;
using testing::fetch;
using testing::http2_answer;
using testing::http2_data;
using testing::http2_frame;
using testing::http2_goaway;
using testing::http2_head;
using testing::http2_number;
using testing::http2_reset;
using testing::http2_setting;
using testing::Http2Peer;
using testing::Http2Script;
using testing::post;
using testing::with_client;

// ---- What nobody has looked at is sent again

TEST(Http2Client, ARefusedStreamIsAskedOnceMoreAndWasNeverSent) {
    for (const int refusals : {1, 2}) {
        std::atomic<int> requests{0};
        Http2Script server([&](Http2Peer& peer, int) {
            peer.greet();
            while (const std::uint32_t stream = peer.request()) {
                if (requests.fetch_add(1) < refusals)
                    peer.write(http2_reset(stream, NGHTTP2_REFUSED_STREAM));
                else
                    peer.write(http2_answer(stream, "at last"));
            }
        });
        const Answer answer = ask(server.port());
        EXPECT_EQ(requests, 2);
        EXPECT_TRUE(answer.report.retried_stale);
        if (refusals == 1) {
            EXPECT_EQ(answer.body, "at last");
            EXPECT_TRUE(answer.report.sent);
        } else {
            EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamOverloaded);
            EXPECT_FALSE(answer.report.sent);
        }
    }
}

TEST(Http2Client, AStreamAboveTheLastOfAGoawayIsSentOnAnotherConnection) {
    Http2Script server([](Http2Peer& peer, int number) {
        peer.greet();
        const std::uint32_t stream = peer.request();
        if (number == 0) {
            peer.write(http2_goaway(0));
            EXPECT_TRUE(peer.ends());
        } else {
            peer.write(http2_answer(stream, "elsewhere"));
        }
    });
    const Answer answer = ask(server.port());
    EXPECT_EQ(answer.body, "elsewhere");
    EXPECT_TRUE(answer.report.sent);
    EXPECT_EQ(server.connections(), 2);
}

TEST(Http2Client, AServerThatAlwaysLeavesIsLeftUnsent) {
    Http2Script server([](Http2Peer& peer, int) {
        peer.greet();
        (void)peer.request();
        peer.write(http2_goaway(0));
        EXPECT_TRUE(peer.ends());
    });
    const Answer answer = ask(server.port());
    EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamUnreachable);
    EXPECT_FALSE(answer.report.sent);
    EXPECT_EQ(server.connections(), 4);  // the first, and three more
}

TEST(Http2Client, WhatAGoawayCoversEndsInPeaceAndTheNextGoesElsewhere) {
    for (const std::uint32_t last : {1U, 0x7fffffffU}) {
        Http2Script server([&](Http2Peer& peer, int number) {
            peer.greet();
            const std::uint32_t stream = peer.request();
            if (number == 0) {
                peer.write(http2_head(stream) + http2_data(stream, "a", false));
                peer.write(http2_goaway(last));
                peer.write(http2_data(stream, "b"));
                EXPECT_TRUE(peer.ends());
            } else {
                peer.write(http2_answer(stream, "second"));
            }
        });
        with_client([&](Core&, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(server.port()));
            Answer first = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(first.body, "ab");
            Answer second = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(second.body, "second");
            EXPECT_FALSE(second.report.reused);
            EXPECT_LE(client.open_connections(), 1U);
        });
    }
}

// It may have been worked on: sent again, it would be paid for twice.
TEST(Http2Client, WhatAGoawayCoversAndIsThenDroppedIsNotRepeated) {
    Http2Script server([](Http2Peer& peer, int) {
        peer.greet();
        const std::uint32_t stream = peer.request();
        peer.write(http2_goaway(stream));
    });
    const Answer answer = ask(server.port());
    EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamUnreachable);
    EXPECT_TRUE(answer.report.sent);
    EXPECT_EQ(server.connections(), 1);
}

TEST(Http2Client, RepeatsOnceWhenAKeptConnectionTurnsOutClosed) {
    Http2Script server([](Http2Peer& peer, int number) {
        peer.greet();
        peer.write(http2_answer(peer.request(), "answered"));
        if (number == 0) (void)peer.request();  // and closes without a byte
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        Answer first = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(first.body, "answered");
        // The acknowledgement of settings must not be among what counts as a sign of life.
        const Until moment{Core::current()->after(40ms), nullptr};
        const Result<void> slept = co_await Core::current()->sleep(moment);
        EXPECT_TRUE(slept);
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(second.body, "answered");
        EXPECT_TRUE(second.report.retried_stale);
        EXPECT_TRUE(second.report.sent);
    });
    EXPECT_EQ(server.connections(), 2);
}

// They shared a handshake: none of them can have met a connection that was closed while it lay
// idle.
TEST(Http2Client, NothingIsRepeatedWhenAFreshConnectionIsLost) {
    std::atomic<int> requests{0};
    Http2Script server([&](Http2Peer& peer, int) {
        peer.listen();  // nothing may come back, no acknowledgement either: it would be life
        for (int ended = 0; ended < 5;) {
            const auto frame = peer.next();
            if (frame.type == 255) return;
            if (frame.type == NGHTTP2_HEADERS) ++requests;
            if ((frame.flags & NGHTTP2_FLAG_END_STREAM) != 0) ++ended;
        }
    });
    std::vector<Answer> answers;
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        Scope scope(core);
        ask_at_once(client, pool, scope, 5, answers);
        co_await scope.join();
    });
    EXPECT_EQ(requests, 5);
    EXPECT_EQ(server.connections(), 1);
    for (const Answer& answer : answers) {
        EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamUnreachable);
        EXPECT_TRUE(answer.report.sent);
        EXPECT_FALSE(answer.report.reused);
        EXPECT_FALSE(answer.report.retried_stale);
    }
}

// A connection that others use was not closed for lying idle: its server may have begun with it.
TEST(Http2Client, ARequestThatJoinedOthersIsNotRepeated) {
    std::atomic<int> requests{0};
    Http2Script server([&](Http2Peer& peer, int) {
        peer.greet();
        peer.write(http2_answer(peer.request(), "answered"));
        peer.write(http2_head(peer.request()));
        requests += peer.request() != 0 ? 1 : 0;
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        Answer first = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(first.body, "answered");
        const ClientRequest request = post("{}");
        const ExchangeLimits limits;
        Result<ClientExchange> begun = co_await client.exchange(pool, request, limits);
        EXPECT_TRUE(begun);
        Answer joined = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(code_of(joined), ErrorCode::kUpstreamUnreachable);
        EXPECT_TRUE(joined.report.sent);
        EXPECT_FALSE(joined.report.retried_stale);
    });
    EXPECT_EQ(requests, 1);
    EXPECT_EQ(server.connections(), 1);
}

Co<void> pause(Core& core, milliseconds time) {
    const Until moment{core.after(time), nullptr};
    const Result<void> slept = co_await core.sleep(moment);
    EXPECT_TRUE(slept);
}

/// One request on a coroutine of `scope`.
void spawn_fetch(Scope& scope, HttpClient& client, OriginPool& pool, std::string_view body,
    const ExchangeLimits& limits, Answer& answer) {
    scope.spawn([](HttpClient& by, OriginPool& at, std::string_view text, ExchangeLimits within,
                    Answer& into) -> Co<void> {
        into = co_await fetch(by, at, post(text), within);
    }(client, pool, body, limits, answer));
}

// Its connection was lost with all that ran there, but of this one nobody has heard.
TEST(Http2Client, WhatWasNeverWrittenIsSentElsewhere) {
    std::atomic<bool> is_begun{false};
    std::atomic<bool> may_end{false};
    Http2Script server([&](Http2Peer& peer, int number) {
        if (number > 0) {
            peer.greet();
            return peer.write(http2_answer(peer.request(), "elsewhere"));
        }
        peer.greet(http2_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff));
        peer.write(http2_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, http2_number(0x3fffffff)));
        (void)peer.next(NGHTTP2_DATA);
        is_begun = true;
        for (int i = 0; i < 5000 && !may_end; ++i) ::usleep(1000);
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        Scope scope(core);
        Answer large;
        Answer small;
        const std::string body(64'000'000, 'x');  // more than the kernel takes
        spawn_fetch(scope, client, pool, body, {}, large);
        for (int i = 0; i < 1000 && !is_begun; ++i) co_await pause(core, 1ms);
        co_await pause(core, 50ms);
        spawn_fetch(scope, client, pool, "{}", {}, small);
        co_await pause(core, 5ms);
        may_end = true;
        co_await scope.join();
        EXPECT_EQ(code_of(large), ErrorCode::kUpstreamUnreachable);
        EXPECT_TRUE(large.report.sent);
        EXPECT_EQ(small.body, "elsewhere");
        EXPECT_TRUE(small.report.retried_stale);
    });
    EXPECT_EQ(server.connections(), 2);
}

// A PING that the last exchange left unanswered must not end the next one before it is sent.
TEST(Http2Client, AConnectionWhoseLastSignOfLifeWasInDoubtIsLeft) {
    std::atomic<int> pings{0};
    Http2Script server([&](Http2Peer& peer, int number) {
        peer.greet();
        const std::uint32_t stream = peer.request();
        if (number > 0) return peer.write(http2_answer(stream, "elsewhere"));
        if (peer.next(NGHTTP2_PING).type != 255) pings.fetch_add(1);
        EXPECT_TRUE(peer.ends());
    });
    ClientOptions options;
    options.ping_after = 20ms;
    options.ping_timeout = 100ms;
    const auto two = [&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        Cancel cancel;
        ExchangeLimits limits;
        limits.cancel = &cancel;
        Answer first;
        Scope scope(core);
        spawn_fetch(scope, client, pool, "{}", limits, first);
        for (int i = 0; i < 500 && pings == 0; ++i) co_await pause(core, 1ms);
        cancel.cancel(ErrorCode::kClientGone);
        co_await scope.join();
        EXPECT_EQ(code_of(first), ErrorCode::kClientGone);
        co_await pause(core, 150ms);  // beyond the PING's time
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(second.body, "elsewhere");
        EXPECT_FALSE(second.report.retried_stale);
    };
    with_client(two, options);
    EXPECT_EQ(pings, 1);
    EXPECT_EQ(server.connections(), 2);
}

}  // namespace
}  // namespace entrepot::net
