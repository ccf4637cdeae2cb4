#include <atomic>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/http2_testing.h"

namespace entrepot::net {
namespace {

using namespace std::chrono_literals;
using testing::Http2Answer;
using testing::Http2Client;
using testing::Http2Request;
using testing::RawClient;
using testing::TestServer;

Co<void> echo(ServerRequest& request, ResponseWriter& response) {
    const std::string body = fmt::format("{} {} {}", request.method, request.target, request.body);
    HeaderLines lines;
    lines.add("X-Kind", "echo");
    lines.add("x-host", request.headers.find("host").value_or("none"));
    lines.add("connection", "keep-alive");
    const Result<void> sent = co_await response.send(200, lines.text(), body);
    EXPECT_TRUE(response.finished());
    (void)sent;
}

Http2Request post(std::string body) {
    Http2Request request;
    request.body = std::move(body);
    return request;
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

TEST(Http2Server, AnswersRequestAfterRequestOnOneConnection) {
    TestServer server(echo);
    Http2Client client(server.port());
    for (int i = 0; i < 5; ++i) {
        const Http2Answer& answer = client.fetch(post(std::to_string(i)));
        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.body, "POST /p " + std::to_string(i));
        EXPECT_EQ(answer.headers.at("x-kind"), "echo");
        EXPECT_EQ(answer.headers.at("x-host"), "gateway.test");
        EXPECT_EQ(answer.headers.at("content-length"), std::to_string(answer.body.size()));
        EXPECT_EQ(answer.headers.count("date"), 1U);
        EXPECT_EQ(answer.headers.count("connection"), 0U);
        EXPECT_EQ(answer.error, 0U);
    }
    EXPECT_EQ(server.server().connections(), 1U);
}

TEST(Http2Server, TakesTheBytesOfARequestInAnyTwoPieces) {
    TestServer server(echo);
    std::string text;
    {
        Http2Client scribe(server.port());
        scribe.request(post("0123456789"));
        text = scribe.collect();
    }
    ASSERT_GT(text.size(), 24U + 9U + 9U + 9U + 10U);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
        Http2Client client(server.port());
        (void)client.collect();  // what follows is sent by hand
        client.request(post("0123456789"));
        (void)client.collect();
        client.send_raw(text.substr(0, cut));
        std::this_thread::sleep_for(1ms);
        client.send_raw(text.substr(cut));
        const Http2Answer& answer = client.wait(1);
        EXPECT_EQ(answer.body, "POST /p 0123456789") << cut;
    }
}

// nghttp2 tells of room by the half window: what is left of a body may be more than what is open.
TEST(Http2Server, ABodyOfAnyLengthGetsTheRoomThatItNeeds) {
    TestServer server(echo);
    Http2Client client(server.port());
    for (const std::size_t size : {262'144U, 393'216U, 400'000U, 524'289U, 700'001U}) {
        const std::string body(size, 'x');
        Http2Request request = post(body);
        request.headers.emplace_back("content-length", std::to_string(size));
        EXPECT_TRUE(client.fetch(request).body == "POST /p " + body) << size;
    }
}

TEST(Http2Server, AnswersEachStreamWhenItIsReady) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        const Until until{
            Core::current()->after(request.path == "/slow" ? 200ms : 0ms), request.cancel};
        const Result<void> slept = co_await Core::current()->sleep(until);
        EXPECT_TRUE(slept);
        const Result<void> sent = co_await response.send(200, {}, request.path);
        EXPECT_TRUE(sent);
    });
    Http2Client client(server.port());
    const std::int32_t slow = client.request(get("/slow"));
    std::vector<std::int32_t> quick;
    for (int i = 0; i < 50; ++i) quick.push_back(client.request(get("/" + std::to_string(i))));
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(client.wait(quick[static_cast<std::size_t>(i)]).body, "/" + std::to_string(i));
    EXPECT_FALSE(client.answer(slow).closed);
    EXPECT_EQ(client.wait(slow).body, "/slow");
}

TEST(Http2Server, SendsAnEventBeforeTheNextIsWritten) {
    std::atomic<int> step{0};
    TestServer server([&step](ServerRequest&, ResponseWriter& response) -> Co<void> {
        response.start(200, "content-type: text/event-stream\r\n");
        for (int i = 0; i < 3; ++i) {
            const std::string event = fmt::format("data: {}\n\n", i);
            const Result<void> sent = co_await response.write(event);
            EXPECT_TRUE(sent);
            while (step.load() <= i) {
                const Until until{Core::current()->after(5ms), nullptr};
                (void)co_await Core::current()->sleep(until);
            }
        }
        const std::array<std::string_view, 3> pieces{"a", "", "bc"};
        const Result<void> more = co_await response.write(pieces);
        EXPECT_TRUE(more);
        const Result<void> ended = co_await response.finish("end");
        EXPECT_TRUE(ended);
    });
    Http2Client client(server.port());
    const std::int32_t id = client.request(get("/"));
    std::string expected;
    for (int i = 0; i < 3; ++i) {
        expected += fmt::format("data: {}\n\n", i);
        EXPECT_TRUE(client.pump_until([&] { return client.answer(id).body == expected; }));
        EXPECT_FALSE(client.answer(id).ended);
        step = i + 1;
    }
    EXPECT_EQ(client.wait(id).body, expected + "abcend");
    EXPECT_TRUE(client.answer(id).ended);
    EXPECT_EQ(client.answer(id).headers.count("content-length"), 0U);
}

TEST(Http2Server, SendsAFlushedHeadBeforeAnyBody) {
    std::atomic<bool> goes_on{false};
    TestServer server([&goes_on](ServerRequest&, ResponseWriter& response) -> Co<void> {
        response.start(200, {});
        const Result<void> flushed = co_await response.flush();
        EXPECT_TRUE(flushed);
        while (!goes_on.load()) {
            const Until until{Core::current()->after(5ms), nullptr};
            (void)co_await Core::current()->sleep(until);
        }
        (void)co_await response.finish();
    });
    Http2Client client(server.port());
    const std::int32_t id = client.request(get("/"));
    EXPECT_TRUE(client.pump_until([&] { return client.answer(id).status == 200; }));
    goes_on = true;
    EXPECT_TRUE(client.wait(id).ended);
    EXPECT_EQ(client.answer(id).body, "");
}

TEST(Http2Server, CarriesLargeBodiesBothWaysOnManyStreams) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        const Result<void> sent = co_await response.send(200, {}, request.body);
        EXPECT_TRUE(sent);
    });
    Http2Client client(server.port());
    std::vector<std::int32_t> ids;
    const auto body_of = [](int i) { return std::string(3'000'000, static_cast<char>('a' + i)); };
    for (int i = 0; i < 8; ++i) ids.push_back(client.request(post(body_of(i))));
    for (int i = 0; i < 8; ++i) {
        const Http2Answer& answer = client.wait(ids[static_cast<std::size_t>(i)], 20s);
        EXPECT_EQ(answer.status, 200);
        EXPECT_TRUE(answer.body == body_of(i)) << i;
    }
}

// Bodies beyond the room of their connection wait for each other, and none for ever.
TEST(Http2Server, BodiesThatDoNotFitTogetherComeOneAfterTheOther) {
    ServerOptions options;
    options.body_bytes_max = 300'000;
    options.http2.window_bytes = 16 * 1024;
    TestServer server(
        [](ServerRequest& request, ResponseWriter& response) -> Co<void> {
            const std::string size = std::to_string(request.body.size());
            const Result<void> sent = co_await response.send(200, {}, size);
            EXPECT_TRUE(sent);
        },
        options);
    Http2Client client(server.port());
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(client.request(post(std::string(290'000, 'x'))));
    for (const std::int32_t id : ids) EXPECT_EQ(client.wait(id, 20s).body, "290000") << id;
}

TEST(Http2Server, HeadAndAnswersWithoutABodySendNone) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.path == "/stream") {
            response.start(200, {});
            (void)co_await response.write("not for HEAD");
            (void)co_await response.finish("nor this");
        } else {
            (void)co_await response.send(request.path == "/204" ? 204 : 200, {}, "12345");
        }
    });
    Http2Client client(server.port());
    Http2Request head = get("/");
    head.method = "HEAD";
    const Http2Answer& whole = client.fetch(head);
    EXPECT_EQ(whole.headers.at("content-length"), "5");
    EXPECT_EQ(whole.body, "");
    head.path = "/stream";
    const Http2Answer& streamed = client.fetch(head);
    EXPECT_EQ(streamed.status, 200);
    EXPECT_EQ(streamed.body, "");
    EXPECT_TRUE(streamed.ended);
    const Http2Answer& empty = client.fetch(get("/204"));
    EXPECT_EQ(empty.status, 204);
    EXPECT_EQ(empty.body, "");
    EXPECT_EQ(empty.headers.count("content-length"), 0U);
}

TEST(Http2Server, IgnoresTrailers) {
    TestServer server(echo);
    Http2Client client(server.port());
    Http2Request request = post("body");
    request.trailers = {{"x-trailer", "1"}};
    EXPECT_EQ(client.fetch(request).body, "POST /p body");
}

TEST(Http2Server, SaysContinueOnlyToAClientThatWaits) {
    TestServer server(echo);
    Http2Client client(server.port());
    Http2Request request = post("ok");
    request.headers = {{"expect", "100-continue"}};
    request.body_waits = true;
    const std::int32_t id = client.request(request);
    EXPECT_TRUE(client.pump_until([&] { return !client.answer(id).informational.empty(); }));
    client.release_body(id);
    EXPECT_EQ(client.wait(id).body, "POST /p ok");
    request.body_waits = false;
    const Http2Answer& at_once = client.fetch(request);
    EXPECT_EQ(at_once.body, "POST /p ok");
    EXPECT_TRUE(at_once.informational.empty());
}

TEST(Http2Server, RefusesWhatHttp1Refuses) {
    ServerOptions options;
    options.header_bytes_max = 2000;
    options.headers_max = 10;
    options.target_bytes_max = 500;
    options.body_bytes_max = 1000;
    TestServer server(echo, options);
    Http2Client client(server.port());
    const auto with = [](std::string name, std::string value) {
        Http2Request request = post("x");
        request.headers = {{std::move(name), std::move(value)}};
        return request;
    };
    Http2Request many = get("/");
    for (int i = 0; i < 12; ++i) many.headers.emplace_back("x-" + std::to_string(i), "1");
    Http2Request brew = get("/");
    brew.method = "BREW";
    Http2Request trace = get("/");
    trace.method = "TRACE";
    Http2Request long_body = post(std::string(1001, 'a'));
    long_body.headers = {{"content-length", "1001"}};
    const std::pair<Http2Request, int> kCases[] = {
        {long_body, 413},
        {post(std::string(300'000, 'a')), 413},
        {with("x", std::string(3000, 'a')), 431},
        {many, 431},
        {get("/" + std::string(600, 'a')), 414},
        {with("host", "evil.test"), 400},
        {get("/a#b"), 400},
        {get("/\xc3\xa9"), 400},
        {with("expect", "a miracle"), 417},
        {with("content-encoding", "gzip"), 415},
        {with("x",
             "a\x01"
             "b"),
            400},
        {brew, 501},
        {trace, 405},
        {with("host", "GATEWAY.test"), 200},
        {with("content-encoding", "identity"), 200},
        {post("still here"), 200},
    };
    for (const auto& [request, status] : kCases) {
        const Http2Answer& answer = client.fetch(request);
        EXPECT_EQ(answer.status, status) << request.path << " " << answer.error;
        EXPECT_TRUE(answer.ended);
        if (status != 200) {
            EXPECT_NE(answer.body.find(R"({"error":{"message":")"), std::string::npos);
        }
    }
    EXPECT_FALSE(client.closed());
}

TEST(Http2Server, ResetsAStreamWhoseRequestIsMalformedAndNoOther) {
    TestServer server(echo);
    Http2Client client(server.port());
    Http2Request chunked = post("x");
    chunked.headers = {{"transfer-encoding", "chunked"}};
    Http2Request kept = post("x");
    kept.headers = {{"connection", "keep-alive"}};
    Http2Request lies = post("x");
    lies.headers = {{"content-length", "2"}};
    Http2Request no_path = get("");
    Http2Request no_host = get("/");
    no_host.authority.clear();
    Http2Request bad_host = get("/");
    bad_host.authority = "a/b";
    for (const Http2Request& request : {chunked, kept, lies, no_path, no_host, bad_host}) {
        const Http2Answer& answer = client.fetch(request);
        EXPECT_EQ(answer.error, static_cast<std::uint32_t>(NGHTTP2_PROTOCOL_ERROR));
    }
    EXPECT_EQ(client.fetch(post("fine")).status, 200);
}

TEST(Http2Server, AsksAboutTheHeadBeforeItKeepsABody) {
    struct Picky final : Handler {
        Co<bool> check_head(ServerRequest& head, ResponseWriter& response) override {
            EXPECT_TRUE(head.body.empty());
            if (head.headers.find("authorization")) co_return true;
            (void)co_await response.send(401, {}, "who are you?");
            co_return false;
        }
        Co<void> handle(ServerRequest& request, ResponseWriter& response) override {
            (void)co_await response.send(200, {}, std::to_string(request.body.size()));
        }
    } picky;
    Core core;
    Result<Listener> listener = Listener::bind("127.0.0.1:0");
    HttpServer server(core, std::move(*listener), picky);
    core.post([&] { (void)server.start(); });
    std::thread thread([&] { core.run(); });
    {
        Http2Client client(server.port());
        Http2Request request = post(std::string(1'000'000, 'x'));
        for (int i = 0; i < 30; ++i) {  // more than the connection's window in all
            const Http2Answer& refused = client.fetch(request);
            EXPECT_EQ(refused.status, 401);
            EXPECT_EQ(refused.body, "who are you?");
            EXPECT_EQ(refused.error, static_cast<std::uint32_t>(NGHTTP2_NO_ERROR));
        }
        request.headers = {{"authorization", "Bearer k"}};
        EXPECT_EQ(client.fetch(request).body, "1000000");
    }
    core.post([&] {
        core.spawn(
            [](HttpServer& all, Core& loop) -> Co<void> {
                co_await all.drain(loop.after(0ms));
                loop.stop();
            }(server, core),
            [](void*) {}, nullptr);
    });
    thread.join();
}

TEST(Http2Server, AnUnansweredRequestGetsA500AndAnUnfinishedOneIsReset) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.path == "/cut") {
            response.start(200, {});
            const Result<void> sent = co_await response.write("part");
            EXPECT_TRUE(sent);
            const Until until{Core::current()->after(50ms), nullptr};
            (void)co_await Core::current()->sleep(until);
        }
    });
    Http2Client client(server.port());
    EXPECT_EQ(client.fetch(get("/")).status, 500);
    const Http2Answer& cut = client.fetch(get("/cut"));
    EXPECT_EQ(cut.body, "part");
    EXPECT_FALSE(cut.ended);
    EXPECT_EQ(cut.error, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
    EXPECT_EQ(client.fetch(get("/")).status, 500);
}

TEST(Http2Server, ManySmallAndSomeLargeHeadsFitTheirBatches) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        HeaderLines lines;
        const std::size_t bytes = std::stoul(std::string(request.path.substr(1)));
        lines.add("x-large", std::string(bytes, 'h'));
        const Result<void> sent = co_await response.send(200, lines.text(), "body");
        EXPECT_TRUE(sent);
    });
    Http2Client client(server.port());
    std::vector<std::pair<std::int32_t, std::size_t>> asked;
    for (std::size_t i = 0; i < 100; ++i) {
        const std::size_t bytes = i % 10 == 0 ? 30'000 : i * 50;
        asked.emplace_back(client.request(get("/" + std::to_string(bytes))), bytes);
    }
    for (const auto& [id, bytes] : asked) {
        EXPECT_EQ(client.wait(id).headers["x-large"].size(), bytes);
        EXPECT_EQ(client.answer(id).body, "body");
    }
    const Http2Answer& too_large = client.fetch(get("/80000"));  // nghttp2 sends no such head
    EXPECT_EQ(too_large.error, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
    EXPECT_EQ(client.fetch(get("/1")).status, 200);
}

TEST(Http2Server, AResetCancelsItsRequestAloneAndNeverWhatMustBeDone) {
    std::atomic<int> gone{0};
    std::atomic<int> settled{0};
    TestServer server([&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.path == "/quick") {
            (void)co_await response.send(200, {}, "quick");
            co_return;
        }
        const Until until{Core::current()->after(20s), request.cancel};
        const Result<void> slept = co_await Core::current()->sleep(until);
        if (!slept && slept.error().code == ErrorCode::kClientGone) gone.fetch_add(1);
        const Until shielded{Core::current()->after(50ms), nullptr};
        const Result<void> booked = co_await Core::current()->sleep(shielded);
        if (booked) settled.fetch_add(1);
        const Result<void> sent = co_await response.send(200, {}, "too late");
        EXPECT_FALSE(sent);
    });
    Http2Client client(server.port());
    const std::int32_t first = client.request(get("/long"));
    client.request(get("/long"));
    EXPECT_EQ(client.fetch(get("/quick")).body, "quick");
    client.reset(first);
    EXPECT_TRUE(waits_for([&] { return settled.load() == 1; }));
    EXPECT_EQ(gone.load(), 1);
    EXPECT_EQ(client.fetch(get("/quick")).body, "quick");
    client.close();
    EXPECT_TRUE(waits_for([&] { return settled.load() == 2; }));
    EXPECT_EQ(gone.load(), 2);
    EXPECT_TRUE(waits_for([&] { return server.server().connections() == 0; }));
}

TEST(Http2Server, AClosedWindowHoldsItsWriterAndNoOther) {
    std::atomic<std::size_t> accepted{0};
    TestServer server([&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.path == "/small") {
            (void)co_await response.send(200, {}, "small");
            co_return;
        }
        response.start(200, {});
        const std::string chunk(10'000, 'c');
        for (int i = 0; i < 100; ++i) {
            const Result<void> sent = co_await response.write(chunk);
            EXPECT_TRUE(sent);
            accepted.fetch_add(chunk.size());
        }
        const Result<void> ended = co_await response.finish();
        EXPECT_TRUE(ended);
    });
    const Http2Client::Settings settings{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 20'000}};
    Http2Client client(server.port(), settings, false);
    const std::int32_t id = client.request(get("/large"));
    EXPECT_TRUE(client.pump_until([&] { return client.answer(id).body.size() == 20'000; }));
    EXPECT_EQ(client.fetch(get("/small")).body, "small");
    std::this_thread::sleep_for(50ms);
    EXPECT_LE(accepted.load(), 20'000U + 64U * 1024U);
    EXPECT_EQ(client.answer(id).body.size(), 20'000U);
    client.open_window(0, 2'000'000);
    client.open_window(id, 2'000'000);
    EXPECT_EQ(client.wait(id).body.size(), 1'000'000U);
    EXPECT_TRUE(client.answer(id).ended);
}

TEST(Http2Server, AStreamThatIsReadTooSlowlyIsResetAndTheConnectionStays) {
    std::atomic<int> code{-1};
    ServerOptions options;
    options.write_timeout = 200ms;
    TestServer server(
        [&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
            if (request.path == "/whole") {  // fits the outbox, so the handler is done at once
                (void)co_await response.send(200, {}, std::string(50'000, 'w'));
                co_return;
            }
            response.start(200, {});
            const std::string chunk(10'000, 'c');
            for (;;) {
                const Result<void> sent = co_await response.write(chunk);
                if (sent) continue;
                code = static_cast<int>(sent.error().code);
                co_return;
            }
        },
        options);
    const Http2Client::Settings settings{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 20'000}};
    Http2Client client(server.port(), settings, false);
    for (const std::string path : {"/stream", "/whole"}) {
        const Http2Answer& answer = client.fetch(get(path));
        EXPECT_EQ(answer.error, static_cast<std::uint32_t>(NGHTTP2_CANCEL)) << path;
        EXPECT_EQ(answer.body.size(), 20'000U);
    }
    EXPECT_EQ(code.load(), static_cast<int>(ErrorCode::kRequestTimeout));
    EXPECT_FALSE(client.closed());
}

TEST(Http2Server, AConnectionThatIsNotReadIsCutOff) {
    std::atomic<int> failed{0};
    ServerOptions options;
    options.write_timeout = 300ms;
    TestServer server(
        [&](ServerRequest&, ResponseWriter& response) -> Co<void> {
            response.start(200, {});
            const std::string chunk(60'000, 'c');
            for (;;) {
                const Result<void> sent = co_await response.write(chunk);
                if (sent) continue;
                failed.fetch_add(1);
                co_return;
            }
        },
        options);
    const Http2Client::Settings settings{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1U << 30U}};
    Http2Client client(server.port(), settings, true, 4096);
    nghttp2_session_set_local_window_size(client.session(), NGHTTP2_FLAG_NONE, 0, 1 << 30);
    for (int i = 0; i < 3; ++i) client.request(get("/"));
    client.flush();
    EXPECT_TRUE(waits_for([&] { return failed.load() == 3; }));
    EXPECT_TRUE(waits_for([&] { return server.server().connections() == 0; }));
}

TEST(Http2Server, RefusesStreamsBeyondItsLimit) {
    ServerOptions options;
    options.http2.streams_max = 4;
    std::atomic<int> running{0};
    TestServer server(
        [&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
            running.fetch_add(1);
            const Until until{Core::current()->after(20s), request.cancel};
            (void)co_await Core::current()->sleep(until);
            response.abort();
        },
        options);
    Http2Client client(server.port());
    for (int i = 0; i < 20; ++i) client.request(get("/"));
    client.pump_until([&] { return false; }, 200ms);
    EXPECT_EQ(running.load(), 4);
}

TEST(Http2Server, SpeaksHttp1Instead) {
    ServerOptions options;
    options.http2.enabled = false;
    TestServer without(echo, options);
    RawClient refused(without.port());
    refused.send(std::string(testing::kHttp2Magic) + testing::http2_frame(4, 0, 0));
    EXPECT_TRUE(refused.read_to_end().starts_with("HTTP/1.1 505"));
    TestServer with(echo);
    RawClient late(with.port());  // after a request of HTTP/1 the preface is none
    late.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(late.read_answer().starts_with("HTTP/1.1 200"));
    late.send(std::string(testing::kHttp2Magic) + testing::http2_frame(4, 0, 0));
    EXPECT_TRUE(late.read_to_end().starts_with("HTTP/1.1 505"));
}

}  // namespace
}  // namespace entrepot::net
