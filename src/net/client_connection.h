#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/client_carrier.h"
#include "net/http_client.h"
#include "net/resolver.h"
#include "net/response_parser.h"
#include "net/stream.h"

namespace entrepot::net {

class ClientConnection;
class Http2ClientConnection;
class Http2ClientExchange;

/// What the origins of one client share.
struct ClientShared {
    Core& core;
    ClientOptions options;
    ResponseLimits limits;
    Resolver resolver;
    std::size_t open = 0;
    std::size_t idle = 0;
};

/// The connections of one origin on one core.
class OriginPool {
public:
    OriginPool(ClientShared& shared, Origin origin)
        : shared_(shared),
          origin_(std::move(origin)),
          http_(origin_.http),
          streams_expected_(shared.options.http2.streams_max) {}
    ~OriginPool();
    OriginPool(const OriginPool&) = delete;
    OriginPool& operator=(const OriginPool&) = delete;

    /// Prepares TLS and the proxy. Errors: kBadConfiguration.
    [[nodiscard]] Status prepare();
    [[nodiscard]] const Origin& origin() const { return origin_; }
    [[nodiscard]] const std::string& authority() const { return authority_; }
    [[nodiscard]] ClientShared& shared() { return shared_; }

    /// The connection used last, or null.
    [[nodiscard]] ClientConnection* take_idle();
    void give_idle(ClientConnection& connection);
    /// A new one, connected, TLS and proxy included. Null: it speaks HTTP/2, or somebody else's
    /// does; see `has_room`.
    [[nodiscard]] Task<ClientConnection*> connect(Until until);
    void destroy(ClientConnection& connection);
    void close_older_than(MonotonicTime since);

    /// Whether an HTTP/2 connection takes one more exchange.
    [[nodiscard]] bool has_room() const { return !with_room_.empty(); }
    /// Begins it there; null: it has gone meanwhile.
    [[nodiscard]] Http2ClientExchange* begin(
        const ClientRequest& request, const ExchangeLimits& limits, ExchangeReport& report);
    /// Whether a stream that nobody looked at would fare no better the next time. One that was
    /// refused for its version would: from now on HTTP/1.1 is spoken.
    [[nodiscard]] bool is_in_vain(const Http2ClientExchange& stream);
    /// How many exchanges a new HTTP/2 connection may carry: what the last one was allowed.
    [[nodiscard]] std::size_t streams_expected() const { return streams_expected_; }
    void expect_streams(std::size_t count) { streams_expected_ = std::max<std::size_t>(count, 1); }
    /// Puts an HTTP/2 connection among those with room, or the others.
    void place(Http2ClientConnection& connection, bool has_room);

private:
    /// Somebody who waits for a connection that another one makes.
    struct Arrival : ListNode {
        Waiter waiter;
        std::optional<Error> error;
    };

    Status prepare_tls();
    Task<ClientConnection*> make(Until until);
    void arrived(const Result<ClientConnection*>& made);
    Task<void> open_socket(Stream& stream, Until until);
    Task<void> open_tunnel(Stream& stream, Until until);

    ClientShared& shared_;
    Origin origin_;
    Origin proxy_;
    HttpVersion http_;  // kAuto gives way to k1 where a server insists
    std::string authority_;
    std::optional<TlsClientContext> tls_;
    List idle_;       // HTTP/1, newest first
    List with_room_;  // HTTP/2, both
    List full_;
    List arrivals_;
    std::size_t waiting_ = 0;  // arrivals
    std::size_t connecting_ = 0;
    std::size_t streams_expected_;
    bool expects_http2_ = false;
    std::size_t idle_count_ = 0;
    std::size_t open_count_ = 0;
};

/// One upstream connection and the exchange it carries. It holds a read buffer only while the
/// caller looks at the bytes in it: a stream that waits for its next event owns none.
class ClientConnection final : public ListNode, public ClientCarrier {
public:
    explicit ClientConnection(OriginPool& pool)
        : pool_(pool), stream_(pool.shared().core), parser_(pool.shared().limits) {}
    ~ClientConnection();

    [[nodiscard]] OriginPool& pool() { return pool_; }
    [[nodiscard]] Stream& stream() { return stream_; }

    /// One sending and its wait for a head. It lives in the caller's coroutine, which is the only
    /// one that an exchange needs:
    ///
    ///     connection.begin(attempt, request, limits, report);
    ///     while (!connection.advance(attempt, report, wake))
    ///         wake = co_await connection.wait(attempt);
    struct Attempt {
        Result<void> result;
        bool sent = false;   // bytes may have reached the peer
        bool stale = false;  // broken before any byte of an answer
        std::array<iovec, 2> pieces{};
        std::span<iovec> unsent;
        Deadline until_head;
    };
    void begin(Attempt& attempt, const ClientRequest& request, const ExchangeLimits& limits,
        ExchangeReport& report);
    /// Goes as far as it can; `wake` is how the last wait ended. True: the head is there, or
    /// `attempt.result` says why not.
    [[nodiscard]] bool advance(Attempt& attempt, ExchangeReport& report, Wake wake);
    [[nodiscard]] Waiter::Operation wait(const Attempt& attempt);

    int status() const override { return parser_.status(); }
    Headers headers() const override { return parser_.headers(); }
    Result<std::optional<std::string_view>> try_read_body(Wake wake) override;
    Waiter::Operation wait_body() override;
    void forget_head() override { parser_.forget_head(); }
    bool body_ended() const override {
        return parser_.state() == ResponseParser::State::kComplete && waiting_body_.empty();
    }
    /// Back to the pool when it can serve again, else destroyed.
    void release() override;
    void set_idle_timeout(milliseconds timeout) override { idle_timeout_ = timeout; }
    void set_cancel(Cancel* cancel) override { cancel_ = cancel; }

private:
    friend class OriginPool;
    void render(const ClientRequest& request);
    void drop_buffer();
    /// One read into the buffer, parsed. Errors: a broken connection.
    [[nodiscard]] Result<void> read_available();

    OriginPool& pool_;
    Stream stream_;
    ResponseParser parser_;
    std::string head_;  // rendered request head
    ReadBuffer buffer_;
    std::string_view waiting_body_;  // decoded, not yet handed out; inside buffer_
    Cancel* cancel_ = nullptr;
    milliseconds idle_timeout_{60'000};
    Deadline deadline_;  // of the whole exchange
    MonotonicTime idle_since_;
    unsigned streak_ = 0;
    bool body_in_head_ = false;
    bool surplus_ = false;  // the peer sent more than its answer
};

}  // namespace entrepot::net
