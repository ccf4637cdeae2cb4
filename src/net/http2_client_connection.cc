#include "net/http2_client_connection.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace entrepot::net {

namespace {

// A kept connection that the upstream closed while it was idle shows it within a round trip or two.
constexpr nanoseconds kStaleWithin{1'000'000'000};
constexpr milliseconds kWriteStall{30'000};
// Servers end connections on which too much is called off, with all that runs on them.
constexpr std::size_t kResetsMax = 100;
constexpr unsigned kReadsPerTurn = 32;  // a fast upstream must not starve the others
constexpr std::size_t kKeptBytes = 1024;
// A server that refuses is asked once more; each GOAWAY costs a connection, so they come to an end.
constexpr int kRepeatsOfRefused = 1;
constexpr int kRepeatsAfterGoaway = 3;

}  // namespace

// ---- Http2ClientExchange

Http2ClientExchange::Http2ClientExchange(Http2ClientConnection& connection,
    Http2ClientSession& session, const ExchangeLimits& limits, bool is_kept)
    : Http2ClientStream(session),
      connection_(connection),
      cancel_(limits.cancel),
      idle_timeout_(limits.idle_timeout),
      deadline_(limits.deadline),
      began_(connection.pool_.shared().core.now()),
      is_kept_(is_kept) {
    until_head_ = Deadline::after(began_, limits.first_byte_timeout).sooner(limits.deadline);
    if (cancel_ != nullptr && cancel_->cancelled())
        result_ = fail(cancel_->reason(), "stopped before the request was sent");
}

void Http2ClientExchange::on_progress() {
    if (is_head_done()) connection_.has_answered_ = true;
    progress_.wake();
}

Waiter::Operation Http2ClientExchange::wait() { return progress_.wait({until_head_, cancel_}); }

bool Http2ClientExchange::advance(Wake wake) {
    if (!result_) return true;
    if (is_head_done() && is_sent_whole()) return true;
    if (end() != End::kNone) {
        note_failure();
        return true;
    }
    if (wake.ready) return false;
    result_ = std::unexpected(
        upstream_failed(wake, is_sent_whole() ? "did not answer" : "did not take the request"));
    // Nothing at all since then: what is the matter is the connection, not this request.
    if (wake.reason == ErrorCode::kRequestTimeout && connection_.received_at_ <= began_)
        connection_.retire();
    return true;
}

/// Why there is no head.
void Http2ClientExchange::note_failure() {
    const std::string_view code = nghttp2_http2_strerror(error_code());
    const bool is_leaving = !session_.takes_streams();
    switch (end()) {
        case End::kNone:
        case End::kWhole: return;
        case End::kUnprocessed:
            repeats_max_ = is_leaving ? kRepeatsAfterGoaway : kRepeatsOfRefused;
            result_ = fail(
                is_leaving ? ErrorCode::kUpstreamUnreachable : ErrorCode::kUpstreamOverloaded,
                is_leaving ? "the upstream closed the connection before it looked at the request"
                           : "the upstream refused the request's stream",
                std::string(code));
            return;
        case End::kReset:
            result_ =
                fail(error_code() == NGHTTP2_ENHANCE_YOUR_CALM ? ErrorCode::kUpstreamOverloaded
                                                               : ErrorCode::kUpstreamUnreachable,
                    fmt::format(
                        "the upstream reset the request's stream before it answered ({})", code),
                    session_.flaw());
            return;
        case End::kFlawed:
            result_ = fail(
                ErrorCode::kUpstreamProtocol, "the upstream's answer is not sound HTTP", flaw());
            return;
        case End::kLost: {
            const MonotonicTime now = connection_.pool_.shared().core.now();
            // Kept, and closed while it lay idle. A fresh connection, or one that others were
            // using, was not; and later, the upstream has worked on it: it would be paid for twice.
            const bool was_stale = is_kept_ &&
                connection_.lost_for_ == ErrorCode::kUpstreamUnreachable &&
                connection_.received_at_ <= connection_.busy_since_ &&
                now - connection_.busy_since_ < kStaleWithin;
            if (!is_sent())
                repeats_max_ = kRepeatsAfterGoaway;
            else if (was_stale)
                repeats_max_ = kRepeatsOfRefused;
            result_ = fail(connection_.lost_for_,
                connection_.lost_for_ == ErrorCode::kUpstreamTimeout
                    ? "the connection to the upstream has gone silent"
                    : "the upstream closed the connection without an answer",
                session_.flaw());
            return;
        }
    }
}

Error Http2ClientExchange::broken_off() const {
    Error error{ErrorCode::kUpstreamProtocol, "the upstream's answer was cut short", {}, {}};
    if (end() == End::kFlawed) {
        error.message = "the upstream's answer is not sound HTTP";
        error.cause = flaw();
    } else if (end() == End::kLost) {
        error.cause = session_.flaw();
        if (connection_.lost_for_ == ErrorCode::kUpstreamTimeout)
            error = {ErrorCode::kUpstreamTimeout, "the connection to the upstream has gone silent",
                {}, {}};
    } else {
        error.cause = fmt::format("stream reset: {}", nghttp2_http2_strerror(error_code()));
    }
    return error;
}

Waiter::Operation Http2ClientExchange::wait_body() {
    return progress_.wait(
        {connection_.pool_.shared().core.after(idle_timeout_).sooner(deadline_), cancel_});
}

Result<std::optional<std::string_view>> Http2ClientExchange::try_read_body(Wake wake) {
    if (!wake.ready) return std::unexpected(upstream_failed(wake, "did not go on with its answer"));
    if (deadline_.passed(connection_.pool_.shared().core.now()))
        return fail(ErrorCode::kUpstreamTimeout, "the upstream's answer took too long");
    if (give_back()) connection_.speak_soon();  // the window may be open again
    if (has_bytes()) {
        take(taken_);
        return std::string_view(taken_);
    }
    if (is_whole()) return std::string_view();
    // What was sound before the flaw was handed out first.
    if (end() != End::kNone) return std::unexpected(broken_off());
    if (taken_.capacity() > kKeptBytes) std::string().swap(taken_);
    return std::nullopt;
}

void Http2ClientExchange::release() {
    Http2ClientConnection& connection = connection_;
    delete this;
    connection.ended();
}

// ---- Http2ClientConnection

Http2ClientConnection::Http2ClientConnection(OriginPool& pool, ClientConnection& socket)
    : pool_(pool),
      socket_(socket),
      stream_(socket.stream()),
      session_(pool.shared().options.http2, pool.shared().limits, pool.streams_expected(),
          pool.shared().core.now()),
      made_at_(pool.shared().core.now()),
      received_at_(made_at_),
      idle_since_(made_at_) {
    ++pool_.shared().idle;
    stream_.on_idle_event(
        [](void* self) { static_cast<Http2ClientConnection*>(self)->on_readable(); }, this);
    pool_.place(*this, true);
    speak_soon();
}

Http2ClientConnection::~Http2ClientConnection() {
    ENTREPOT_CHECK(held_ == 0);
    unlink();
    --pool_.shared().idle;
    work_.forget();
    stream_.forget_call();
    pool_.destroy(socket_);
}

Http2ClientExchange* Http2ClientConnection::begin(
    const ClientRequest& request, const ExchangeLimits& limits, ExchangeReport& report) {
    if (!has_room()) {
        settle_down();
        return nullptr;
    }
    auto exchange = std::make_unique<Http2ClientExchange>(*this, session_, limits, has_answered_);
    Http2ClientSession::Request sent;
    sent.method = request.method;
    sent.scheme = stream_.secure() ? "https" : "http";
    sent.authority = request.host.empty() ? std::string_view(pool_.authority()) : request.host;
    sent.target = request.target;
    sent.header_lines = request.header_lines;
    sent.body = request.body;
    const MonotonicTime now = pool_.shared().core.now();
    const bool was_idle = session_.streams() == 0;
    if (!session_.begin(*exchange, sent)) {
        exchange.reset();
        settle_down();
        return nullptr;
    }
    if (was_idle) busy_since_ = now;
    if (held_++ == 0) --pool_.shared().idle;
    ++begun_;
    report.reused = has_answered_;
    report.sent_at = now;
    const Http2Options& options = pool_.shared().options.http2;
    if (begun_ >= options.requests_max || now - made_at_ >= options.age_max) is_retired_ = true;
    speak_soon();
    settle_down();
    return exchange.release();  // its `release` destroys it
}

void Http2ClientConnection::retire() {
    is_retired_ = true;
    settle_down();
}

void Http2ClientConnection::ended() {
    if (--held_ == 0) {
        idle_since_ = pool_.shared().core.now();
        ++pool_.shared().idle;
    }
    if (session_.resets() >= kResetsMax) is_retired_ = true;
    // Nobody waits for the answer to a PING any more; the next exchange must not inherit the doubt.
    if (is_pinged_ && session_.streams() == 0) is_retired_ = true;
    if (!is_lost_) speak_soon();
    settle_down();
}

bool Http2ClientConnection::settle_down() {
    if (!session_.takes_streams()) is_retired_ = true;
    if (const auto allowed = session_.streams_allowed()) pool_.expect_streams(*allowed);
    // Without room even for one stream an empty connection is of no use either.
    const bool is_full = session_.room() == 0;
    if (held_ == 0 && (is_lost_ || is_retired_ || (is_full && begun_ > 0))) {
        // What still waits to be said (a reset, a window) is of no interest to anybody.
        delete this;
        return false;
    }
    if (is_lost_ || is_retired_) {
        unlink();
    } else if (is_full != is_placed_full_) {
        unlink();
        is_placed_full_ = is_full;
        pool_.place(*this, !is_full);
    }
    return true;
}

// ---- The socket

void Http2ClientConnection::speak_soon() {
    if (is_lost_ || is_turn_due_) return;
    is_turn_due_ = true;
    work_.forget();
    work_.call(
        Until{},
        [](void* self, Wake wake) { static_cast<Http2ClientConnection*>(self)->on_turn(wake); },
        this);
    work_.wake();
}

void Http2ClientConnection::on_turn(Wake wake) {
    (void)wake;  // a deadline is looked for in keep_time
    is_turn_due_ = false;
    keep_time();
    if (!is_lost_ && stream_.readable()) read();
    if (!is_lost_) write();
    if (!settle_down() || is_lost_ || is_turn_due_) return;
    const auto tell = [](void* self, Wake woken) {
        static_cast<Http2ClientConnection*>(self)->on_turn(woken);
    };
    if (stream_.readable())
        work_.call_next_turn(tell, this);
    else
        work_.call(Until{next_due(), nullptr}, tell, this);
}

void Http2ClientConnection::on_readable() {
    read();
    if (!is_lost_ && !session_.is_over()) return speak_soon();
    if (!is_lost_) write();  // last words
    if (!is_lost_) lose(lost_for_);
    settle_down();
}

void Http2ClientConnection::read() {
    Core& core = pool_.shared().core;
    for (unsigned reads = 0; stream_.readable() && reads < kReadsPerTurn; ++reads) {
        ReadBuffer buffer = core.take_read_buffer();
        const Transfer got = stream_.try_read({buffer.get(), Core::kReadBufferBytes});
        if (got.bytes > 0) {
            received_at_ = core.now();
            is_pinged_ = false;
            session_.receive({buffer.get(), got.bytes}, received_at_);
        }
        core.give_read_buffer(std::move(buffer));
        if (got.kind == Transfer::Kind::kEnd || got.kind == Transfer::Kind::kFailed)
            return lose(lost_for_);
        if (session_.is_over()) return;
    }
}

void Http2ClientConnection::write() {
    if (is_blocked_) return;
    const Http2Writer::Sent sent = writer_.send(session_, stream_, pool_.shared().core.now());
    if (sent == Http2Writer::Sent::kBroken) {
        // What the server said last may explain it.
        read();
        if (!is_lost_) lose(lost_for_);
    } else if (sent == Http2Writer::Sent::kBlocked) {
        is_blocked_ = true;
        stream_.call_when_writable(
            {pool_.shared().core.after(kWriteStall), nullptr},
            [](void* self, Wake wake) {
                static_cast<Http2ClientConnection*>(self)->on_writable(wake);
            },
            this);
    } else if (session_.is_over()) {
        lose(lost_for_);
    }
}

void Http2ClientConnection::on_writable(Wake wake) {
    is_blocked_ = false;
    if (is_lost_) return;
    if (wake.ready)
        write();
    else
        lose(ErrorCode::kUpstreamTimeout);
    settle_down();
}

/// Every exchange that goes on has lost its connection. It stays until they have noticed.
void Http2ClientConnection::lose(ErrorCode why) {
    if (std::exchange(is_lost_, true)) return;
    lost_for_ = why;
    work_.forget();
    stream_.forget_call();
    is_turn_due_ = false;
    stream_.close();
    session_.lose();
}

// ---- Time

void Http2ClientConnection::keep_time() {
    const MonotonicTime now = pool_.shared().core.now();
    if (session_.streams() == 0 || !next_due().passed(now)) return;
    if (is_pinged_) return lose(ErrorCode::kUpstreamTimeout);
    is_pinged_ = true;
    pinged_at_ = now;
    session_.ping();
}

Deadline Http2ClientConnection::next_due() const {
    const ClientOptions& options = pool_.shared().options;
    if (session_.streams() == 0) return Deadline::never();
    if (is_pinged_) return Deadline::after(pinged_at_, options.ping_timeout);
    return Deadline::after(std::max(received_at_, busy_since_), options.ping_after);
}

}  // namespace entrepot::net
