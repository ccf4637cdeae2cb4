#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http2_options.h"
#include "net/server.h"
#include "net/tls.h"
#include "runtime/core.h"

namespace entrepot::net {

struct ServerOptions {
    std::size_t header_bytes_max = 64 * 1024;
    std::size_t headers_max = 128;
    std::size_t target_bytes_max = 16 * 1024;
    std::size_t body_bytes_max = 64 * 1024 * 1024;
    std::size_t connections_max = 65536;  ///< per core; above it, new ones are closed at once
    milliseconds tls_handshake_timeout{10'000};
    milliseconds header_timeout{
        15'000};  ///< from the first byte of a request to the end of its head
    milliseconds body_idle_timeout{30'000};  ///< between two reads of a body
    milliseconds body_timeout{600'000};      ///< whole body
    milliseconds idle_timeout{75'000};       ///< kept alive without a request
    milliseconds write_timeout{30'000};      ///< one write that makes no progress
    std::size_t requests_per_connection_max = 1'000'000;
    Http2Options http2;
};

/// A bound, listening socket. Several with the same port share it (SO_REUSEPORT), one per core.
class Listener {
public:
    /// `address`: `127.0.0.1:4100`, `[::1]:0`, `0.0.0.0:80`. Port 0 takes a free one. Errors:
    /// kBadConfiguration for an address that is not one, kIo with the system's reason.
    [[nodiscard]] static Result<Listener> bind(std::string_view address);
    /// A Unix socket at `path`, mode 0600; what stood there is replaced. Errors: kIo. Requests by
    /// it have the peer `unix:1000`, by the number of the user who connected.
    [[nodiscard]] static Result<Listener> bind_unix(const std::string& path);
    /// Another one at the same address and port.
    [[nodiscard]] Result<Listener> again() const;
    Listener(Listener&& other) noexcept;
    Listener& operator=(Listener&& other) noexcept;
    ~Listener();

    [[nodiscard]] const std::string& host() const { return host_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] int descriptor() const { return descriptor_; }
    void close();

private:
    Listener() = default;
    std::string host_;
    std::uint16_t port_ = 0;
    int descriptor_ = -1;
};

/// The server of one core and one listener: HTTP/1.1, and HTTP/2 for clients that begin with its
/// preface (clear text) or agree on it (TLS, ALPN).
class HttpServer {
public:
    /// `tls` null: clear text. `handler` and `tls` outlive the server.
    HttpServer(Core& core, Listener listener, Handler& handler, ServerOptions options = {},
        const TlsServerContext* tls = nullptr);
    /// `drain` must have returned, or `start` never called.
    ~HttpServer();

    /// Begins to accept. Errors: kIo.
    [[nodiscard]] Status start();
    [[nodiscard]] std::uint16_t port() const;

    /// Stops accepting, closes idle connections, lets requests in flight finish (their answers say
    /// `connection: close`, or follow a GOAWAY) until `deadline`, then trips their cancel with
    /// kDraining; returns when all have ended.
    [[nodiscard]] Co<void> drain(Deadline deadline);

    [[nodiscard]] std::size_t connections() const;
    [[nodiscard]] std::size_t requests_in_flight() const;
    [[nodiscard]] bool draining() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace entrepot::net
