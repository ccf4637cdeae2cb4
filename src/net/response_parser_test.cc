#include "net/response_parser.h"

#include <gtest/gtest.h>

namespace entrepot::net {
namespace {

using State = ResponseParser::State;

struct Read {
    State state = State::kHead;
    int status = 0;
    std::string body;
    std::size_t consumed = 0;
    std::size_t headers = 0;
    bool keep_alive = false;
    friend bool operator==(const Read&, const Read&) = default;
};

Read parse(std::string_view text, std::size_t piece, bool ends, bool head_request = false) {
    const ResponseLimits limits;
    ResponseParser parser(limits);
    parser.reset(head_request);
    Read read;
    while (read.consumed < text.size() && parser.state() != State::kComplete &&
        parser.state() != State::kFailed) {
        std::string copy(text.substr(read.consumed, piece));
        const ResponseParser::Fed fed = parser.feed(copy);
        read.body.append(fed.body);
        read.consumed += fed.consumed;
    }
    if (ends) parser.end_of_stream();
    read.state = parser.state();
    if (read.state == State::kFailed) return {State::kFailed, 0, {}, 0, 0, false};
    read.status = parser.status();
    read.headers = parser.headers().size();
    read.keep_alive = parser.keep_alive();
    return read;
}

const struct {
    std::string_view text;
    std::string_view body;
    bool ends;
    bool keep_alive;
} kGood[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n1\r\n "
     "\r\n5;q=1\r\nworld\r\n0\r\nT: 1\r\n\r\n",
        "hello world", false, true},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", true, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false, false},
    {"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", "", false, true},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "", false, true},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "", false, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 "
     "OK\r\nContent-Length: 2\r\n\r\nok",
        "ok", false, true},
    {"HTTP/1.1 529 \r\nContent-Length: 0\r\n\r\n", "", false, true},
};

TEST(ResponseParser, ReadsTheSameWhereverTheBytesAreSplit) {
    for (const auto& good : kGood) {
        const Read whole = parse(good.text, good.text.size(), good.ends);
        ASSERT_EQ(whole.state, State::kComplete) << good.text;
        EXPECT_EQ(whole.body, good.body) << good.text;
        EXPECT_EQ(whole.consumed, good.text.size()) << good.text;
        EXPECT_EQ(whole.keep_alive, good.keep_alive) << good.text;
        for (std::size_t piece = 1; piece < good.text.size(); ++piece)
            EXPECT_EQ(parse(good.text, piece, good.ends), whole)
                << "pieces of " << piece << " of " << good.text;
    }
}

TEST(ResponseParser, CutAnywhereItIsNeverTakenForWhole) {
    for (const auto& good : kGood) {
        if (good.ends) continue;  // whose end is the end of the connection
        for (std::size_t cut = 0; cut < good.text.size(); ++cut) {
            const Read read = parse(good.text.substr(0, cut), 1000, true);
            EXPECT_EQ(read.state, State::kFailed) << "cut at " << cut << " of " << good.text;
        }
    }
}

TEST(ResponseParser, AnAnswerToHeadHasNoBodyWhateverItSays) {
    const Read read = parse("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 1000, false, true);
    EXPECT_EQ(read.state, State::kComplete);
    EXPECT_TRUE(read.keep_alive);
}

TEST(ResponseParser, RefusesWhatCanBeReadInTwoWays) {
    const std::string_view kBad[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n X: folded\r\n\r\na",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
    };
    for (const std::string_view bad : kBad) {
        EXPECT_EQ(parse(bad, bad.size(), false).state, State::kFailed) << bad;
        EXPECT_EQ(parse(bad, 1, false).state, State::kFailed) << bad;
    }
}

TEST(ResponseParser, LeavesWhatFollowsTheAnswer) {
    const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const Read read = parse(std::string(answer) + "HTTP/1.1 200 OK\r\n", 1000, false);
    EXPECT_EQ(read.state, State::kComplete);
    EXPECT_EQ(read.consumed, answer.size());
}

TEST(ResponseParser, BoundsTheHead) {
    const std::string text = "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'a') + "\r\n\r\n";
    EXPECT_EQ(parse(text, 4096, false).state, State::kFailed);
    std::string many = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 300; ++i) many += "a: b\r\n";
    EXPECT_EQ(parse(many + "\r\n", 4096, false).state, State::kFailed);
    std::string interim;  // an endless row of interim answers is a head without end
    for (int i = 0; i < 4000; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
    EXPECT_EQ(parse(interim, 4096, false).state, State::kFailed);
}

}  // namespace
}  // namespace entrepot::net
