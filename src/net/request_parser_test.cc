#include "net/request_parser.h"

#include <gtest/gtest.h>

namespace entrepot::net {
namespace {

using State = RequestParser::State;

struct Read {
    State state = State::kHead;
    int status = 0;
    std::string method, target, body;
    std::vector<std::pair<std::string, std::string>> headers;
    bool keep_alive = false;
    std::size_t consumed = 0;
    friend bool operator==(const Read&, const Read&) = default;
};

Read read_of(const RequestParser& parser, RequestParser& same, std::size_t consumed) {
    Read read;
    read.state = parser.state();
    read.consumed = consumed;
    if (read.state == State::kFailed) {
        read.status = parser.error_status();
        read.consumed = 0;
        return read;
    }
    if (read.state == State::kHead) return read;
    read.method = parser.method();
    read.target = parser.target();
    read.body = same.body();
    read.keep_alive = parser.keep_alive();
    for (std::size_t i = 0; i < parser.headers().size(); ++i)
        read.headers.emplace_back(parser.headers()[i].name, parser.headers()[i].value);
    return read;
}

/// Feeds `text` in pieces of `piece` bytes.
Read parse(std::string_view text, std::size_t piece, const RequestLimits& limits = {}) {
    RequestParser parser(limits);
    std::size_t done = 0;
    while (done < text.size() && parser.state() != State::kComplete &&
        parser.state() != State::kFailed) {
        // A copy, so that ASan sees any look beyond the piece.
        const std::string copy(text.substr(done, piece));
        std::size_t at = 0;
        while (at < copy.size() && parser.state() != State::kComplete &&
            parser.state() != State::kFailed)
            at += parser.feed(std::string_view(copy).substr(at));
        done += at;
    }
    return read_of(parser, parser, done);
}

const std::string_view kGood[] = {
    "GET /v1/models?limit=2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nHost: a:4100\r\nContent-Type: application/json\r\n"
    "Authorization:   Bearer  x \t\r\nX-Empty:\r\nContent-Length: 11\r\n\r\n{\"a\": true}",
    "POST /x HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n1;ext=\"v\"\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "POST /x HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    "DELETE /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    "GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET HTTP://A:80/v1/models?limit=2 HTTP/1.1\r\nHost: a:80\r\n\r\n",
};

TEST(RequestParser, ReadsTheSameWhereverTheBytesAreSplit) {
    for (const std::string_view text : kGood) {
        const Read whole = parse(text, text.size());
        ASSERT_EQ(whole.state, State::kComplete) << text;
        EXPECT_EQ(whole.consumed, text.size()) << text;
        for (std::size_t piece = 1; piece < text.size(); ++piece)
            EXPECT_EQ(parse(text, piece), whole) << "pieces of " << piece << " of " << text;
    }
}

TEST(RequestParser, GivesWhatWasSent) {
    const Read post = parse(kGood[1], 1000);
    EXPECT_EQ(post.method, "POST");
    EXPECT_EQ(post.target, "/v1/chat/completions");
    EXPECT_EQ(post.body, "{\"a\": true}");
    ASSERT_EQ(post.headers.size(), 5U);
    EXPECT_EQ(post.headers[2].second, "Bearer  x");
    EXPECT_EQ(post.headers[3].second, "");
    EXPECT_TRUE(post.keep_alive);
    const Read chunked = parse(kGood[2], 1000);
    EXPECT_EQ(chunked.body, "hello world");
    EXPECT_EQ(chunked.headers.size(), 2U) << "trailers are not headers";
    EXPECT_FALSE(parse(kGood[3], 1000).keep_alive);
    EXPECT_FALSE(parse(kGood[4], 1000).keep_alive);
}

TEST(RequestParser, AnAbsoluteTargetOfItsOwnHostIsItsPath) {
    for (const std::size_t piece : {1u, 500u})
        EXPECT_EQ(
            parse("GET http://A:80/v1/models?limit=2 HTTP/1.1\r\nHost: a:80\r\n\r\n", piece).target,
            "/v1/models?limit=2");
    EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 3).target, "*");
}

TEST(RequestParser, StopsAtTheEndOfARequestSoThatThePipelinedOneIsLeft) {
    for (const std::string_view first : kGood) {
        const std::string two = std::string(first) + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
        const Read read = parse(two, two.size());
        EXPECT_EQ(read.state, State::kComplete) << first;
        EXPECT_EQ(read.consumed, first.size()) << first;
    }
}

TEST(RequestParser, CanBeUsedAgainAfterReset) {
    const RequestLimits limits;
    RequestParser parser(limits);
    for (int round = 0; round < 3; ++round) {
        for (const std::string_view text : kGood) {
            parser.reset();
            std::size_t done = 0;
            while (parser.state() != State::kComplete && done < text.size())
                done += parser.feed(text.substr(done));
            ASSERT_EQ(read_of(parser, parser, done), parse(text, text.size())) << text;
            EXPECT_GE(parser.body().capacity(), parser.body().size() + 64);
        }
    }
}

// Two readings of where a request ends are how requests are smuggled past a proxy.
TEST(RequestParser, RefusesEveryRequestThatCanBeReadInTwoWays) {
    const struct {
        std::string_view what, text;
        int status;
    } kBad[] = {
        {"length and chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\nX",
            400},
        {"chunked and length",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
            "6\r\n\r\n0\r\n\r\nX",
            400},
        {"two lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            400},
        {"one length twice",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
        {"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400},
        {"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400},
        {"empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc", 400},
        {"length beyond 64 bits",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
        {"space in a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nabc", 400},
        {"chunked not last",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            0},
        {"unknown coding",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0},
        {"gzip, chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0},
        {"chunked twice",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n",
            0},
        {"chunked in 1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"vertical tab before chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
            "chunked\r\n\r\n0\r\n\r\n",
            0},
        {"space before the colon",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
        {"folded header",
            "POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Transfer-Encoding: chunked\r\n\r\n", 400},
        {"folded with a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tmore\r\n\r\n", 400},
        {"line without CR", "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400},
        {"head without CR", "GET / HTTP/1.1\nHost: a\n\n", 400},
        {"CR without LF", "GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", 400},
        {"NUL in a header", std::string_view("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 36),
            400},
        {"chunk size of letters",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400},
        {"chunk size with 0x",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
            400},
        {"negative chunk size",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
            400},
        {"chunk size beyond 64 bits",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
            "chunked\r\n\r\nfffffffffffffffff\r\na",
            400},
        {"chunk longer than it says",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            400},
        {"chunk size ended by LF",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
            400},
        {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"host with credentials", "GET / HTTP/1.1\r\nHost: u@b\r\n\r\n", 400},
        {"compressed body",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
            "Content-Length: 1\r\n\r\nx",
            415},
        {"absolute target of a longer host", "GET http://ab/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"absolute target without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"absolute target", "GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"target of an authority", "GET other:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"no version", "GET /\r\nHost: a\r\n\r\n", 0},
        {"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 0},
        {"version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0},
        {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
        {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405},
        {"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
        {"a method of WebDAV", "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"an invented method", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"lower case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"unknown expectation",
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na", 417},
        {"a header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n", 400},
        {"an empty header name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400},
        {"TLS on a clear port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501},
    };
    for (const auto& bad : kBad) {
        const Read whole = parse(bad.text, bad.text.size());
        EXPECT_EQ(whole.state, State::kFailed) << bad.what;
        EXPECT_EQ(whole.status, bad.status != 0 ? bad.status : whole.status) << bad.what;
        for (const std::size_t piece : {1U, 2U, 3U, 7U})
            EXPECT_EQ(parse(bad.text, piece).state, State::kFailed)
                << bad.what << ", pieces of " << piece;
    }
}

TEST(RequestParser, HoldsItsLimits) {
    RequestLimits limits;
    limits.header_bytes_max = 1000;
    limits.headers_max = 10;
    limits.target_bytes_max = 100;
    limits.body_bytes_max = 50;
    const auto status = [&](const std::string& text, std::size_t piece) {
        return parse(text, piece, limits).status;
    };
    const std::string host = " HTTP/1.1\r\nHost: a\r\n";
    std::string many = "GET /" + host;
    for (int i = 0; i < 10; ++i) many += "a: b\r\n";
    for (const std::size_t piece : {1U, 100000U}) {
        EXPECT_EQ(status("GET /" + std::string(100, 'a') + host + "\r\n", piece), 414);
        EXPECT_EQ(status("GET /" + host + "X: " + std::string(1000, 'a') + "\r\n\r\n", piece), 431);
        EXPECT_EQ(status(many + "\r\n", piece), 431);
        EXPECT_EQ(status("POST /" + host + "Content-Length: 51\r\n\r\n", piece), 413);
        EXPECT_EQ(
            status("POST /" + host + "Content-Length: 50\r\n\r\n" + std::string(50, 'a'), piece),
            0);
        EXPECT_EQ(status("POST /" + host + "Transfer-Encoding: chunked\r\n\r\n33\r\n" +
                          std::string(51, 'a'),
                      piece),
            413);
        EXPECT_EQ(status("POST /" + host +
                          "Transfer-Encoding: chunked\r\n\r\n1;x=" + std::string(2000, 'a'),
                      100),
            400);
    }
}

TEST(RequestParser, TakesABodyStraightIntoItsOwnBuffer) {
    const RequestLimits limits;
    RequestParser parser(limits);
    const std::string body(300'000, 'b');
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    std::string first = head + body.substr(0, 1000);
    std::size_t done = 0;
    while (done < first.size()) done += parser.feed(std::string_view(first).substr(done));
    std::size_t at = 1000;
    while (parser.state() == State::kBody) {
        ASSERT_EQ(parser.body_bytes_left(), body.size() - at);
        parser.receive_body(std::min<std::size_t>(parser.body_bytes_left(), 70'000),
            [&](char* into, std::size_t n) {
                n = std::min<std::size_t>(n, 33'333);
                std::copy_n(body.data() + at, n, into);
                at += n;
                return static_cast<ssize_t>(n);
            });
    }
    EXPECT_EQ(parser.state(), State::kComplete);
    EXPECT_EQ(parser.body(), body);
    EXPECT_GE(parser.body().capacity(), body.size() + 64);
}

}  // namespace
}  // namespace entrepot::net
