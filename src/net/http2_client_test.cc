#include <atomic>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/http2_script.h"
#include "net/http_client.h"
#include "net/http_client_testing.h"
#include "net/testing.h"
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
using testing::http2_field;
using testing::http2_frame;
using testing::http2_goaway;
using testing::http2_head;
using testing::http2_reset;
using testing::http2_setting;
using testing::Http2Frame;
using testing::Http2Peer;
using testing::Http2Script;
using testing::post;
using testing::TestServer;
using testing::with_client;

Co<void> echo(ServerRequest& request, ResponseWriter& response) {
    const Result<void> sent = co_await response.send(201, {}, request.body);
    (void)sent;
}

TEST(Http2Client, CarriesOneExchangeAfterTheOtherOnOneConnection) {
    TestServer server(echo);
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        for (int i = 0; i < 5; ++i) {
            const std::string body(static_cast<std::size_t>(i) * 400'000, 'b');
            Answer answer = co_await fetch(client, pool, post(body), {});
            EXPECT_TRUE(answer.result);
            EXPECT_EQ(answer.status, 201);
            EXPECT_TRUE(answer.body == body) << answer.body.size();
            EXPECT_TRUE(answer.report.sent);
            EXPECT_EQ(answer.report.reused, i > 0);
            EXPECT_EQ(client.open_connections(), 1U);
            EXPECT_EQ(client.idle_connections(), 1U);
        }
    });
}

TEST(Http2Client, SendsWhatHttp1WouldHaveSent) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        EXPECT_EQ(request.method, "POST");
        EXPECT_EQ(request.target, "/v1/x");
        EXPECT_EQ(request.headers.count("host"), 1U);
        EXPECT_EQ(request.headers.find("content-type").value_or(""), "application/json");
        EXPECT_EQ(request.headers.find("content-length").value_or(""), "2");
        const Result<void> sent = co_await response.send(429, "Retry-After: 7\r\n", "slow down");
        EXPECT_TRUE(sent);
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        const ClientRequest request = post("{}");
        const ExchangeLimits limits;
        Result<ClientExchange> exchange = co_await client.exchange(pool, request, limits);
        EXPECT_TRUE(exchange);
        if (!exchange) co_return;
        EXPECT_EQ(exchange->status(), 429);
        EXPECT_EQ(exchange->headers().find("Retry-After").value_or(""), "7");
        Result<std::string> body = co_await exchange->read_whole_body(100);
        EXPECT_EQ(body.value_or("failed"), "slow down");
    });
}

TEST(Http2Client, WhatArrivesTogetherSharesConnectionsAsTheServerAllows) {
    for (const std::uint32_t allowed : {1000U, 8U, 1U}) {
        ServerOptions options;
        options.http2.streams_max = allowed;
        TestServer server(
            [](ServerRequest& request, ResponseWriter& response) -> Co<void> {
                const Until moment{Core::current()->after(20ms), nullptr};
                const Result<void> slept = co_await Core::current()->sleep(moment);
                EXPECT_TRUE(slept);
                co_await echo(request, response);
            },
            options);
        std::vector<Answer> answers;
        std::size_t most = 0;
        with_client([&](Core& core, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(server.port()));
            // So that the server's limit is known.
            Answer first = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(first.status, 201);
            Scope scope(core);
            ask_at_once(client, pool, scope, 40, answers);
            const Until moment{core.after(10ms), nullptr};
            const Result<void> slept = co_await core.sleep(moment);
            EXPECT_TRUE(slept);
            most = client.open_connections();
            co_await scope.join();
        });
        for (const Answer& answer : answers)
            EXPECT_EQ(answer.status, 201)
                << (answer.result ? "" : answer.result.error().message) << allowed;
        if (allowed == 1000) {
            EXPECT_EQ(most, 1U);
        }
        if (allowed == 8) {
            EXPECT_GE(most, 2U);
        }
        EXPECT_LE(most, 41U);
    }
}

TEST(Http2Client, AThunderingHerdMakesOneConnection) {
    TestServer server(echo);
    std::vector<Answer> answers;
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        Scope scope(core);
        ask_at_once(client, pool, scope, 90, answers);
        co_await scope.join();
        EXPECT_EQ(client.open_connections(), 1U);
    });
    for (const Answer& answer : answers) EXPECT_EQ(answer.status, 201);
}

TEST(Http2Client, WhatNobodyReachesIsTriedOnceForAllWhoWait) {
    std::uint16_t port = 0;
    {
        const TestServer gone(echo);
        port = gone.port();
    }
    std::vector<Answer> answers;
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(port));
        Scope scope(core);
        ask_at_once(client, pool, scope, 20, answers);
        co_await scope.join();
        EXPECT_EQ(client.open_connections(), 0U);
    });
    for (const Answer& answer : answers) {
        EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamUnreachable);
        EXPECT_FALSE(answer.report.sent);
    }
}

TEST(Http2Client, GivesEventsAsTheyComeAndReadsTheSameHoweverTheyAreSplit) {
    const auto answer = [](std::uint32_t stream) {
        return http2_frame(NGHTTP2_PING, 0, 0, "12345678") +
            http2_head(stream, "103", http2_field("link", "x")) +
            http2_head(stream, "200", http2_field("a", "b")) + http2_data(stream, "abc", false) +
            http2_data(stream, "", false) + http2_data(stream, "defg", false) +
            http2_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, stream,
                http2_field("trailer", "t"));
    };
    const std::size_t size = answer(1).size();
    Http2Script server([&](Http2Peer& peer, int) {
        peer.greet();
        for (std::size_t cut = 0; cut < size; ++cut) {
            const std::uint32_t stream = peer.request();
            if (stream == 0) return;
            peer.write(answer(stream).substr(0, cut));
            ::usleep(500);
            peer.write(answer(stream).substr(cut));
        }
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        for (std::size_t cut = 0; cut < size; ++cut) {
            Answer got = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(got.body, "abcdefg") << "cut at " << cut;
            EXPECT_EQ(got.status, 200);
        }
    });
    EXPECT_EQ(server.connections(), 1);
}

TEST(Http2Client, AnExchangeThatIsGivenUpIsResetAndTheOthersGoOn) {
    std::atomic<std::uint32_t> code{999};
    Http2Script server([&](Http2Peer& peer, int) {
        peer.greet();
        const std::uint32_t first = peer.request();
        peer.write(http2_head(first) + http2_data(first, "some", false));
        const Http2Frame reset = peer.next(NGHTTP2_RST_STREAM);
        if (reset.payload.size() == 4 && reset.stream == first)
            code = static_cast<unsigned char>(reset.payload[3]);
        peer.write(http2_data(first, "too late"));  // it may have been on its way
        const std::uint32_t second = peer.request();
        peer.write(http2_answer(second, "whole"));
        EXPECT_TRUE(peer.ends());
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        {
            const ClientRequest request = post("{}");
            const ExchangeLimits limits;
            Result<ClientExchange> exchange = co_await client.exchange(pool, request, limits);
            EXPECT_TRUE(exchange);
            if (!exchange) co_return;
            Result<std::string_view> piece = co_await exchange->read_body();
            EXPECT_EQ(piece.value_or("failed"), "some");
        }
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(second.body, "whole");
        EXPECT_TRUE(second.report.reused);
    });
    EXPECT_EQ(code, NGHTTP2_CANCEL);
    EXPECT_EQ(server.connections(), 1);
}

TEST(Http2Client, ACancelEndsEveryWaitWithItsReason) {
    for (const bool in_body : {false, true}) {
        Http2Script server([&](Http2Peer& peer, int) {
            peer.greet();
            const std::uint32_t stream = peer.request();
            if (in_body) peer.write(http2_head(stream));
            EXPECT_EQ(peer.next(NGHTTP2_RST_STREAM).stream, stream);
        });
        with_client([&](Core& core, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(server.port()));
            Cancel cancel;
            Scope scope(core);
            Answer answer;
            scope.spawn(
                [](HttpClient& by, OriginPool& at, Cancel& token, Answer& into) -> Co<void> {
                    ExchangeLimits limits;
                    limits.cancel = &token;
                    into = co_await fetch(by, at, post("{}"), limits);
                }(client, pool, cancel, answer));
            const Until moment{core.after(50ms), nullptr};
            const Result<void> slept = co_await core.sleep(moment);
            EXPECT_TRUE(slept);
            cancel.cancel(ErrorCode::kClientGone);
            co_await scope.join();
            EXPECT_EQ(code_of(answer), ErrorCode::kClientGone);
            EXPECT_TRUE(answer.report.sent);
            EXPECT_EQ(client.open_connections(), 1U);
            const Until more{core.after(50ms), nullptr};  // for the reset to leave
            const Result<void> waited = co_await core.sleep(more);
            EXPECT_TRUE(waited);
        });
    }
}

// ---- Failures at each step

TEST(Http2Client, FailsByNameWhereverTheServerBreaksOff) {
    struct Case {
        const char* name;
        std::function<void(Http2Peer&, std::uint32_t)> does;
        ErrorCode code;
    };
    const std::vector<Case> cases{
        {"nothing", [](Http2Peer&, std::uint32_t) {}, ErrorCode::kUpstreamUnreachable},
        {"reset",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_reset(stream, NGHTTP2_INTERNAL_ERROR));
            },
            ErrorCode::kUpstreamUnreachable},
        {"calm",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_reset(stream, NGHTTP2_ENHANCE_YOUR_CALM));
            },
            ErrorCode::kUpstreamOverloaded},
        {"head only", [](Http2Peer& peer, std::uint32_t stream) { peer.write(http2_head(stream)); },
            ErrorCode::kUpstreamProtocol},
        {"half a head",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream).substr(0, 15));
            },
            ErrorCode::kUpstreamUnreachable},
        {"half a body",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream) + http2_data(stream, "half", false));
            },
            ErrorCode::kUpstreamProtocol},
        {"reset in the body",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream) + http2_data(stream, "half", false) +
                    http2_reset(stream, NGHTTP2_INTERNAL_ERROR));
            },
            ErrorCode::kUpstreamProtocol},
        {"refused after its head",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream) + http2_reset(stream, NGHTTP2_REFUSED_STREAM));
            },
            ErrorCode::kUpstreamProtocol},
        {"a body shorter than its length",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream, "200", http2_field("content-length", "9")) +
                    http2_data(stream, "short"));
            },
            ErrorCode::kUpstreamProtocol},
        {"two lengths",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(
                    http2_head(stream, "200",
                        http2_field("content-length", "1") + http2_field("content-length", "2")) +
                    http2_data(stream, "x"));
            },
            ErrorCode::kUpstreamProtocol},
        {"no status",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_frame(
                    NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream, http2_field("a", "b")));
            },
            ErrorCode::kUpstreamProtocol},
        {"a header that cannot be",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream, "200", http2_field("a", "b\r\nc: d")));
            },
            ErrorCode::kUpstreamProtocol},
        {"a framing header",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream, "200", http2_field("transfer-encoding", "chunked")));
            },
            ErrorCode::kUpstreamProtocol},
        {"too many headers",
            [](Http2Peer& peer, std::uint32_t stream) {
                std::string fields;
                for (int i = 0; i < 300; ++i) fields += http2_field("x", "y");
                peer.write(http2_head(stream, "200", fields));
            },
            ErrorCode::kUpstreamProtocol},
        {"a head without end",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream, "200", http2_field("x", "y"), 0));
                for (int i = 0; i < 20; ++i)
                    peer.write(http2_frame(NGHTTP2_CONTINUATION, 0, stream, http2_field("x", "y")));
            },
            ErrorCode::kUpstreamUnreachable},
        {"a head beyond its bound",
            [](Http2Peer& peer, std::uint32_t stream) {
                std::string fields;
                for (int i = 0; i < 100; ++i) fields += http2_field("x", std::string(120, 'y'));
                peer.write(http2_head(stream, "200", fields, 0));
                for (int i = 1; i <= 6; ++i)
                    peer.write(http2_frame(NGHTTP2_CONTINUATION,
                        i == 6 ? NGHTTP2_FLAG_END_HEADERS : 0, stream, fields));
            },
            ErrorCode::kUpstreamProtocol},
        {"a push",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, stream,
                    std::string("\0\0\0\2", 4) + http2_field(":method", "GET")));
            },
            ErrorCode::kUpstreamUnreachable},
        {"bytes that are no frames",
            [](Http2Peer& peer, std::uint32_t) { peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"); },
            ErrorCode::kUpstreamUnreachable},
        {"more than its window",
            [](Http2Peer& peer, std::uint32_t stream) {
                peer.write(http2_head(stream));
                for (int i = 0; i < 40; ++i)
                    peer.write(http2_data(stream, std::string(16384, 'x'), false));
            },
            ErrorCode::kUpstreamProtocol},
    };
    for (const Case& one : cases) {
        Http2Script server([&](Http2Peer& peer, int) {
            peer.greet();
            one.does(peer, peer.request());
            if (std::string_view(one.name) == "nothing") return;
            ::usleep(20'000);
        });
        Answer answer;
        with_client([&](Core& core, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(server.port()));
            const ClientRequest request = post("{}");
            const ExchangeLimits limits;
            Result<ClientExchange> exchange =
                co_await client.exchange(pool, request, limits, &answer.report);
            if (!exchange) {
                answer.result = std::unexpected(exchange.error());
                co_return;
            }
            if (std::string_view(one.name) == "more than its window") {
                const Until moment{core.after(100ms), nullptr};  // nobody takes what comes
                const Result<void> slept = co_await core.sleep(moment);
                EXPECT_TRUE(slept);
            }
            for (;;) {
                Result<std::string_view> piece = co_await exchange->read_body();
                if (!piece) answer.result = std::unexpected(piece.error());
                if (!piece || piece->empty()) co_return;
                answer.body.append(*piece);
            }
        });
        EXPECT_EQ(code_of(answer), one.code)
            << one.name << ": " << (answer.result ? "it answered" : answer.result.error().message);
        EXPECT_TRUE(answer.report.sent) << one.name;
        if (std::string_view(one.name) == "half a body") {
            EXPECT_EQ(answer.body, "half");
        }
    }
}

TEST(Http2Client, AnAnswerThatDoesNotWaitForTheRestOfTheBodyCounts) {
    Http2Script server([](Http2Peer& peer, int) {
        peer.greet();
        const std::uint32_t first = peer.next(NGHTTP2_HEADERS).stream;
        peer.write(http2_head(first, "413") + http2_data(first, "too large"));
        EXPECT_EQ(peer.next(NGHTTP2_RST_STREAM).stream, first);
        peer.write(http2_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, testing::http2_number(1'000'000)));
        peer.write(http2_answer(peer.request(), "small"));
        EXPECT_TRUE(peer.ends());
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        const std::string large(1'000'000, 'x');
        Answer first = co_await fetch(client, pool, post(large), {});
        EXPECT_EQ(first.status, 413);
        EXPECT_EQ(first.body, "too large");
        Answer second = co_await fetch(client, pool, post("{}"), {});
        EXPECT_EQ(second.body, "small");
    });
    EXPECT_EQ(server.connections(), 1);
}

TEST(Http2Client, AFloodOfControlFramesEndsTheConnection) {
    const std::vector<std::pair<const char*, std::string>> floods{
        {"PING", http2_frame(NGHTTP2_PING, 0, 0, "12345678")},
        {"SETTINGS", http2_frame(NGHTTP2_SETTINGS, 0, 0)},
        {"unknown", http2_frame(0x77, 0, 0, "x")},
        {"window updates", http2_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\0\0\0\1", 4))},
        {"resets", http2_reset(1, NGHTTP2_CANCEL)},
    };
    for (const auto& [name, frame] : floods) {
        Http2Script server([&, frame = frame](Http2Peer& peer, int) {
            peer.greet();
            (void)peer.request();
            std::string many;
            for (int i = 0; i < 1000; ++i) many += frame;
            if (frame[3] == NGHTTP2_RST_STREAM) ::usleep(1000);
            for (int i = 0; i < 30; ++i) peer.write(many);
            EXPECT_TRUE(peer.ends());
        });
        ExchangeLimits limits;
        limits.first_byte_timeout = 4s;
        const Answer answer = ask(server.port(), limits);
        EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamUnreachable) << name;
    }
}

// ---- Time, and room

TEST(Http2Client, AStreamThatIsLateIsResetAndASilentConnectionIsLeft) {
    std::atomic<int> resets{0};
    Http2Script server([&](Http2Peer& peer, int) {
        peer.greet();
        (void)peer.request();
        if (peer.next(NGHTTP2_RST_STREAM).type != 255) resets.fetch_add(1);
        EXPECT_TRUE(peer.ends());
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        ExchangeLimits limits;
        limits.first_byte_timeout = 50ms;
        for (int i = 0; i < 2; ++i) {
            Answer answer = co_await fetch(client, pool, post("{}"), limits);
            EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamTimeout);
            EXPECT_TRUE(answer.report.sent);
        }
        const Until moment{core.after(50ms), nullptr};
        const Result<void> slept = co_await core.sleep(moment);
        EXPECT_TRUE(slept);
    });
    EXPECT_GE(server.connections(), 1);
}

TEST(Http2Client, AConnectionThatHasGoneDeadIsFoundByPing) {
    for (const bool answers : {true, false}) {
        std::atomic<int> pings{0};
        Http2Script server([&](Http2Peer& peer, int) {
            peer.greet();
            const std::uint32_t stream = peer.request();
            for (int i = 0; i < 3; ++i) {
                if (peer.next(NGHTTP2_PING).type == 255) return;
                pings.fetch_add(1);
                if (!answers) break;
                peer.write(http2_frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "entrepot"));
            }
            if (answers) peer.write(http2_answer(stream, "thought for long"));
            EXPECT_TRUE(peer.ends());
        });
        ClientOptions options;
        options.ping_after = 60ms;
        options.ping_timeout = 60ms;
        const Answer answer = ask(server.port(), {}, options);
        if (answers) {
            EXPECT_EQ(answer.body, "thought for long");
            EXPECT_EQ(pings, 3);
        } else {
            EXPECT_EQ(code_of(answer), ErrorCode::kUpstreamTimeout);
            EXPECT_EQ(pings, 1);
        }
    }
}

TEST(Http2Client, AReaderWhoStopsHoldsItsSenderAndNobodyElse) {
    std::atomic<std::size_t> written{0};
    TestServer server([&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.body != "large") {
            co_await echo(request, response);
            co_return;
        }
        response.start(200, {});
        const std::string piece(16 * 1024, 'x');
        for (int i = 0; i < 256; ++i) {
            const Result<void> sent = co_await response.write(piece);
            if (!sent) co_return;
            written.fetch_add(piece.size());
        }
        const Result<void> ended = co_await response.finish();
        EXPECT_TRUE(ended);
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        const ClientRequest request = post("large");
        const ExchangeLimits limits;
        Result<ClientExchange> slow = co_await client.exchange(pool, request, limits);
        EXPECT_TRUE(slow);
        if (!slow) co_return;
        std::size_t held = 0;
        for (const bool holds : {false, true}) {
            if (holds) {
                // What is being looked at counts too.
                Result<std::string_view> piece = co_await slow->read_body();
                held = piece.value_or("").size();
                EXPECT_GT(held, 400U * 1024);
            }
            for (int i = 0; i < 20; ++i) {
                Answer other = co_await fetch(client, pool, post("small"), {});
                EXPECT_EQ(other.body, "small");
                const Until moment{core.after(5ms), nullptr};
                const Result<void> slept = co_await core.sleep(moment);
                EXPECT_TRUE(slept);
            }
            // The window, what the server keeps, and nothing of the kernel's: we read on.
            EXPECT_LE(written, 512U * 1024 + 80 * 1024) << holds;
        }
        EXPECT_EQ(client.open_connections(), 1U);
        Result<std::string> all = co_await slow->read_whole_body(8'000'000);
        EXPECT_EQ(held + all.value_or("").size(), 256U * 16 * 1024);
    });
}

TEST(Http2Client, AConnectionWithoutRoomIsNotKept) {
    Http2Script server([](Http2Peer& peer, int) {
        peer.greet(http2_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0));
        peer.write(http2_answer(peer.request(), "only one"));
        EXPECT_TRUE(peer.ends());
    });
    with_client([&](Core&, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        for (int i = 0; i < 3; ++i) {
            Answer answer = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(answer.body, "only one");
            EXPECT_EQ(client.open_connections(), 0U);
        }
    });
}

TEST(Http2Client, ConnectionsRetireByRequestsAndByAgeWithoutLosingAny) {
    TestServer server(echo);
    ClientOptions options;
    options.http2.requests_max = 10;
    int reused = 0;
    with_client(
        [&](Core&, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(server.port()));
            for (int i = 0; i < 40; ++i) {
                Answer answer = co_await fetch(client, pool, post("{}"), {});
                EXPECT_EQ(answer.status, 201);
                reused += answer.report.reused ? 1 : 0;
                EXPECT_LE(client.open_connections(), 1U);
            }
        },
        options);
    EXPECT_EQ(reused, 36);
}

TEST(Http2Client, IdleConnectionsAreClosedInTime) {
    TestServer server(echo);
    ClientOptions options;
    options.idle_timeout = 300ms;
    with_client(
        [&](Core& core, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(server.port()));
            Answer answer = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(answer.status, 201);
            EXPECT_EQ(client.idle_connections(), 1U);
            const Until moment{core.after(2500ms), nullptr};
            const Result<void> slept = co_await core.sleep(moment);
            EXPECT_TRUE(slept);
            EXPECT_EQ(client.open_connections(), 0U);
            EXPECT_EQ(client.idle_connections(), 0U);
        },
        options);
}

TEST(Http2Client, AServerThatLeavesWhileNobodyAsksIsNoticed) {
    Http2Script server([](Http2Peer& peer, int number) {
        peer.greet();
        peer.write(http2_answer(peer.request(), "once"));
        if (number == 0) peer.write(http2_goaway(1));
    });
    with_client([&](Core& core, HttpClient& client) -> Co<void> {
        OriginPool& pool = **client.origin(by_http2(server.port()));
        for (int i = 0; i < 2; ++i) {
            Answer answer = co_await fetch(client, pool, post("{}"), {});
            EXPECT_EQ(answer.body, "once");
            EXPECT_FALSE(answer.report.retried_stale);
            const Until moment{core.after(100ms), nullptr};
            const Result<void> slept = co_await core.sleep(moment);
            EXPECT_TRUE(slept);
            EXPECT_EQ(client.open_connections(), 0U);
        }
    });
}

}  // namespace
}  // namespace entrepot::net
