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
using testing::http2_goaway;
using testing::http2_head;
using testing::http2_reset;
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
        peer.listen();  // nothing that comes back may tell the client that it was alive
        for (int i = 0; i < 5; ++i) requests += peer.next(NGHTTP2_HEADERS).stream != 0 ? 1 : 0;
        for (int i = 0; i < 5; ++i) (void)peer.next(NGHTTP2_DATA);
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

}  // namespace
}  // namespace entrepot::net
