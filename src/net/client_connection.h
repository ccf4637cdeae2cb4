#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"
#include "net/resolver.h"
#include "net/response_parser.h"
#include "net/stream.h"

namespace entrepot::net {

class ClientConnection;

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
    OriginPool(ClientShared& shared, Origin origin) : shared_(shared), origin_(std::move(origin)) {}
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
    /// A new one, connected, TLS and proxy included.
    [[nodiscard]] Task<ClientConnection*> connect(Until until);
    void destroy(ClientConnection& connection);
    void close_older_than(MonotonicTime since);

private:
    Task<void> open_socket(Stream& stream, Until until);
    Task<void> open_tunnel(Stream& stream, Until until);

    ClientShared& shared_;
    Origin origin_;
    Origin proxy_;
    std::string authority_;
    std::optional<TlsClientContext> tls_;
    List idle_;  // newest first
    std::size_t idle_count_ = 0;
    std::size_t open_count_ = 0;
};

/// One upstream connection and the exchange it carries. It holds a read buffer only while the
/// caller looks at the bytes in it: a stream that waits for its next event owns none.
class ClientConnection final : public ListNode {
public:
    explicit ClientConnection(OriginPool& pool)
        : pool_(pool), stream_(pool.shared().core), parser_(pool.shared().limits) {}
    ~ClientConnection();

    [[nodiscard]] OriginPool& pool() { return pool_; }
    [[nodiscard]] Stream& stream() { return stream_; }
    [[nodiscard]] const ResponseParser& parser() const { return parser_; }

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

    /// See ClientExchange.
    [[nodiscard]] Result<std::optional<std::string_view>> try_read_body(Wake wake);
    [[nodiscard]] Waiter::Operation wait_body();
    void forget_head() { parser_.forget_head(); }
    [[nodiscard]] bool body_ended() const {
        return parser_.state() == ResponseParser::State::kComplete && waiting_body_.empty();
    }
    /// Back to the pool when it can serve again, else destroyed.
    void release();

    void set_idle_timeout(milliseconds timeout) { idle_timeout_ = timeout; }
    void set_cancel(Cancel* cancel) { cancel_ = cancel; }

private:
    friend class OriginPool;
    void render(const ClientRequest& request);
    void drop_buffer();
    /// One read into the buffer, parsed. Errors: a broken connection.
    [[nodiscard]] Result<void> read_available();
    [[nodiscard]] Error failed(const Wake& wake, std::string_view what) const;

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
