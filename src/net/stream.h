#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/tls.h"
#include "runtime/core.h"

typedef struct ssl_st SSL;

namespace entrepot::net {

/// What one attempt at a transfer gave.
struct Transfer {
    enum class Kind : std::uint8_t { kDone, kWouldBlock, kEnd, kFailed };
    Kind kind = Kind::kDone;
    std::size_t bytes = 0;
    int error = 0;  ///< errno when kFailed; EPROTO for TLS
};

/// A connected socket on one core, in clear text or TLS. Registered with the loop once,
/// edge-triggered, so a wait costs no system call, and an idle connection owns no buffer.
class Stream final : private Watched {
public:
    explicit Stream(Core& core) : core_(core) {}
    ~Stream() { close(); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Takes a connected or connecting non-blocking socket. Errors: kIo.
    [[nodiscard]] Status adopt(int descriptor);
    [[nodiscard]] bool open() const { return descriptor_ >= 0; }
    /// Closes; waits that are pending fail with `reason`.
    void close(ErrorCode reason = ErrorCode::kCancelled);

    /// TLS as the accepting side. Errors: kRequestTimeout, kBadRequest (no handshake).
    [[nodiscard]] Task<void> accept_tls(const TlsServerContext& context, Until until);
    /// TLS as the connecting side: SNI and verification of `host`. Errors: kUpstreamUnreachable,
    /// kUpstreamTimeout.
    [[nodiscard]] Task<void> connect_tls(
        const TlsClientContext& context, TlsOffer offer, const std::string& host, Until until);
    [[nodiscard]] bool secure() const { return ssl_ != nullptr; }
    /// Whether the handshake chose HTTP/2 (ALPN `h2`).
    [[nodiscard]] bool agreed_on_http2() const;
    /// Tells the peer that nothing follows; what it still sends can be read.
    void shut_down_sending();

    /// One attempt, no waiting. Call it when `readable()`; after kWouldBlock, await
    /// `wait_readable`.
    [[nodiscard]] Transfer try_read(std::span<char> into);
    /// One attempt at the bytes of `pieces`, which are advanced over what was taken.
    [[nodiscard]] Transfer try_write(std::span<iovec>& pieces);

    /// Whether a read may give something: false only when it would surely block.
    [[nodiscard]] bool readable() const { return readable_; }
    /// Ends when `readable()` may be true. To be awaited directly: it costs no coroutine frame.
    [[nodiscard]] Waiter::Operation wait_readable(Until until) {
        return (read_wants_write_ ? write_waiter_ : read_waiter_).wait(until);
    }
    [[nodiscard]] Waiter::Operation wait_writable(Until until) { return write_waiter_.wait(until); }
    /// The same for an object that is no coroutine, see Waiter::call; `forget_call` takes it back.
    void call_when_writable(Until until, void (*tell)(void*, Wake), void* argument) {
        write_waiter_.call(until, tell, argument);
    }
    void forget_call() { write_waiter_.forget(); }
    /// Only lets the others go first.
    [[nodiscard]] Waiter::Operation wait_turn() { return read_waiter_.wait_turn(); }

    /// Writes everything. Each wait is bounded by `stall` from its own beginning. Errors:
    /// kClientGone for a broken connection (the caller renames it for an upstream),
    /// kRequestTimeout, the reason of the cancel.
    [[nodiscard]] Task<void> write_all(std::span<iovec> pieces, nanoseconds stall, Cancel* cancel);

    /// True once the peer has closed its side or the connection broke: known from the event, not
    /// from a read.
    [[nodiscard]] bool hung_up() const { return hung_up_; }
    /// Trips `cancel` with kClientGone when the peer hangs up; null: nothing.
    void on_hang_up(Cancel* cancel) {
        hang_up_cancel_ = cancel;
        if (cancel != nullptr && hung_up_) cancel->cancel(ErrorCode::kClientGone);
    }
    /// Tells of any event while nobody reads: how a pool learns that an idle connection is dead.
    /// The callee may destroy the stream.
    void on_idle_event(void (*tell)(void*), void* argument) {
        idle_tell_ = tell;
        idle_argument_ = argument;
    }

    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    void on_events(std::uint32_t events) override;
    Transfer tls_read(std::span<char> into);
    Transfer tls_write(std::span<iovec>& pieces);
    Task<void> handshake(Until until, bool accepting);

    Core& core_;
    int descriptor_ = -1;
    SSL* ssl_ = nullptr;
    bool readable_ = false;
    bool hung_up_ = false;
    bool read_wants_write_ = false;  // TLS only
    Cancel* hang_up_cancel_ = nullptr;
    void (*idle_tell_)(void*) = nullptr;
    void* idle_argument_ = nullptr;
    Waiter read_waiter_;
    Waiter write_waiter_;
};

}  // namespace entrepot::net
