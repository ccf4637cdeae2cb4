#pragma once

// An HTTP/2 server by hand, for tests: frames as a script wants them, right or wrong.

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "net/http2_testing.h"
#include "net/tls.h"

namespace entrepot::net::testing {

struct Http2Frame {
    std::uint8_t type = 255;  ///< 255: the client has closed, or 5 seconds have passed
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;
    std::string payload;
};

/// The client's connection as a script sees it. It blocks.
class Http2Peer {
public:
    explicit Http2Peer(int socket, SSL* ssl = nullptr) : socket_(socket), ssl_(ssl) {}

    /// Reads the preface, and says nothing.
    void listen() { (void)read(kHttp2Magic.size()); }
    /// Reads the preface, and sends the server's.
    void greet(std::string_view settings = {}) {
        listen();
        write(http2_frame(NGHTTP2_SETTINGS, 0, 0, settings));
    }
    Http2Frame next() {
        const std::string head = read(9);
        if (head.size() < 9) return {};
        const auto byte = [&head](std::size_t at) {
            return std::uint32_t{static_cast<unsigned char>(head[at])};
        };
        Http2Frame frame;
        frame.type = static_cast<std::uint8_t>(byte(3));
        frame.flags = static_cast<std::uint8_t>(byte(4));
        frame.stream = byte(5) << 24U | byte(6) << 16U | byte(7) << 8U | byte(8);
        const std::size_t size = byte(0) << 16U | byte(1) << 8U | byte(2);
        frame.payload = read(size);
        return frame;
    }
    /// The next frame of that type; what comes before is skipped, but SETTINGS are acknowledged.
    Http2Frame next(std::uint8_t type) {
        for (;;) {
            Http2Frame frame = next();
            if (frame.type == NGHTTP2_SETTINGS && (frame.flags & NGHTTP2_FLAG_ACK) == 0)
                write(http2_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0));
            if (frame.type == type || frame.type == 255) return frame;
        }
    }
    /// The stream of the next request, read to its end; 0 when there is none.
    std::uint32_t request() {
        Http2Frame frame = next(NGHTTP2_HEADERS);
        const std::uint32_t stream = frame.stream;
        while (frame.type != 255 && (frame.flags & NGHTTP2_FLAG_END_STREAM) == 0)
            frame = next(NGHTTP2_DATA);
        return frame.type == 255 ? 0 : stream;
    }
    void write(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = ssl_ != nullptr
                ? SSL_write(ssl_, text.data(), static_cast<int>(text.size()))
                : ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    /// What was agreed on by ALPN.
    [[nodiscard]] std::string protocol() const {
        const unsigned char* name = nullptr;
        unsigned int bytes = 0;
        if (ssl_ != nullptr) SSL_get0_alpn_selected(ssl_, &name, &bytes);
        return {reinterpret_cast<const char*>(name), bytes};
    }
    /// What one read gives, for what is no HTTP/2.
    std::string some() {
        std::string text(16384, '\0');
        const ssize_t got = ssl_ != nullptr
            ? SSL_read(ssl_, text.data(), static_cast<int>(text.size()))
            : ::recv(socket_, text.data(), text.size(), 0);
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        return text;
    }
    /// Whether the client closes, whatever else it sends.
    bool ends() {
        while (next().type != 255) {
        }
        char byte = 0;
        return ssl_ != nullptr || ::recv(socket_, &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
    }

private:
    std::string read(std::size_t bytes) {
        std::string text(bytes, '\0');
        std::size_t at = 0;
        while (at < bytes) {
            const ssize_t got = ssl_ != nullptr
                ? SSL_read(ssl_, text.data() + at, static_cast<int>(bytes - at))
                : ::recv(socket_, text.data() + at, bytes - at, 0);
            if (got <= 0) return {};
            at += static_cast<std::size_t>(got);
        }
        return text;
    }
    int socket_;
    SSL* ssl_;
};

// Frames of an answer. Fields are literals without a table.
inline std::string http2_field(std::string_view name, std::string_view value) {
    std::string text(1, '\0');
    text.push_back(static_cast<char>(name.size()));
    text.append(name);
    text.push_back(static_cast<char>(value.size()));
    return text.append(value);
}
inline std::string http2_head(std::uint32_t stream, std::string_view status = "200",
    std::string_view fields = {}, std::uint8_t flags = NGHTTP2_FLAG_END_HEADERS) {
    return http2_frame(
        NGHTTP2_HEADERS, flags, stream, http2_field(":status", status).append(fields));
}
inline std::string http2_data(std::uint32_t stream, std::string_view bytes, bool ends = true) {
    return http2_frame(NGHTTP2_DATA, ends ? NGHTTP2_FLAG_END_STREAM : 0, stream, bytes);
}
inline std::string http2_answer(std::uint32_t stream, std::string_view body) {
    return http2_head(stream) + http2_data(stream, body);
}
inline std::string http2_number(std::uint32_t number) {
    std::string text;
    for (const int shift : {24, 16, 8, 0}) text.push_back(static_cast<char>(number >> shift));
    return text;
}
inline std::string http2_reset(std::uint32_t stream, std::uint32_t code) {
    return http2_frame(NGHTTP2_RST_STREAM, 0, stream, http2_number(code));
}
inline std::string http2_goaway(std::uint32_t last, std::uint32_t code = NGHTTP2_NO_ERROR) {
    return http2_frame(NGHTTP2_GOAWAY, 0, 0, http2_number(last) + http2_number(code));
}
inline std::string http2_setting(std::uint16_t id, std::uint32_t value) {
    return std::string{static_cast<char>(id >> 8), static_cast<char>(id)} + http2_number(value);
}

/// A listener whose connections each run a script on a thread of their own; `number` counts them.
class Http2Script {
public:
    using Script = std::function<void(Http2Peer& peer, int number)>;

    explicit Http2Script(Script script, const TlsServerContext* tls = nullptr)
        : script_(std::move(script)), tls_(tls), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at);
        ::listen(listener_, 64);
        socklen_t size = sizeof at;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
        accepting_ = std::thread([this] { accept(); });
    }
    ~Http2Script() {
        stopping_ = true;
        {
            const RawClient knock(port_);
        }
        accepting_.join();
        for (std::thread& thread : threads_) thread.join();
        ::close(listener_);
    }
    Http2Script(const Http2Script&) = delete;
    Http2Script& operator=(const Http2Script&) = delete;
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] int connections() const { return connections_.load(); }

private:
    void accept() {
        for (int number = 0;; ++number) {
            const int socket = ::accept(listener_, nullptr, nullptr);
            if (socket < 0 || stopping_) {
                if (socket >= 0) ::close(socket);
                return;
            }
            const timeval limit{5, 0};
            ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            const int one = 1;
            ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            connections_.fetch_add(1);
            threads_.emplace_back([this, socket, number] { serve(socket, number); });
        }
    }
    void serve(int socket, int number) {
        SSL* ssl = nullptr;
        if (tls_ != nullptr) {
            ssl = SSL_new(tls_->native());
            SSL_set_fd(ssl, socket);
            if (SSL_accept(ssl) != 1) stopping_ = true;
        }
        Http2Peer peer(socket, ssl);
        script_(peer, number);
        if (ssl != nullptr) SSL_shutdown(ssl);
        SSL_free(ssl);
        ::close(socket);
    }

    Script script_;
    const TlsServerContext* tls_;
    int listener_;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<int> connections_{0};
    std::vector<std::thread> threads_;
    std::thread accepting_;
};

}  // namespace entrepot::net::testing
