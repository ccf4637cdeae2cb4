#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http2_options.h"
#include "net/message.h"
#include "runtime/core.h"

namespace entrepot::net {

/// What an origin is spoken to in.
enum class HttpVersion : std::uint8_t {
    k1,     ///< HTTP/1.1: a connection carries one exchange at a time
    k2,     ///< HTTP/2 or nothing: agreed on by TLS, known beforehand in clear text
    kAuto,  ///< by TLS, what the server prefers of both; in clear text HTTP/1.1
};

/// Where requests go. Two equal origins share connections.
struct Origin {
    bool secure = false;
    std::string host;  ///< name or literal address, without brackets
    std::uint16_t port = 0;
    std::string ca_file;                            ///< PEM bundle; empty: the system's
    std::string client_cert_file, client_key_file;  ///< presented to who asks; empty: none
    std::string
        proxy;  ///< `http://egress:3128`: reached by CONNECT (TLS) or CONNECT too for clear text
    HttpVersion http = HttpVersion::k1;
    std::size_t connections_max = 0;  ///< per core; 0: ClientOptions says it
    friend bool operator==(const Origin&, const Origin&) = default;

    /// From `https://host:port/base` (port optional); the base path is returned in `*base_path`
    /// without a trailing slash. Errors: kBadConfiguration.
    [[nodiscard]] static Result<Origin> parse(
        std::string_view url, std::string* base_path = nullptr);
    /// What stands in `Host`: the port only when it is not the scheme's own.
    [[nodiscard]] std::string authority() const;
};

struct ClientOptions {
    std::size_t connections_per_origin_max = 32768;  ///< per core, busy and idle
    std::size_t idle_per_origin_max = 1024;          ///< per core
    std::size_t header_bytes_max = 64 * 1024;
    std::size_t headers_max = 256;
    milliseconds idle_timeout{55'000};  ///< a connection is closed after that long unused
    /// Of each HTTP/2 connection. `streams_max` is what we ask for at once, if the server allows
    /// it; `window_bytes` what is read ahead of a slow reader. Beyond `requests_max` and `age_max`
    /// nothing begins on it any more. Held in sum: streams_max * window_bytes, inside nghttp2
    /// session_bytes_max, and 64 KiB that the socket refused.
    Http2Options http2 = http2_towards_suppliers();
    /// An HTTP/2 connection on which exchanges wait and nothing comes is asked for a sign of life
    /// after the first, and given up after the second: models may think for minutes.
    milliseconds ping_after{30'000};
    milliseconds ping_timeout{15'000};
    milliseconds dns_positive_ttl{30'000};
    milliseconds dns_negative_ttl{2'000};
};

/// What is sent. The views must live until `exchange` returns.
struct ClientRequest {
    std::string_view method = "POST";
    std::string_view target;        ///< path and query, as to be sent
    std::string_view header_lines;  ///< from HeaderLines; no host, content-length, connection
    std::string_view body;
    std::string_view host;  ///< overrides the origin's authority when not empty
};

struct ExchangeLimits {
    Deadline deadline;         ///< of everything, to the end of the body
    Cancel* cancel = nullptr;  ///< the client's; ends every wait of the exchange with its reason
    milliseconds connect_timeout{5'000};       ///< name, TCP and TLS together
    milliseconds first_byte_timeout{120'000};  ///< from the request sent to the head received
    milliseconds idle_timeout{60'000};         ///< between two reads of the body
};

/// What is known of an exchange even when it failed: the ledger asks.
struct ExchangeReport {
    bool sent = false;           ///< request bytes were handed to the kernel: it may be billed
    bool reused = false;         ///< on a kept connection
    bool retried_stale = false;  ///< the kept connection was closed before any byte came, or
                                 ///< over HTTP/2 nobody had looked at it: sent once more
    MonotonicTime sent_at;
    MonotonicTime head_at;
};

class ClientCarrier;
class OriginPool;

/// One request whose response head has arrived. Destroying it before the end of the body closes its
/// connection, or resets its stream of an HTTP/2 connection.
class ClientExchange {
public:
    ClientExchange() = default;
    ClientExchange(ClientExchange&& other) noexcept;
    ClientExchange& operator=(ClientExchange&& other) noexcept;
    ~ClientExchange();

    [[nodiscard]] explicit operator bool() const { return carrier_ != nullptr; }
    [[nodiscard]] int status() const;
    [[nodiscard]] Headers headers() const;

    /// The next decoded bytes of the body, as soon as any are there; empty at its end. The view is
    /// valid until the next call: nothing more is read meanwhile, which is the back pressure.
    /// Errors: kUpstreamProtocol (cut short, bad framing), kUpstreamTimeout, the reason of the
    /// cancel.
    [[nodiscard]] Task<std::string_view> read_body();
    /// The same without a coroutine of its own, for relays, of which there are many at a time:
    /// nullopt says that `wait_body` has to be awaited, whose result the next call takes.
    ///
    ///     auto chunk = upstream.try_read_body();
    ///     while (chunk && !*chunk) {
    ///         const Wake wake = co_await upstream.wait_body();
    ///         chunk = upstream.try_read_body(wake);
    ///     }
    [[nodiscard]] Result<std::optional<std::string_view>> try_read_body(Wake wake = {});
    [[nodiscard]] Waiter::Operation wait_body();
    /// Gives the memory of the head back: no status or header may be asked for any more.
    void forget_head();
    /// Whether the whole body has been read.
    [[nodiscard]] bool body_ended() const;

    /// The rest of the body whole, with 64 spare bytes of capacity.
    /// Errors: as read_body, and kUpstreamProtocol beyond `bytes_max`.
    [[nodiscard]] Task<std::string> read_whole_body(std::size_t bytes_max);

    /// Replaces the limit between two reads of the body, and the cancel (null: none).
    void set_idle_timeout(milliseconds timeout);
    void set_cancel(Cancel* cancel);
    /// Gives the connection, or the stream, up now.
    void close();

private:
    friend class HttpClient;
    explicit ClientExchange(ClientCarrier* carrier) : carrier_(carrier) {}
    ClientCarrier* carrier_ = nullptr;
};

/// The upstream side of one core: connections by origin, kept alive, newest first. An HTTP/2
/// connection carries as many exchanges as its server allows; another is opened when it is full.
class HttpClient {
public:
    explicit HttpClient(Core& core, ClientOptions options = {});
    /// Closes every connection; no exchange may be left.
    ~HttpClient();

    /// The connections of an origin; the reference stays valid as long as the client. Call it once
    /// per endpoint and keep it. Errors: kBadConfiguration (unreadable ca_file, bad proxy).
    [[nodiscard]] Result<OriginPool*> origin(const Origin& origin);

    /// Connects or reuses, sends head and body in one system call, returns when the response head
    /// has arrived (1xx skipped). A kept connection that turns out closed before any byte came is
    /// replaced once, unseen, as is a stream that the server says it has not looked at. Errors:
    /// kUpstreamUnreachable (name, connect, TLS, reset before a
    /// head), kUpstreamTimeout, kUpstreamProtocol, kUpstreamOverloaded
    /// (connections_per_origin_max), the reason of the cancel.
    [[nodiscard]] Task<ClientExchange> exchange(OriginPool& origin, const ClientRequest& request,
        const ExchangeLimits& limits, ExchangeReport* report = nullptr);

    [[nodiscard]] std::size_t idle_connections() const;
    [[nodiscard]] std::size_t open_connections() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace entrepot::net
