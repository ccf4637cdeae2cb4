#pragma once

// For tests of this folder and of those above it: a server on its own thread, and sockets without
// any of our code.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/http_server.h"
#include "runtime/core.h"

namespace entrepot::net::testing {

/// A plain blocking client; reads give up after 5 seconds.
class RawClient {
public:
    explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0)
        : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        if (receive_buffer_bytes > 0)
            ::setsockopt(
                socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
        const timeval limit{5, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    }
    ~RawClient() { close(); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }
    void send(std::string_view text) const {
        while (!text.empty()) {
            const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    /// Everything up to and including `mark`, or what came before the end or the time-out.
    std::string read_until(std::string_view mark) {
        for (;;) {
            const std::size_t at = pending_.find(mark);
            if (at != std::string::npos) {
                std::string text = pending_.substr(0, at + mark.size());
                pending_.erase(0, at + mark.size());
                return text;
            }
            if (!receive()) return std::exchange(pending_, {});
        }
    }
    /// One answer with a Content-Length.
    std::string read_answer() {
        std::string head = read_until("\r\n\r\n");
        const std::size_t at = head.find("content-length: ");
        if (at == std::string::npos) return head;
        const std::size_t length = std::stoul(head.substr(at + 16));
        while (pending_.size() < length && receive()) {
        }
        head += pending_.substr(0, length);
        pending_.erase(0, std::min(length, pending_.size()));
        return head;
    }
    std::string read_to_end() {
        while (receive()) {
        }
        return std::exchange(pending_, {});
    }
    /// True when the server has closed and nothing else came.
    bool ended() { return pending_.empty() && !receive() && ended_; }
    void shut_down_sending() const { ::shutdown(socket_, SHUT_WR); }
    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }
    void reset() {
        const linger hard{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close();
    }

private:
    bool receive() {
        char bytes[65536];
        const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
        if (got <= 0) {
            ended_ = got == 0 || errno == ECONNRESET;
            return false;
        }
        pending_.append(bytes, static_cast<std::size_t>(got));
        return true;
    }
    int socket_;
    bool connected_ = false;
    bool ended_ = false;
    std::string pending_;
};

/// A plain listener whose accepted connections are handled, one after the other, by a script on a
/// thread.
class RawServer {
public:
    using Script = std::function<void(int socket, int connection_number)>;
    explicit RawServer(Script script)
        : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at);
        ::listen(listener_, 64);
        socklen_t size = sizeof at;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
        thread_ = std::thread([this] {
            for (int number = 0;; ++number) {
                const int accepted = ::accept(listener_, nullptr, nullptr);
                if (accepted < 0 || stopping_) {
                    if (accepted >= 0) ::close(accepted);
                    return;
                }
                const timeval limit{5, 0};
                ::setsockopt(accepted, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
                const int one = 1;
                ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connections_.fetch_add(1);
                script_(accepted, number);
                ::close(accepted);
            }
        });
    }
    ~RawServer() {
        stopping_ = true;
        {
            const RawClient knock(port_);
        }
        thread_.join();
        ::close(listener_);
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] int connections() const { return connections_.load(); }

    /// Reads one request with an optional Content-Length; empty when the peer has closed.
    static std::string read_request(int socket) {
        std::string text;
        char byte = 0;
        while (text.find("\r\n\r\n") == std::string::npos) {
            if (::recv(socket, &byte, 1, 0) != 1) return {};
            text.push_back(byte);
        }
        const std::size_t at = text.find("content-length: ");
        if (at == std::string::npos) return text;
        for (std::size_t left = std::stoul(text.substr(at + 16)); left > 0; --left) {
            if (::recv(socket, &byte, 1, 0) != 1) return {};
            text.push_back(byte);
        }
        return text;
    }
    static void write(int socket, std::string_view text) {
        (void)::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    }

private:
    Script script_;
    int listener_;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<int> connections_{0};
    std::thread thread_;
};

/// A handler made of a function.
class FunctionHandler final : public Handler {
public:
    using Function = std::function<Co<void>(ServerRequest&, ResponseWriter&)>;
    explicit FunctionHandler(Function function) : function_(std::move(function)) {}
    Co<void> handle(ServerRequest& request, ResponseWriter& response) override {
        return function_(request, response);
    }

private:
    Function function_;
};

/// An HttpServer on a thread of its own, drained when it goes.
class TestServer {
public:
    explicit TestServer(FunctionHandler::Function function, ServerOptions options = {},
        const TlsServerContext* tls = nullptr)
        : handler_(std::move(function)) {
        Result<Listener> listener = Listener::bind("127.0.0.1:0");
        port_ = listener->port();
        server_ = std::make_unique<HttpServer>(core_, std::move(*listener), handler_, options, tls);
        core_.post([this] { (void)server_->start(); });
        thread_ = std::thread([this] { core_.run(); });
    }
    ~TestServer() {
        drain(nanoseconds(0));
        thread_.join();
    }
    /// Begins the drain, and stops the loop at its end.
    void drain(nanoseconds patience) {
        if (drain_begun_) return;
        drain_begun_ = true;
        core_.post([this, patience] {
            core_.spawn(
                drained(patience), [](void* core) { static_cast<Core*>(core)->stop(); }, &core_);
        });
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] Core& core() { return core_; }
    [[nodiscard]] HttpServer& server() { return *server_; }

private:
    Co<void> drained(nanoseconds patience) {
        const Deadline deadline = core_.after(patience);
        co_await server_->drain(deadline);
    }
    Core core_;
    FunctionHandler handler_;
    std::unique_ptr<HttpServer> server_;
    std::uint16_t port_ = 0;
    bool drain_begun_ = false;
    std::thread thread_;
};

}  // namespace entrepot::net::testing
