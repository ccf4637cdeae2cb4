#include "net/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "net/server_connection.h"

namespace entrepot::net {

namespace {

std::string address_text(const sockaddr_storage& storage, int accepted) {
    char text[INET6_ADDRSTRLEN] = {};
    if (storage.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
        ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return fmt::format("{}:{}", text, ntohs(v4.sin_port));
    }
    if (storage.ss_family == AF_UNIX) {
        ucred who{};
        socklen_t size = sizeof who;
        if (::getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return "unix";
        return fmt::format("unix:{}", who.uid);
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

}  // namespace

Co<bool> Handler::check_head(ServerRequest&, ResponseWriter&) { co_return true; }

std::string Handler::refusal_body(const Error& error, int, std::string_view) {
    std::string message;
    for (const char c : error.message) {
        if (c == '"' || c == '\\') message.push_back('\\');
        if (static_cast<unsigned char>(c) >= 0x20) message.push_back(c);
    }
    return fmt::format(
        R"({{"error":{{"message":"{}","type":"invalid_request_error","param":null,"code":"{}"}}}})",
        message, error_code_name(error.code));
}

struct HttpServer::State final : Watched {
    State(Core& core, Listener taken, Handler& handler, const ServerOptions& options,
        const TlsServerContext* tls)
        : listener(std::move(taken)),
          port(listener.port()),
          shared{core, handler, options,
              RequestLimits{options.header_bytes_max, options.headers_max, options.target_bytes_max,
                  options.body_bytes_max},
              tls} {}
    ~State() {
        if (spare >= 0) ::close(spare);
    }

    void on_events(std::uint32_t) override {
        for (int i = 0; i < kAcceptsPerTurn; ++i)
            if (!accept_one()) return;
    }

    bool accept_one() {
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        const int accepted = ::accept4(listener.descriptor(), reinterpret_cast<sockaddr*>(&from),
            &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            // Out of descriptors: give the spare one up to accept and close, or the loop would spin
            // on this event.
            if ((errno == EMFILE || errno == ENFILE) && spare >= 0) {
                ::close(spare);
                const int refused =
                    ::accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
                if (refused >= 0) ::close(refused);
                spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
                return refused >= 0;
            }
            return errno == ECONNABORTED || errno == EINTR;
        }
        if (shared.count >= shared.options.connections_max) {
            ::close(accepted);
            return true;
        }
        auto connection = std::make_unique<ServerConnection>(shared, address_text(from, accepted));
        if (!connection->adopt(accepted)) return true;
        ++shared.count;
        shared.connections.push_back(*connection);
        ServerConnection* running = connection.release();
        struct End {
            ServerShared* shared;
            ServerConnection* connection;
        };
        auto* end = new End{&shared, running};
        shared.core.spawn(
            running->run(),
            [](void* argument) {
                const std::unique_ptr<End> ended(static_cast<End*>(argument));
                ServerShared& all = *ended->shared;
                delete ended->connection;
                if (--all.count == 0 && all.draining) all.drained.wake();
            },
            end);
        return true;
    }

    static constexpr int kAcceptsPerTurn = 64;
    Listener listener;
    std::uint16_t port;
    ServerShared shared;
    int spare = -1;
    bool started = false;
};

HttpServer::HttpServer(Core& core, Listener listener, Handler& handler, ServerOptions options,
    const TlsServerContext* tls)
    : state_(std::make_unique<State>(core, std::move(listener), handler, options, tls)) {}

HttpServer::~HttpServer() {
    ENTREPOT_CHECK(state_->shared.count == 0);
    if (state_->started && !state_->shared.draining) state_->shared.core.unwatch(*state_);
}

Status HttpServer::start() {
    state_->spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ENTREPOT_TRY_DO(state_->shared.core.watch(state_->listener.descriptor(), *state_, EPOLLIN));
    state_->started = true;
    return {};
}

std::uint16_t HttpServer::port() const { return state_->port; }
std::size_t HttpServer::connections() const { return state_->shared.count; }
std::size_t HttpServer::requests_in_flight() const { return state_->shared.in_flight; }
bool HttpServer::draining() const { return state_->shared.draining; }

Co<void> HttpServer::drain(Deadline deadline) {
    ServerShared& shared = state_->shared;
    shared.draining = true;
    if (state_->started) shared.core.unwatch(*state_);
    state_->listener.close();
    const auto each = [&shared](auto&& what) {
        for (ListNode* at = shared.connections.front(); at != shared.connections.end();) {
            auto& connection = static_cast<ServerConnection&>(*at);
            at = at->next;
            what(connection);
        }
    };
    each([](ServerConnection& connection) { connection.close_if_idle(); });
    while (shared.count > 0 && !shared.expired) {
        const Wake wake = co_await shared.drained.wait(Until{deadline, nullptr});
        if (wake.ready) continue;
        shared.expired = true;
        each([](ServerConnection& connection) { connection.expire(); });
    }
    while (shared.count > 0) co_await shared.drained.wait(Until{});
}

}  // namespace entrepot::net
