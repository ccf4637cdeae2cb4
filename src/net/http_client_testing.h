#pragma once

// What the tests of both HTTP versions ask with.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_client.h"
#include "runtime/scope.h"

namespace entrepot::net::testing {

inline Origin at_port(std::uint16_t port) {
    Origin origin;
    origin.host = "127.0.0.1";
    origin.port = port;
    return origin;
}

struct Answer {
    int status = 0;
    std::string body;
    ExchangeReport report;
    Result<void> result;
};

/// One request and its whole answer.
inline Co<Answer> fetch(
    HttpClient& client, OriginPool& pool, ClientRequest request, ExchangeLimits limits) {
    Answer answer;
    Result<ClientExchange> exchange =
        co_await client.exchange(pool, request, limits, &answer.report);
    if (!exchange) {
        answer.result = std::unexpected(std::move(exchange).error());
        co_return answer;
    }
    answer.status = exchange->status();
    for (;;) {
        Result<std::string_view> piece = co_await exchange->read_body();
        if (!piece) {
            answer.result = std::unexpected(std::move(piece).error());
            co_return answer;
        }
        if (piece->empty()) co_return answer;
        answer.body.append(*piece);
    }
}

/// Runs `work` with a client of its own.
template <typename Work>
void with_client(Work work, ClientOptions options = {}) {
    Core core;
    core.run_until_done([](Core& at, Work& inner, ClientOptions chosen) -> Co<void> {
        HttpClient client(at, chosen);
        co_await inner(at, client);
    }(core, work, options));
}

inline ErrorCode code_of(const Answer& answer) {
    return answer.result ? ErrorCode::kInternal : answer.result.error().code;
}

inline ClientRequest post(std::string_view body) {
    ClientRequest request;
    request.target = "/v1/x";
    request.header_lines = "content-type: application/json\r\n";
    request.body = body;
    return request;
}

inline Origin by_http2(std::uint16_t port) {
    Origin origin = at_port(port);
    origin.http = HttpVersion::k2;
    return origin;
}

/// One request by HTTP/2 with a client of its own.
inline Answer ask(std::uint16_t port, ExchangeLimits limits = {}, ClientOptions options = {}) {
    Answer answer;
    with_client(
        [&](Core&, HttpClient& client) -> Co<void> {
            OriginPool& pool = **client.origin(by_http2(port));
            answer = co_await fetch(client, pool, post("{}"), limits);
        },
        options);
    return answer;
}

/// As many at once as `count`, each on a coroutine of its own.
inline void ask_at_once(
    HttpClient& client, OriginPool& pool, Scope& scope, int count, std::vector<Answer>& answers) {
    answers.resize(static_cast<std::size_t>(count));
    for (Answer& answer : answers)
        scope.spawn([](HttpClient& by, OriginPool& at, Answer& into) -> Co<void> {
            into = co_await fetch(by, at, post("{}"), {});
        }(client, pool, answer));
}

}  // namespace entrepot::net::testing
