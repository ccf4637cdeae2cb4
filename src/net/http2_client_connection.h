#pragma once

#include <memory>
#include <string>

#include "net/client_carrier.h"
#include "net/client_connection.h"
#include "net/http2_client_session.h"
#include "net/http2_writer.h"

namespace entrepot::net {

class Http2ClientConnection;

/// One exchange on a shared connection.
class Http2ClientExchange final : public Http2ClientStream, public ClientCarrier {
public:
    /// `is_kept`: its connection has answered somebody before.
    Http2ClientExchange(Http2ClientConnection& connection, Http2ClientSession& session,
        const ExchangeLimits& limits, bool is_kept);

    /// Goes as far as it can towards the head; `wake` is how the last wait ended. True: the head is
    /// there, or `result` says why not.
    [[nodiscard]] bool advance(Wake wake);
    [[nodiscard]] Waiter::Operation wait();
    [[nodiscard]] Result<void> result() { return std::move(result_); }
    /// Nobody has looked at the request, so it may be sent again: how many times at most.
    [[nodiscard]] int repeats_max() const { return repeats_max_; }

    int status() const override { return Http2ClientStream::status(); }
    Headers headers() const override { return Http2ClientStream::headers(); }
    void forget_head() override { Http2ClientStream::forget_head(); }
    Result<std::optional<std::string_view>> try_read_body(Wake wake) override;
    Waiter::Operation wait_body() override;
    bool body_ended() const override { return is_whole() && !has_bytes(); }
    void set_idle_timeout(milliseconds timeout) override { idle_timeout_ = timeout; }
    void set_cancel(Cancel* cancel) override { cancel_ = cancel; }
    void release() override;

private:
    void on_progress() override;
    void note_failure();
    [[nodiscard]] Error broken_off() const;

    Http2ClientConnection& connection_;
    Waiter progress_;
    Result<void> result_;
    std::string taken_;  // what the caller looks at
    Cancel* cancel_;
    milliseconds idle_timeout_;
    Deadline deadline_;
    Deadline until_head_;
    MonotonicTime began_;
    int repeats_max_ = 0;
    bool is_kept_;
};

/// One HTTP/2 connection to an origin. It has no coroutine: the loop calls it when there is
/// something to read, and at the end of a turn in which its streams had something to say. It is
/// destroyed when it is over, or retired, and its last exchange is gone.
class Http2ClientConnection final : public ListNode {
public:
    /// `socket` is connected; it keeps its place among the origin's connections.
    Http2ClientConnection(OriginPool& pool, ClientConnection& socket);
    /// No exchange may be left.
    ~Http2ClientConnection();

    /// Begins an exchange; null: it takes none any more, or none now.
    [[nodiscard]] Http2ClientExchange* begin(
        const ClientRequest& request, const ExchangeLimits& limits, ExchangeReport& report);
    [[nodiscard]] bool has_room() const { return !is_lost_ && !is_retired_ && session_.room() > 0; }
    [[nodiscard]] bool is_unused() const { return held_ == 0; }
    [[nodiscard]] MonotonicTime idle_since() const { return idle_since_; }
    /// Nothing begins on it any more; it goes when it is empty.
    void retire();

private:
    friend class Http2ClientExchange;

    void on_readable();
    void on_turn(Wake wake);
    void on_writable(Wake wake);
    void read();
    void write();
    void keep_time();
    void lose(ErrorCode why);
    void speak_soon();
    void ended();
    /// Moves to where it belongs in the pool. False: it is gone.
    bool settle_down();
    [[nodiscard]] Deadline next_due() const;

    OriginPool& pool_;
    ClientConnection& socket_;
    Stream& stream_;
    Http2ClientSession session_;
    Http2Writer writer_;
    Waiter work_;  // something to send, or a time to watch
    MonotonicTime made_at_;
    MonotonicTime received_at_;
    MonotonicTime busy_since_;  // when the first of the present streams began
    MonotonicTime pinged_at_;
    MonotonicTime idle_since_;
    std::size_t begun_ = 0;
    std::size_t held_ = 0;  // exchanges that are not destroyed
    ErrorCode lost_for_ = ErrorCode::kUpstreamUnreachable;
    bool has_answered_ = false;  // a request
    bool is_pinged_ = false;
    bool is_blocked_ = false;  // the socket takes no more
    bool is_turn_due_ = false;
    bool is_retired_ = false;
    bool is_lost_ = false;
    bool is_placed_full_ = false;
};

}  // namespace entrepot::net
