// The network core and nothing else: an HTTP server whose handler passes each request to one
// upstream over pooled connections. What it costs is the floor under the gateway's figures. usage:
// net_relay LISTEN_PORT UPSTREAM_PORT [http2]
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "runtime/cores.h"

namespace {

using namespace entrepot;

Core* g_core = nullptr;

class Relay final : public net::Handler {
public:
    Relay(Core& core, net::OriginPool& origin, net::HttpClient& client)
        : core_(core), origin_(origin), client_(client) {}

    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override {
        net::ClientRequest outgoing;
        outgoing.method = request.method;
        outgoing.target = request.target;
        outgoing.header_lines = "content-type: application/json\r\naccept-encoding: identity\r\n";
        outgoing.body = request.body;
        net::ExchangeLimits limits;
        limits.deadline = core_.after(std::chrono::seconds(600));
        limits.cancel = request.cancel;
        Result<net::ClientExchange> exchange = co_await client_.exchange(origin_, outgoing, limits);
        if (!exchange) {
            const Result<void> sent = co_await response.send(502, {}, exchange.error().message);
            if (!sent) response.abort();
            co_return;
        }
        const auto type =
            exchange->headers().find("content-type").value_or("application/octet-stream");
        std::string lines = "content-type: ";
        lines.append(type).append("\r\n");
        Result<std::string_view> piece = co_await exchange->read_body();
        if (piece && exchange->body_ended()) {
            const Result<void> sent = co_await response.send(exchange->status(), lines, *piece);
            if (!sent) response.abort();
            co_return;
        }
        response.start(exchange->status(), lines);
        std::string().swap(lines);
        while (piece && !piece->empty()) {
            const bool last = exchange->body_ended();
            Result<void> sent;  // never a conditional expression: see the ADR on the compiler
            if (last)
                sent = co_await response.finish(*piece);
            else
                sent = co_await response.write(*piece);
            if (!sent || last) co_return;
            piece = co_await exchange->read_body();
        }
        if (!piece) {
            response.abort();
            co_return;
        }
        const Result<void> sent = co_await response.finish();
        if (!sent) response.abort();
    }

private:
    Core& core_;
    net::OriginPool& origin_;
    net::HttpClient& client_;
};

}  // namespace

int main(int argc, char** argv) {
    const bool by_http2 = argc == 4 && std::string_view(argv[3]) == "http2";
    if (argc != 3 && !by_http2) {
        std::fputs("usage: net_relay LISTEN_PORT UPSTREAM_PORT [http2]\n", stderr);
        return 2;
    }
    raise_descriptor_limit();
    Core core;
    g_core = &core;
    std::signal(SIGTERM, [](int) { g_core->stop(); });
    net::HttpClient client(core, {.idle_per_origin_max = 16384});
    net::Origin origin;
    origin.host = "127.0.0.1";
    origin.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
    if (by_http2) origin.http = net::HttpVersion::k2;
    Result<net::OriginPool*> pool = client.origin(origin);
    Result<net::Listener> listener = net::Listener::bind(fmt::format("127.0.0.1:{}", argv[1]));
    if (!pool || !listener) {
        fmt::print(stderr, "{}\n", pool ? listener.error().message : pool.error().message);
        return 1;
    }
    Relay relay(core, **pool, client);
    net::HttpServer server(core, std::move(*listener), relay);
    if (!server.start()) return 1;
    core.run();
    std::_Exit(0);  // connections may be open; the kernel closes them
}
