#include "net/server_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "net/http2_connection.h"

namespace entrepot::net {

namespace {

constexpr std::size_t kDirectBytesMin = 4096;  // shorter body rests go through the shared buffer
constexpr std::size_t kDirectBytesMax = 1024 * 1024;
constexpr std::size_t kGatherBytes =
    4096;  // smaller answers are copied together: one send beats an iovec
constexpr std::size_t kKeptHeadBytes = 2048;
constexpr milliseconds kLingerTime{2'000};
constexpr std::size_t kMorePiecesMax = 12;
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kChunkEndAndLastChunk = "\r\n0\r\n\r\n";
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// `1a2b\r\n`; returns its length. `out` has room for 20.
std::size_t chunk_size_line(char* out, std::size_t bytes) {
    char digits[16];
    std::size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[bytes & 15];
        bytes >>= 4;
    } while (bytes != 0);
    for (std::size_t i = 0; i < count; ++i) out[i] = digits[count - 1 - i];
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}

iovec piece_of(std::string_view text) {
    return {const_cast<char*>(text.data()), text.size()};  // NOLINT: writev does not write
}

}  // namespace

ServerConnection::ServerConnection(ServerShared& shared, std::string peer)
    : shared_(shared), stream_(shared.core), parser_(shared.limits), peer_(std::move(peer)) {}

ServerConnection::~ServerConnection() = default;

void ServerConnection::close_if_idle() {
    if (http2_ != nullptr) return http2_->drain();
    if (phase_ == Phase::kIdle || phase_ == Phase::kHandshake) stream_.close(ErrorCode::kDraining);
}

void ServerConnection::expire() {
    if (http2_ != nullptr) return http2_->expire();
    cancel_.cancel(ErrorCode::kDraining);
}

Co<void> ServerConnection::run() {
    if (shared_.tls != nullptr) {
        const Until until{shared_.core.after(shared_.options.tls_handshake_timeout), &cancel_};
        const Result<void> done = co_await stream_.accept_tls(*shared_.tls, until);
        if (!done || !stream_.open()) {
            stream_.close();
            co_return;
        }
        speaks_http2_ = stream_.agreed_on_http2();
    }
    if (!speaks_http2_) {
        while (co_await receive()) {
            const bool again = co_await serve_one();
            if (!again) break;
        }
    }
    if (speaks_http2_) co_await run_http2();
    phase_ = Phase::kEnding;
    stream_.close();
}

Co<void> ServerConnection::run_http2() {
    phase_ = Phase::kServing;
    http2_ = std::make_unique<Http2Connection>(shared_, stream_, peer_);
    std::string received;
    if (parser_.is_http2_preface()) received = kHttp2Preface;
    received += leftover_;
    std::string().swap(leftover_);
    parser_.reset();
    co_await http2_->run(std::move(received));
}

// ---- Receiving

Deadline ServerConnection::reading_deadline() const {
    const ServerOptions& o = shared_.options;
    if (!parser_.begun()) return Deadline::after(progress_, o.idle_timeout);
    if (parser_.state() == RequestParser::State::kHead)
        return Deadline::after(began_, o.header_timeout);
    return Deadline::after(progress_, o.body_idle_timeout)
        .sooner(Deadline::after(began_, o.body_timeout));
}

void ServerConnection::feed(std::string_view bytes) {
    if (!parser_.begun()) {
        began_ = shared_.core.now();
        phase_ = Phase::kReading;
    }
    progress_ = shared_.core.now();
    std::size_t done = 0;
    while (done < bytes.size()) {
        const std::size_t took = parser_.feed(bytes.substr(done));
        done += took;
        if (parser_.state() == RequestParser::State::kComplete ||
            parser_.state() == RequestParser::State::kFailed)
            break;
    }
    // `bytes` may be what leftover_ holds.
    std::string rest(bytes.substr(done));
    leftover_.swap(rest);
}

/// One read of what is there.
void ServerConnection::read_available() {
    const auto note = [this](const Transfer& got) {
        if (got.kind == Transfer::Kind::kEnd || got.kind == Transfer::Kind::kFailed) ended_ = true;
    };
    if (const std::size_t left = parser_.body_bytes_left(); left >= kDirectBytesMin) {
        progress_ = shared_.core.now();
        parser_.receive_body(
            std::min(left, kDirectBytesMax), [&](char* into, std::size_t bytes) -> ssize_t {
                const Transfer got = stream_.try_read({into, bytes});
                note(got);
                return static_cast<ssize_t>(got.bytes);
            });
        return;
    }
    ReadBuffer buffer = shared_.core.take_read_buffer();
    const Transfer got = stream_.try_read({buffer.get(), Core::kReadBufferBytes});
    note(got);
    if (got.bytes > 0) feed({buffer.get(), got.bytes});
    shared_.core.give_read_buffer(std::move(buffer));
}

/// True when `parser_` holds a whole request.
Co<bool> ServerConnection::receive() {
    phase_ = Phase::kIdle;
    parser_.reset();
    progress_ = shared_.core.now();
    if (shared_.draining && leftover_.empty()) co_return false;
    bool continued = false;
    bool is_head_checked = false;
    unsigned streak = 0;
    if (!leftover_.empty()) feed(std::string(std::move(leftover_)));
    for (;;) {
        if (parser_.state() == RequestParser::State::kComplete) co_return true;
        if (parser_.state() == RequestParser::State::kFailed) {
            // On TLS it would have been agreed on; after a request it makes no sense.
            speaks_http2_ = parser_.is_http2_preface() && served_ == 0 && !stream_.secure() &&
                shared_.options.http2.enabled;
            if (speaks_http2_) co_return false;
            co_await refuse();
            co_return false;
        }
        if (ended_ || !stream_.open()) co_return false;
        if (parser_.state() == RequestParser::State::kBody && !is_head_checked) {
            is_head_checked = true;
            const bool goes_on = co_await check_head();
            if (!goes_on) co_return false;
        }
        if (parser_.state() == RequestParser::State::kBody && parser_.expects_continue() &&
            !continued) {
            continued = true;
            if (parser_.body().empty()) {
                std::array<iovec, 1> pieces{piece_of(kContinue)};
                const Result<void> sent =
                    co_await stream_.write_all(pieces, shared_.options.write_timeout, &cancel_);
                if (!sent) co_return false;
            }
        }
        if (!stream_.readable()) {
            const Until until{reading_deadline(), &cancel_};
            const Wake wake = co_await stream_.wait_readable(until);
            if (!wake.ready) {
                if (wake.reason == ErrorCode::kRequestTimeout && parser_.begun() && stream_.open())
                    co_await refuse();
                co_return false;
            }
            streak = 0;
        } else if (++streak % 32 == 0) {
            co_await shared_.core.yield();  // a fast sender must not starve the others
        }
        read_available();
    }
}

/// Answers what cannot be served, and ends.
Co<void> ServerConnection::refuse() {
    Error error{ErrorCode::kRequestTimeout, "the request did not arrive in time", {}, {}};
    int status = 408;
    if (parser_.state() == RequestParser::State::kFailed) {
        error = parser_.error();
        status = parser_.error_status();
    }
    phase_ = Phase::kEnding;
    keep_alive_ = false;
    started_ = finished_ = false;
    const std::string body = shared_.handler.refusal_body(error, status, {});
    const Result<void> sent = co_await send(status, "content-type: application/json\r\n", body);
    if (sent) co_await linger();
}

/// Asks the handler before the body is kept; false when it has answered.
Co<bool> ServerConnection::check_head() {
    keep_alive_ = false;
    started_ = finished_ = head_waits_ = false;
    bytes_sent_ = 0;
    ServerRequest head = head_of_request();
    const bool goes_on = co_await shared_.handler.check_head(head, *this);
    if (goes_on) co_return true;
    phase_ = Phase::kEnding;
    std::string().swap(parser_.body());
    if (!broken_) co_await linger();
    co_return false;
}

/// Lets the client read our last answer although it is still sending: closing over unread bytes
/// would reset it.
Co<void> ServerConnection::linger() {
    ::shutdown(stream_.descriptor(), SHUT_WR);
    const Deadline end = shared_.core.after(kLingerTime);
    ReadBuffer sink = shared_.core.take_read_buffer();
    while (!ended_ && stream_.open() && !end.passed(monotonic_now())) {
        if (!stream_.readable()) {
            const Until until{end, &cancel_};
            const Wake wake = co_await stream_.wait_readable(until);
            if (!wake.ready) break;
        }
        const Transfer got = stream_.try_read({sink.get(), Core::kReadBufferBytes});
        if (got.kind == Transfer::Kind::kEnd || got.kind == Transfer::Kind::kFailed) break;
    }
    shared_.core.give_read_buffer(std::move(sink));
}

// ---- Serving

ServerRequest ServerConnection::head_of_request() {
    ServerRequest request;
    request.method = parser_.method();
    request.target = parser_.target();
    const std::size_t mark = request.target.find('?');
    request.path = request.target.substr(0, mark);
    if (mark != std::string_view::npos) request.query = request.target.substr(mark + 1);
    request.headers = parser_.headers();
    request.peer = peer_;
    request.secure = stream_.secure();
    request.cancel = &cancel_;
    return request;
}

/// The handler has forgotten to.
Co<void> ServerConnection::answer_unanswered() {
    keep_alive_ = false;
    const Error error{ErrorCode::kInternal, "the request was not answered", {}, {}};
    const std::string body = shared_.handler.refusal_body(error, 500, parser_.target());
    const Result<void> sent = co_await send(500, "content-type: application/json\r\n", body);
    if (!sent) broken_ = true;
}

Co<bool> ServerConnection::serve_one() {
    phase_ = Phase::kServing;
    ++served_;
    ++shared_.in_flight;
    started_ = finished_ = head_waits_ = false;
    bytes_sent_ = 0;
    keep_alive_ =
        parser_.keep_alive() && !ended_ && served_ < shared_.options.requests_per_connection_max;
    if (!shared_.expired && cancel_.cancelled()) cancel_.reset();

    ServerRequest request = head_of_request();
    request.body = std::move(parser_.body());

    stream_.on_hang_up(&cancel_);
    co_await shared_.handler.handle(request, *this);
    stream_.on_hang_up(nullptr);

    if (!started_ && !broken_) {
        co_await answer_unanswered();
    } else if (!finished_) {
        abort();
    }
    parser_.body() = std::move(request.body);  // its capacity serves the next request
    --shared_.in_flight;
    if (head_.capacity() > kKeptHeadBytes) std::string().swap(head_);
    co_return keep_alive_ && !broken_ && stream_.open();
}

void ServerConnection::render_head(
    int status, std::string_view header_lines, std::size_t body_bytes, bool chunked) {
    started_ = true;
    if (shared_.draining) keep_alive_ = false;
    bodyless_ = parser_.is_head() || status == 204 || status == 304;
    chunked_ = chunked && !parser_.http_1_0();
    if (chunked && !chunked_)
        keep_alive_ = false;  // HTTP/1.0: the end of the connection ends the body

    head_.clear();
    head_.append("HTTP/1.1 ");
    const fmt::format_int digits(status);
    head_.append(digits.data(), digits.size());
    head_.append(" ")
        .append(reason_phrase(status))
        .append("\r\ndate: ")
        .append(shared_.core.http_date());
    head_.append("\r\n").append(header_lines);
    if (chunked_) {
        if (status != 204 && status != 304) head_.append("transfer-encoding: chunked\r\n");
    } else if (!chunked && status != 204 && status != 304) {
        const fmt::format_int length(body_bytes);
        head_.append("content-length: ").append(length.data(), length.size()).append("\r\n");
    }
    if (!keep_alive_) {
        head_.append("connection: close\r\n");
    } else if (parser_.http_1_0()) {
        head_.append("connection: keep-alive\r\n");
    }
    head_.append("\r\n");
}

std::unexpected<Error> ServerConnection::broken(ErrorCode code) {
    broken_ = true;
    keep_alive_ = false;
    finished_ = true;
    return fail(code,
        code == ErrorCode::kRequestTimeout ? "the client reads too slowly"
                                           : "the connection to the client is gone");
}

Task<void> ServerConnection::put_rest(std::string rest) {
    std::array<iovec, 1> pieces{piece_of(rest)};
    Result<void> sent = co_await stream_.write_all(pieces, shared_.options.write_timeout, &cancel_);
    if (!sent) co_return broken(sent.error().code);
    co_return sent;
}

/// One system call when the kernel takes everything.
Task<void> ServerConnection::put(Outgoing out) {
    if (broken_ || !stream_.open()) co_return broken(ErrorCode::kClientGone);
    if (out.last) finished_ = true;
    std::size_t body_bytes = out.body.size();
    for (const std::string_view piece : out.more) body_bytes += piece.size();
    char size_line[20];
    std::string_view before;
    std::string_view after;
    if (bodyless_) {
        out.body = {};
        out.more = {};
        body_bytes = 0;
    } else if (out.framed) {
        if (body_bytes > 0) before = {size_line, chunk_size_line(size_line, body_bytes)};
        after = body_bytes == 0 ? (out.last ? kLastChunk : std::string_view())
                                : (out.last ? kChunkEndAndLastChunk : kChunkEnd);
    }
    const std::string_view head = head_waits_ ? std::string_view(head_) : std::string_view();
    head_waits_ = false;
    const std::size_t total = head.size() + before.size() + body_bytes + after.size();
    if (total == 0) co_return Result<void>();
    bytes_sent_ += total;

    if (total <= kGatherBytes || out.more.size() > kMorePiecesMax) {
        thread_local std::array<char, kGatherBytes> small;  // not touched after the first await
        std::string large;
        char* text = small.data();
        if (total > kGatherBytes) {
            large.resize(total);
            text = large.data();
        }
        char* at = text;
        const auto add = [&at](std::string_view piece) {
            if (piece.empty()) return;  // whose data() may be null, which memcpy must not see
            std::memcpy(at, piece.data(), piece.size());
            at += piece.size();
        };
        add(head);
        add(before);
        add(out.body);
        for (const std::string_view piece : out.more) add(piece);
        add(after);
        iovec one{text, total};
        std::span<iovec> rest(&one, 1);
        const Transfer sent = stream_.try_write(rest);
        if (out.framed && !head.empty()) std::string().swap(head_);  // a stream needs it no more
        if (sent.kind == Transfer::Kind::kDone) co_return Result<void>();
        if (sent.kind != Transfer::Kind::kWouldBlock) co_return broken(ErrorCode::kClientGone);
        std::string copy(text + sent.bytes, total - sent.bytes);
        co_return co_await put_rest(std::move(copy));
    }

    std::array<iovec, kMorePiecesMax + 4> vector;
    std::size_t count = 0;
    const auto add = [&](std::string_view piece) {
        if (!piece.empty()) vector[count++] = piece_of(piece);
    };
    add(head);
    add(before);
    add(out.body);
    for (const std::string_view piece : out.more) add(piece);
    add(after);
    std::span<iovec> rest = std::span(vector).first(count);
    const Transfer sent = stream_.try_write(rest);
    if (sent.kind == Transfer::Kind::kDone) co_return Result<void>();
    if (sent.kind != Transfer::Kind::kWouldBlock) co_return broken(ErrorCode::kClientGone);
    Result<void> finished =
        co_await stream_.write_all(rest, shared_.options.write_timeout, &cancel_);
    if (!finished) co_return broken(finished.error().code);
    co_return finished;
}

// These only describe; `put` is the one coroutine of a write.
Task<void> ServerConnection::send(
    int status, std::string_view header_lines, std::string_view body) {
    ENTREPOT_CHECK(!started_);
    render_head(status, header_lines, body.size(), false);
    head_waits_ = true;
    Outgoing out;
    out.body = body;
    out.last = true;
    return put(out);
}

Task<void> ServerConnection::write(std::string_view chunk) {
    ENTREPOT_CHECK(started_);
    Outgoing out;
    out.body = chunk;
    out.framed = chunked_;
    if (chunk.empty()) return put_nothing();
    return put(out);
}

Task<void> ServerConnection::write(std::span<const std::string_view> pieces) {
    ENTREPOT_CHECK(started_);
    std::size_t bytes = 0;
    for (const std::string_view piece : pieces) bytes += piece.size();
    if (bytes == 0) return put_nothing();
    Outgoing out;
    out.more = pieces;
    out.framed = chunked_;
    return put(out);
}

Task<void> ServerConnection::flush() {
    ENTREPOT_CHECK(started_);
    return put(Outgoing{});
}

Task<void> ServerConnection::finish(std::string_view last) {
    ENTREPOT_CHECK(started_);
    Outgoing out;
    out.body = last;
    out.framed = chunked_;
    out.last = true;
    return put(out);
}

Task<void> ServerConnection::put_nothing() { co_return Result<void>(); }

void ServerConnection::start(int status, std::string_view header_lines) {
    ENTREPOT_CHECK(!started_);
    render_head(status, header_lines, 0, true);
    head_waits_ = true;
    parser_.forget_head();
}

void ServerConnection::abort() {
    broken_ = true;
    keep_alive_ = false;
    started_ = finished_ = true;
    stream_.close(ErrorCode::kCancelled);
}

}  // namespace entrepot::net
