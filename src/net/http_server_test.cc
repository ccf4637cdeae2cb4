#include <atomic>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/testing.h"

namespace entrepot::net {
namespace {

using namespace std::chrono_literals;
using testing::RawClient;
using testing::TestServer;

Co<void> echo(ServerRequest& request, ResponseWriter& response) {
    const std::string body = fmt::format("{} {} {}", request.method, request.target, request.body);
    const Result<void> sent = co_await response.send(200, "x-kind: echo\r\n", body);
    EXPECT_EQ(response.finished(), true);
    (void)sent;
}

std::string post(std::string_view body, std::string_view extra = {}) {
    return fmt::format(
        "POST /p HTTP/1.1\r\nHost: a\r\n{}Content-Length: {}\r\n\r\n{}", extra, body.size(), body);
}

TEST(HttpServer, KeepsTheConnectionForTheNextRequest) {
    TestServer server(echo);
    RawClient client(server.port());
    for (int i = 0; i < 5; ++i) {
        client.send(post(std::to_string(i)));
        const std::string answer = client.read_answer();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\ndate: ")) << answer;
        EXPECT_TRUE(answer.ends_with("\r\n\r\nPOST /p " + std::to_string(i))) << answer;
        EXPECT_EQ(answer.find("connection:"), std::string::npos);
    }
}

TEST(HttpServer, AnswersPipelinedRequestsInTheirOrder) {
    TestServer server(echo);
    RawClient client(server.port());
    std::string all;
    for (int i = 0; i < 200; ++i) all += post(std::string(300, 'x') + std::to_string(i));
    client.send(all);
    for (int i = 0; i < 200; ++i)
        EXPECT_TRUE(client.read_answer().ends_with("x" + std::to_string(i))) << i;
}

TEST(HttpServer, ClosesWhenAskedToAndForHttp10) {
    TestServer server(echo);
    RawClient client(server.port());
    client.send(post("a", "Connection: close\r\n"));
    const std::string answer = client.read_to_end();
    EXPECT_NE(answer.find("connection: close\r\n"), std::string::npos);
    RawClient old(server.port());
    old.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(old.read_to_end().ends_with("GET / "));
    RawClient kept(server.port());
    kept.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(kept.read_answer().find("connection: keep-alive\r\n"), std::string::npos);
}

TEST(HttpServer, TakesABodyInAnyPieces) {
    TestServer server(echo);
    const std::string text = post("0123456789");
    for (std::size_t cut = 1; cut < text.size(); cut += 7) {
        RawClient client(server.port());
        client.send(text.substr(0, cut));
        std::this_thread::sleep_for(2ms);
        client.send(text.substr(cut));
        EXPECT_TRUE(client.read_answer().ends_with("POST /p 0123456789"));
    }
    RawClient client(server.port());
    const std::string big(3'000'000, 'b');
    client.send(post(big) + post("next"));
    EXPECT_TRUE(client.read_answer().ends_with(big));
    EXPECT_TRUE(client.read_answer().ends_with("POST /p next"));
}

TEST(HttpServer, StreamsInChunksAndCoalescesTheHeadWithTheFirst) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        response.start(200, "content-type: text/event-stream\r\n");
        if (request.path == "/flush") {
            const Result<void> flushed = co_await response.flush();
            EXPECT_TRUE(flushed);
        }
        for (const std::string_view text : {"data: 1\n\n", "", "data: 2\n\n"}) {
            const Result<void> sent = co_await response.write(text);
            EXPECT_TRUE(sent);
        }
        const std::array<std::string_view, 3> pieces{"a", "", "bc"};
        const Result<void> sent = co_await response.write(pieces);
        EXPECT_TRUE(sent);
        const Result<void> ended = co_await response.finish("end");
        EXPECT_TRUE(ended);
    });
    RawClient client(server.port());
    for (const std::string_view path : {"/", "/flush", "/"}) {
        client.send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path));
        const std::string head = client.read_until("\r\n\r\n");
        EXPECT_NE(head.find("transfer-encoding: chunked\r\n"), std::string::npos);
        EXPECT_EQ(client.read_until("0\r\n\r\n"),
            "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n3\r\nabc\r\n3\r\nend\r\n0\r\n\r\n");
    }
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200")) << "a body after HEAD";
    RawClient old(server.port());
    old.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(old.read_to_end().ends_with("\r\n\r\ndata: 1\n\ndata: 2\n\nabcend"));
}

TEST(HttpServer, RefusesTooMuchAndWhatIsMalformedAndCloses) {
    ServerOptions options;
    options.header_bytes_max = 2000;
    options.body_bytes_max = 1000;
    TestServer server(echo, options);
    const std::pair<std::string, std::string> kCases[] = {
        {post(std::string(1001, 'a')), "413"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                std::string(2000, 'a'),
            "413"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(3000, 'a') + "\r\n\r\n", "431"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n",
            "400"},
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
    };
    for (const auto& [text, status] : kCases) {
        RawClient client(server.port());
        client.send(text);
        const std::string answer = client.read_to_end();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status)) << answer;
        EXPECT_NE(answer.find("connection: close\r\n"), std::string::npos);
        EXPECT_NE(answer.find(R"({"error":{"message":")"), std::string::npos);
        EXPECT_EQ(answer.find("HTTP/1.1", 8), std::string::npos) << "a second answer: " << answer;
    }
}

TEST(HttpServer, SaysContinueOnlyToAClientThatWaits) {
    TestServer server(echo);
    RawClient client(server.port());
    client.send("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    EXPECT_TRUE(client.read_answer().ends_with("POST /p ok"));
    client.send(
        "POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
}

TEST(HttpServer, AClientThatHangsUpTripsTheCancelOfItsRequest) {
    std::atomic<int> gone{0};
    TestServer server([&gone](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        const Until until{Core::current()->after(20s), request.cancel};
        const Result<void> slept = co_await Core::current()->sleep(until);
        EXPECT_FALSE(slept);
        if (!slept && slept.error().code == ErrorCode::kClientGone) gone.fetch_add(1);
        response.abort();
    });
    RawClient closes(server.port());
    RawClient resets(server.port());
    closes.send(post("a"));
    resets.send(post("a") + post("a pipelined request is not a hang-up"));
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(gone.load(), 0);
    closes.close();
    resets.reset();
    for (int i = 0; i < 500 && gone.load() < 2; ++i) std::this_thread::sleep_for(5ms);
    EXPECT_EQ(gone.load(), 2);
}

TEST(HttpServer, ClosesIdleSlowAndStalledClients) {
    ServerOptions options;
    options.idle_timeout = 100ms;
    options.header_timeout = 200ms;
    options.body_idle_timeout = 150ms;
    TestServer server(echo, options);
    RawClient idle(server.port());
    EXPECT_TRUE(idle.ended());
    RawClient head(server.port());
    head.send("POST /p HTTP/1.1\r\nHos");
    EXPECT_TRUE(head.read_to_end().starts_with("HTTP/1.1 408"));
    RawClient body(server.port());
    body.send("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_TRUE(body.read_to_end().starts_with("HTTP/1.1 408"));
    RawClient drip(server.port());  // a byte now and then does not extend the head's deadline
    const MonotonicTime before = monotonic_now();
    for (const char c : std::string_view("POST /p HTTP/1.1\r\nHost: a\r\nX: slow-slow-slow")) {
        drip.send({&c, 1});
        std::this_thread::sleep_for(20ms);
        if ((monotonic_now() - before).count() > nanoseconds(600ms).count()) break;
    }
    EXPECT_TRUE(drip.read_to_end().starts_with("HTTP/1.1 408"));
}

TEST(HttpServer, AClientThatReadsSlowlyHoldsTheWriterAndIsCutOffAtLast) {
    std::atomic<std::size_t> accepted{0};
    std::atomic<int> code{-1};
    ServerOptions options;
    options.write_timeout = 300ms;
    TestServer server(
        [&](ServerRequest&, ResponseWriter& response) -> Co<void> {
            response.start(200, {});
            const std::string chunk(64 * 1024, 'c');
            for (int i = 0; i < 10'000; ++i) {
                const Result<void> sent = co_await response.write(chunk);
                if (!sent) {
                    code = static_cast<int>(sent.error().code);
                    co_return;
                }
                accepted.fetch_add(chunk.size());
            }
        },
        options);
    RawClient client(server.port(), 4096);
    client.send(post("a"));
    for (int i = 0; i < 600 && code.load() < 0; ++i) std::this_thread::sleep_for(5ms);
    EXPECT_EQ(code.load(), static_cast<int>(ErrorCode::kRequestTimeout));
    EXPECT_LT(accepted.load(), 16U << 20U) << "only what the kernel's buffers take";
}

TEST(HttpServer, AnUnansweredRequestGetsA500AndAnUnfinishedOneIsCut) {
    TestServer server([](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        if (request.path == "/cut") {
            response.start(200, {});
            const Result<void> sent = co_await response.write("part");
            EXPECT_TRUE(sent);
        }
    });
    RawClient silent(server.port());
    silent.send(post("a"));
    EXPECT_TRUE(silent.read_to_end().starts_with("HTTP/1.1 500"));
    RawClient cut(server.port());
    cut.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = cut.read_to_end();
    EXPECT_TRUE(answer.ends_with("4\r\npart\r\n")) << answer;
}

TEST(HttpServer, DrainsIdleAtOnceLetsTheRestFinishAndThenCancels) {
    std::atomic<int> drained{0};
    TestServer server([&](ServerRequest& request, ResponseWriter& response) -> Co<void> {
        const auto delay = request.path == "/long" ? 20'000ms : 150ms;
        const Until until{Core::current()->after(delay), request.cancel};
        const Result<void> slept = co_await Core::current()->sleep(until);
        if (!slept && slept.error().code == ErrorCode::kDraining) drained.fetch_add(1);
        const Result<void> sent = co_await response.send(slept ? 200 : 503, {}, "done");
        EXPECT_TRUE(sent);
    });
    RawClient idle(server.port());
    RawClient quick(server.port());
    RawClient slow(server.port());
    quick.send("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    std::this_thread::sleep_for(50ms);
    const std::uint16_t port = server.port();
    server.drain(400ms);
    EXPECT_TRUE(idle.ended());
    EXPECT_FALSE(RawClient(port).connected());
    const std::string finished = quick.read_to_end();
    EXPECT_TRUE(finished.starts_with("HTTP/1.1 200")) << finished;
    EXPECT_NE(finished.find("connection: close"), std::string::npos);
    EXPECT_TRUE(slow.read_to_end().starts_with("HTTP/1.1 503"));
    EXPECT_EQ(drained.load(), 1);
}

TEST(Listener, TellsThePortItGotAndRefusesAPortInUse) {
    Result<Listener> first = Listener::bind("127.0.0.1:0");
    ASSERT_TRUE(first);
    EXPECT_NE(first->port(), 0);
    Result<Listener> shared = first->again();
    ASSERT_TRUE(shared);
    EXPECT_EQ(shared->port(), first->port());
    const Result<Listener> second = Listener::bind(fmt::format("127.0.0.1:{}", first->port()));
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
    for (const std::string_view bad :
        {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "host:80", ":80x"})
        EXPECT_FALSE(Listener::bind(bad)) << bad;
}

}  // namespace
}  // namespace entrepot::net
