#include "net/http2_connection.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace entrepot::net {

namespace {

constexpr milliseconds kAnnounceTime{1'000};  // between the two GOAWAYs, when PING is not answered
constexpr milliseconds kLingerTime{1'000};
constexpr milliseconds kRestAfter{1'000};  // idle for so long, it may be idle for long
// Without a request for so long, the next one is not on its way already: some clients (AWS's for
// JavaScript) give up what they begin in the moment of a GOAWAY.
constexpr milliseconds kQuietAfter{100};
constexpr unsigned kReadsPerTurn = 32;  // a fast sender must not starve the others

}  // namespace

Http2Connection::Http2Connection(ServerShared& shared, Stream& stream, std::string_view peer)
    : shared_(shared),
      stream_(stream),
      peer_(peer),
      session_(shared.options.http2, shared.limits, *this, shared.core.now()),
      began_(shared.core.now()),
      idle_since_(began_) {
    // Connections of one moment are not to be retired in one moment.
    const auto age = static_cast<std::uint64_t>(nanoseconds(shared.options.http2.age_max).count());
    age_max_ = nanoseconds(age - shared.core.random().below(age / 8 + 1));
}

Http2Connection::~Http2Connection() { ENTREPOT_CHECK(live_ == 0 && !is_writing_); }

Co<void> Http2Connection::run(std::string received) {
    receive(received);
    std::string().swap(received);
    is_writing_ = true;
    shared_.core.spawn(
        write_on(),
        [](void* self) {
            auto& connection = *static_cast<Http2Connection*>(self);
            connection.is_writing_ = false;
            connection.joined_.wake();
        },
        this);
    co_await read_on();
    stream_.close(ErrorCode::kClientGone);
    Http2Session::close_all(streams_);
    work_.wake();
    while (is_writing_ || live_ > 0) co_await joined_.wait(Until{});
}

void Http2Connection::drain() { work_.wake(); }

void Http2Connection::expire() {
    for (ListNode* at = streams_.front(); at != streams_.end(); at = at->next)
        static_cast<Http2Exchange&>(*at).expire();
    work_.wake();
}

// ---- Streams

Http2Stream* Http2Connection::open_stream(std::int32_t id) {
    if (shared_.expired || live_ >= std::size_t{2} * shared_.options.http2.streams_max)
        return nullptr;
    auto exchange = std::make_unique<Http2Exchange>(*this, session_, id, shared_.limits);
    streams_.push_back(*exchange);
    ++live_;
    ++begun_;
    is_resting_ = false;
    return exchange.release();  // `ended` destroys it
}

void Http2Connection::run_exchange(Http2Exchange& exchange) {
    struct End {
        Http2Connection* connection;
        Http2Exchange* exchange;
    };
    shared_.core.spawn(
        exchange.serve(),
        [](void* argument) {
            const std::unique_ptr<End> end(static_cast<End*>(argument));
            end->connection->ended(*end->exchange);
        },
        new End{this, &exchange});
}

void Http2Connection::ended(Http2Exchange& exchange) {
    std::erase(fresh_, &exchange);
    delete &exchange;
    --live_;
    work_.wake();
    if (live_ > 0) return;
    idle_since_ = shared_.core.now();
    joined_.wake();
    // Out of patience with a client that does not even read.
    if (shared_.expired && writer_.has_unsent()) stream_.close(ErrorCode::kDraining);
}

// ---- Reading

void Http2Connection::receive(std::string_view bytes) {
    session_.receive(bytes, shared_.core.now());
    // Only now: a coroutine runs at once, and nothing of it may run below nghttp2. Also, a body
    // that came with its head is whole by now.
    std::vector<Http2Exchange*> fresh;
    fresh.swap(fresh_);
    for (Http2Exchange* exchange : fresh) run_exchange(*exchange);
}

/// Until the client has closed, or the writer.
Co<void> Http2Connection::read_on() {
    unsigned streak = 0;
    while (stream_.open()) {
        if (!stream_.readable()) {
            const Until forever{};
            const Wake wake = co_await stream_.wait_readable(forever);
            if (!wake.ready) co_return;
            streak = 0;
        } else if (++streak % kReadsPerTurn == 0) {
            co_await shared_.core.yield();
            if (!stream_.open()) co_return;
        }
        ReadBuffer buffer = shared_.core.take_read_buffer();
        const Transfer got = stream_.try_read({buffer.get(), Core::kReadBufferBytes});
        if (got.bytes > 0 && !is_lingering_) receive({buffer.get(), got.bytes});
        shared_.core.give_read_buffer(std::move(buffer));
        if (got.kind == Transfer::Kind::kEnd || got.kind == Transfer::Kind::kFailed) co_return;
        work_.wake();
    }
}

// ---- Writing

/// The second coroutine of the connection: sends, and minds the time.
Co<void> Http2Connection::write_on() {
    while (stream_.open()) {
        keep_time();
        using Sent = Http2Writer::Sent;
        const Sent sent = writer_.send(session_, stream_, shared_.core.now());
        if (sent == Sent::kBroken) break;
        if (sent == Sent::kBlocked) {
            const Until until{shared_.core.after(shared_.options.write_timeout), nullptr};
            const Wake wake = co_await stream_.wait_writable(until);
            if (!wake.ready) break;
        } else if (session_.is_over()) {
            co_await linger();
            break;
        } else {
            rest_when_idle();
            const Until until{next_due(), nullptr};
            (void)co_await work_.wait(until);
        }
    }
    stream_.close(ErrorCode::kClientGone);
}

/// The client is to read our last words: closing over unread bytes would take them back.
Co<void> Http2Connection::linger() {
    Http2Session::close_all(streams_);
    if (shared_.expired) co_return;
    is_lingering_ = true;
    stream_.shut_down_sending();
    const Until until{shared_.core.after(kLingerTime), nullptr};
    for (;;) {
        const Wake wake = co_await work_.wait(until);
        if (!wake.ready || !stream_.open() || shared_.expired) co_return;
    }
}

bool Http2Connection::is_due_to_retire(int factor) const {
    return begun_ >= shared_.options.http2.requests_max * static_cast<std::size_t>(factor) ||
        shared_.core.now() - began_ >= age_max_ * factor;
}

void Http2Connection::keep_time() {
    if (session_.is_ended()) return;
    const ServerOptions& options = shared_.options;
    const MonotonicTime now = shared_.core.now();
    if (!session_.has_settings() && now - began_ >= options.header_timeout)
        return session_.terminate(NGHTTP2_SETTINGS_TIMEOUT);
    if (const auto since = session_.head_since(); since && now - *since >= options.header_timeout)
        return session_.terminate(NGHTTP2_ENHANCE_YOUR_CALM);
    if (live_ == 0 && (shared_.draining || now - idle_since_ >= options.idle_timeout))
        return session_.end();
    if (session_.is_end_announced()) {
        if (session_.is_end_read() || now - announced_ >= kAnnounceTime) session_.end();
    } else if (shared_.draining || is_due_to_retire(2) ||
        (live_ == 0 && now - idle_since_ >= kQuietAfter && is_due_to_retire(1))) {
        session_.announce_end();
        announced_ = now;
    }
}

void Http2Connection::rest_when_idle() {
    if (live_ > 0 || is_resting_ || shared_.core.now() - idle_since_ < kRestAfter) return;
    is_resting_ = true;
    session_.rest();
}

Deadline Http2Connection::next_due() const {
    if (session_.is_ended()) return Deadline::never();
    const ServerOptions& options = shared_.options;
    Deadline due;
    const auto watch = [&due](MonotonicTime from, nanoseconds delay) {
        due = due.sooner(Deadline::after(from, delay));
    };
    if (!session_.has_settings()) watch(began_, options.header_timeout);
    if (const auto since = session_.head_since()) watch(*since, options.header_timeout);
    if (live_ == 0) watch(idle_since_, options.idle_timeout);
    if (live_ == 0 && !is_resting_) watch(idle_since_, kRestAfter);
    if (live_ == 0 && !session_.is_end_announced() && is_due_to_retire(1))
        watch(idle_since_, kQuietAfter);
    if (session_.is_end_announced()) watch(announced_, kAnnounceTime);
    return due;
}

}  // namespace entrepot::net
