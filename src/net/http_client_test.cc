#include "net/http_client.h"

#include <atomic>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/http_client_testing.h"
#include "net/testing.h"
#include "runtime/scope.h"

namespace entrepot::net {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::at_port;
using testing::code_of;
using testing::fetch;
using testing::post;
using testing::RawServer;
using testing::TestServer;
using testing::with_client;

TEST(HttpClient, ReusesTheConnectionUsedLast) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        EXPECT_EQ(request.headers.count("host"), 1U);
        const Result<void> sent = co_await response.send(201, {}, request.body);
        EXPECT_TRUE(sent);
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(server.port()));
        EXPECT_EQ(&pool, *client.origin(at_port(server.port())));
        for (int i = 0; i < 5; ++i) {
            const std::string body = std::string(static_cast<std::size_t>(i) * 40'000, 'b');
            Answer answer = co_await fetch(client, pool, post(body), {});
            EXPECT_TRUE(answer.result);
            EXPECT_EQ(answer.status, 201);
            EXPECT_EQ(answer.body, body);
            EXPECT_TRUE(answer.report.sent);
            EXPECT_EQ(answer.report.reused, i > 0);
            EXPECT_EQ(client.open_connections(), 1U);
            EXPECT_EQ(client.idle_connections(), 1U);
        }
    });
}

TEST(HttpClient, GivesEventsAsTheyComeAndDecodesChunks) {
    std::atomic<int> step{0};
    TestServer server([&](ServerRequest&, ResponseWriter& response) -> Co<void> {
        response.start(200, "content-type: text/event-stream\r\n");
        for (int i = 0; i < 5; ++i) {
            const Result<void> sent = co_await response.write(fmt::format("data: {}\n\n", i));
            EXPECT_TRUE(sent);
            while (step.load() <= i) {
                const Until moment{Core::current()->after(1ms), nullptr};
                const Result<void> slept = co_await Core::current()->sleep(moment);
                EXPECT_TRUE(slept);
            }
        }
        const Result<void> ended = co_await response.finish({});
        EXPECT_TRUE(ended);
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(server.port()));
        const ClientRequest request = post("{}");
        const ExchangeLimits limits;
        Result<ClientExchange> exchange = co_await client.exchange(pool, request, limits);
        EXPECT_TRUE(exchange);
        if (!exchange) co_return;
        EXPECT_EQ(exchange->headers().find("Content-Type").value_or(""), "text/event-stream");
        for (int i = 0; i < 5; ++i) {  // each event is seen before the next one is written
            Result<std::string_view> piece = co_await exchange->read_body();
            EXPECT_EQ(piece.value_or("failed"), fmt::format("data: {}\n\n", i));
            step.fetch_add(1);
        }
        Result<std::string_view> end = co_await exchange->read_body();
        EXPECT_TRUE(end && end->empty());
        EXPECT_TRUE(exchange->body_ended());
        exchange->close();
        EXPECT_EQ(client.idle_connections(), 1U);
    });
}

TEST(HttpClient, ReadsTheSameHoweverTheAnswerIsSplit) {
    const std::string answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    RawServer upstream([&](int socket, int) {
        for (std::size_t cut = 1; cut < answer.size(); ++cut) {
            if (RawServer::read_request(socket).empty()) return;
            RawServer::write(socket, answer.substr(0, cut));
            ::usleep(500);
            RawServer::write(socket, answer.substr(cut));
        }
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        for (std::size_t cut = 1; cut < answer.size(); ++cut) {
            Answer got = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(got.body, "abcdefg") << "cut at " << cut;
        }
    });
    EXPECT_EQ(upstream.connections(), 1);
}

TEST(HttpClient, RepeatsOnceWhenAKeptConnectionTurnsOutClosed) {
    // The first connection answers once, takes the second request and closes without a byte.
    RawServer upstream([](int socket, int number) {
        for (int i = 0; i < (number == 0 ? 2 : 100); ++i) {
            if (RawServer::read_request(socket).empty()) return;
            if (number == 0 && i == 1) return;
            RawServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        Answer first = co_await fetch(client, pool, post("{}"), {});
        EXPECT_FALSE(first.report.reused);
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_TRUE(second.result);
        EXPECT_EQ(second.body, "ok");
        EXPECT_TRUE(second.report.retried_stale);
    });
    EXPECT_EQ(upstream.connections(), 2);
}

// It has worked on the request since, so a repetition would be paid for twice.
TEST(HttpClient, DoesNotRepeatWhenAKeptConnectionClosesLongAfterTheRequest) {
    RawServer upstream([](int socket, int) {
        if (RawServer::read_request(socket).empty()) return;
        RawServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (RawServer::read_request(socket).empty()) return;
        ::usleep(1'100'000);  // tidy: the limit is a second of the real clock
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        Answer first = co_await fetch(client, pool, post("{}"), {});
        EXPECT_TRUE(first.result);
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(code_of(second), ErrorCode::kUpstreamUnreachable);
        EXPECT_TRUE(second.report.reused);
        EXPECT_TRUE(second.report.sent);
        EXPECT_FALSE(second.report.retried_stale);
    });
    EXPECT_EQ(upstream.connections(), 1);
}

TEST(HttpClient, DoesNotRepeatOnAFreshConnectionNorAfterTheFirstByte) {
    RawServer upstream([](int socket, int number) {
        if (RawServer::read_request(socket).empty()) return;
        if (number == 0) return;  // fresh, closed without an answer
        RawServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (RawServer::read_request(socket).empty()) return;
        RawServer::write(socket, "HTTP/1.1 2");  // kept, closed inside the head
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        Answer fresh = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(code_of(fresh), ErrorCode::kUpstreamUnreachable);
        EXPECT_TRUE(fresh.report.sent) << "it may be billed";
        EXPECT_FALSE(fresh.report.retried_stale);
        Answer good = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(good.body, "ok");
        Answer cut = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(code_of(cut), ErrorCode::kUpstreamProtocol);
        EXPECT_FALSE(cut.report.retried_stale);
    });
}

TEST(HttpClient, AnIdleConnectionThatTheUpstreamClosesLeavesThePool) {
    RawServer upstream([](int socket, int) {
        if (RawServer::read_request(socket).empty()) return;
        RawServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        ::usleep(30'000);
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        Answer first = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(client.idle_connections(), 1U);
        const Until moment{core.after(100ms), nullptr};
        const Result<void> slept = co_await core.sleep(moment);
        EXPECT_TRUE(slept);
        EXPECT_EQ(client.idle_connections(), 0U);
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_TRUE(second.result);
        EXPECT_FALSE(second.report.reused);
        EXPECT_FALSE(second.report.retried_stale);
    });
}

TEST(HttpClient, ClosesConnectionsThatHaveBeenIdleTooLong) {
    TestServer server([](ServerRequest&, ResponseWriter& response) -> Co<void> {
        const Result<void> sent = co_await response.send(200, {}, "ok");
        EXPECT_TRUE(sent);
    });
    ClientOptions options;
    options.idle_timeout = 100ms;
    with_client(
        [&](Core& core, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(at_port(server.port()));
            Answer answer = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(client.idle_connections(), 1U);
            const Until moment{core.after(2200ms), nullptr};
            const Result<void> slept = co_await core.sleep(moment);
            EXPECT_TRUE(slept);
            EXPECT_EQ(client.open_connections(), 0U);
        },
        options);
}

TEST(HttpClient, AnAnswerThatIsCutShortIsAnError) {
    const std::string_view kAnswers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nbad\r\n",
    };
    RawServer upstream([&](int socket, int number) {
        if (RawServer::read_request(socket).empty()) return;
        RawServer::write(socket, kAnswers[number]);
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        for (const std::string_view sent : kAnswers) {
            Answer answer = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamProtocol) << sent;
            EXPECT_EQ(client.open_connections(), 0U);
        }
    });
}

TEST(HttpClient, ReadsToTheEndOfTheConnectionWhenNothingElseSaysWhere) {
    RawServer upstream([](int socket, int) {
        if (RawServer::read_request(socket).empty()) return;
        RawServer::write(socket, "HTTP/1.1 200 OK\r\n\r\nto the ");
        ::usleep(20'000);
        RawServer::write(socket, "end");
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        Answer answer = co_await fetch(client, pool, post("{}"), {});
        EXPECT_TRUE(answer.result);
        EXPECT_EQ(answer.body, "to the end");
        EXPECT_EQ(client.open_connections(), 0U);
    });
}

TEST(HttpClient, EveryWaitHasItsDeadline) {
    RawServer upstream([](int socket, int number) {
        if (RawServer::read_request(socket).empty()) return;
        if (number == 1)
            RawServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
        (void)RawServer::read_request(socket);  // until the client gives up
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        ExchangeLimits limits;
        limits.first_byte_timeout = 100ms;
        limits.idle_timeout = 100ms;
        for (const std::string_view what : {"the head", "the body"}) {
            const MonotonicTime before = monotonic_now();
            Answer answer = co_await fetch(client, pool, post("{}"), limits);
            EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamTimeout) << what;
            EXPECT_LT((monotonic_now() - before).count(), nanoseconds(1s).count()) << what;
            EXPECT_TRUE(answer.report.sent);
        }
        limits = {};
        limits.deadline = core.after(50ms);
        Answer answer = co_await fetch(client, pool, post("{}"), limits);
        EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamTimeout);
    });
}

TEST(HttpClient, NobodyListeningAndUnknownNamesAreUnreachable) {
    std::uint16_t closed = 0;
    {
        closed = Listener::bind("127.0.0.1:0")->port();
    }
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        Answer refused = co_await fetch(client, **client.origin(at_port(closed)), post("{}"), {});
        EXPECT_EQ(code_of(refused), ErrorCode::kUpstreamUnreachable);
        EXPECT_FALSE(refused.report.sent);
        Origin nowhere = at_port(80);
        nowhere.host = "no-such-name.invalid";
        Answer unknown = co_await fetch(client, **client.origin(nowhere), post("{}"), {});
        EXPECT_TRUE(code_of(unknown) == ErrorCode::kUpstreamUnreachable ||
            code_of(unknown) == ErrorCode::kUpstreamTimeout);
        EXPECT_EQ(client.open_connections(), 0U);
    });
}

TEST(HttpClient, FindsThisMachineByNameWhateverTheSystemsTablesSay) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        const std::string host(request.headers.find("host").value_or("none"));
        const Result<void> sent = co_await response.send(200, {}, host);
        EXPECT_TRUE(sent);
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        Origin origin = at_port(server.port());
        for (const std::string_view name : {"localhost", "cloud.LocalHost"}) {
            origin.host = name;
            Answer answer = co_await fetch(client, **client.origin(origin), post("{}"), {});
            EXPECT_TRUE(answer.result);
            EXPECT_EQ(answer.body, fmt::format("{}:{}", name, server.port()));
        }
    });
}

TEST(HttpClient, ACancelEndsTheExchangeWithItsReasonAndClosesUpstream) {
    std::atomic<int> closed{0};
    RawServer upstream([&](int socket, int number) {
        if (RawServer::read_request(socket).empty()) return;
        if (number == 1)
            RawServer::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal");
        char byte = 0;
        if (::recv(socket, &byte, 1, 0) <= 0) closed.fetch_add(1);
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(at_port(upstream.port()));
        for (int i = 0; i < 2; ++i) {
            Cancel cancel;
            Scope scope(core);
            auto later = [](Core& at, Cancel& which) -> Co<void> {
                const Until moment{at.after(50ms), nullptr};
                const Result<void> slept = co_await at.sleep(moment);
                EXPECT_TRUE(slept);
                which.cancel(ErrorCode::kClientGone);
            };
            scope.spawn(later(core, cancel));
            ExchangeLimits limits;
            limits.cancel = &cancel;
            Answer answer = co_await fetch(client, pool, post("{}"), limits);
            EXPECT_EQ(code_of(answer), ErrorCode::kClientGone);
            EXPECT_EQ(client.open_connections(), 0U);
            co_await scope.join();
        }
        const Until moment{core.after(100ms), nullptr};
        const Result<void> slept = co_await core.sleep(moment);
        EXPECT_TRUE(slept);
    });
    EXPECT_EQ(closed.load(), 2);
}

TEST(HttpClient, OpensNoMoreConnectionsThanAllowed) {
    TestServer server([](ServerRequest&, ResponseWriter& response) -> Co<void> {
        const Until moment{Core::current()->after(100ms), nullptr};
        const Result<void> slept = co_await Core::current()->sleep(moment);
        const Result<void> sent = co_await response.send(200, {}, "ok");
        EXPECT_TRUE(slept && sent);
    });
    ClientOptions options;
    options.connections_per_origin_max = 1;
    with_client(
        [&](Core& core, HttpClient& client) -> Co<void> {
            Origin origin = at_port(server.port());
            origin.connections_max = 2;  // its own goes first
            OriginPool& pool = **client.origin(origin);
            Scope scope(core);
            int good = 0;
            int refused = 0;
            auto one = [](HttpClient& with, OriginPool& at, int& ok, int& no) -> Co<void> {
                Answer answer = co_await fetch(with, at, post("{}"), {});
                if (answer.result) ++ok;
                if (code_of(answer) == ErrorCode::kUpstreamOverloaded) ++no;
            };
            for (int i = 0; i < 3; ++i) scope.spawn(one(client, pool, good, refused));
            co_await scope.join();
            EXPECT_EQ(good, 2);
            EXPECT_EQ(refused, 1);
        },
        options);
}

TEST(HttpClient, GoesThroughAProxyByConnect) {
    std::atomic<int> tunnels{0};
    RawServer proxy([&](int socket, int number) {
        const std::string request = RawServer::read_request(socket);
        EXPECT_TRUE(request.starts_with("CONNECT 127.0.0.1:9 HTTP/1.1\r\nhost: 127.0.0.1:9\r\n"))
            << request;
        if (number == 1) {
            RawServer::write(
                socket, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        tunnels.fetch_add(1);
        RawServer::write(socket, "HTTP/1.1 200 Connection established\r\n\r\n");
        (void)RawServer::read_request(socket);
        RawServer::write(
            socket, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nbehind");
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        Origin origin = at_port(9);
        origin.proxy = fmt::format("http://127.0.0.1:{}", proxy.port());
        OriginPool& pool = **client.origin(origin);
        Answer through = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(through.body, "behind");
        Answer refused = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(code_of(refused), ErrorCode::kUpstreamUnreachable);
        EXPECT_NE(refused.result.error().message.find("407"), std::string::npos);
    });
    EXPECT_EQ(tunnels.load(), 1);
}

TEST(Origin, IsParsedFromAnEndpointAndRefusesWhatIsNotOne) {
    std::string base;
    const Result<Origin> origin = Origin::parse("https://API.example.com/v1/", &base);
    ASSERT_TRUE(origin);
    EXPECT_EQ(origin->host, "api.example.com");
    EXPECT_EQ(origin->port, 443);
    EXPECT_TRUE(origin->secure);
    EXPECT_EQ(base, "/v1");
    EXPECT_EQ(origin->authority(), "api.example.com");
    const Result<Origin> v6 = Origin::parse("http://[::1]:8080");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->authority(), "[::1]:8080");
    for (const std::string_view bad : {"", "example.com", "ftp://a", "http://", "http://a:0",
             "http://a:70000", "http://u:p@a", "http://a?x=1", "http://a b", "http://::1"})
        EXPECT_FALSE(Origin::parse(bad)) << bad;
}

}  // namespace
}  // namespace entrepot::net
