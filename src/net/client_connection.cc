#include "net/client_connection.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace entrepot::net {

namespace {
constexpr std::size_t kKeptHeadBytes = 2048;
// A kept connection that the upstream closed while it was idle shows it within a round trip or two.
constexpr nanoseconds kStaleWithin{1'000'000'000};
}  // namespace

ClientConnection::~ClientConnection() { drop_buffer(); }

void ClientConnection::drop_buffer() {
    if (buffer_) pool_.shared().core.give_read_buffer(std::move(buffer_));
    waiting_body_ = {};
}

void ClientConnection::render(const ClientRequest& request) {
    const std::string_view host =
        request.host.empty() ? std::string_view(pool_.authority()) : request.host;
    head_.clear();
    head_.append(request.method)
        .append(" ")
        .append(request.target)
        .append(" HTTP/1.1\r\nhost: ")
        .append(host);
    head_.append("\r\n").append(request.header_lines);
    if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
        const fmt::format_int length(request.body.size());
        head_.append("content-length: ").append(length.data(), length.size()).append("\r\n");
    }
    head_.append("\r\n");
    // One small buffer is cheaper for the kernel than two.
    body_in_head_ = head_.size() + request.body.size() <= kKeptHeadBytes;
    if (body_in_head_) head_.append(request.body);
}

Error upstream_failed(const Wake& wake, std::string_view what) {
    if (wake.reason == ErrorCode::kRequestTimeout)
        return Error{
            ErrorCode::kUpstreamTimeout, fmt::format("the upstream {} in time", what), {}, {}};
    return Error{wake.reason, fmt::format("stopped before the upstream {}", what), {}, {}};
}

Result<void> ClientConnection::read_available() {
    Core& core = pool_.shared().core;
    if (!buffer_) buffer_ = core.take_read_buffer();
    const Transfer got = stream_.try_read({buffer_.get(), Core::kReadBufferBytes});
    if (got.kind == Transfer::Kind::kDone) {
        const ResponseParser::Fed fed = parser_.feed({buffer_.get(), got.bytes});
        waiting_body_ = fed.body;
        if (parser_.state() == ResponseParser::State::kComplete && fed.consumed < got.bytes)
            surplus_ = true;
    } else if (got.kind == Transfer::Kind::kEnd) {
        parser_.end_of_stream();
    } else if (got.kind == Transfer::Kind::kFailed) {
        return fail(ErrorCode::kUpstreamProtocol, "the connection to the upstream broke",
            std::strerror(got.error));
    }
    if (parser_.state() == ResponseParser::State::kFailed)
        return fail(ErrorCode::kUpstreamProtocol, "the upstream's answer is not sound HTTP",
            parser_.error());
    return {};
}

void ClientConnection::begin(Attempt& attempt, const ClientRequest& request,
    const ExchangeLimits& limits, ExchangeReport& report) {
    Core& core = pool_.shared().core;
    cancel_ = limits.cancel;
    idle_timeout_ = limits.idle_timeout;
    deadline_ = limits.deadline;
    streak_ = 0;
    surplus_ = false;
    parser_.reset(request.method == "HEAD");
    render(request);
    attempt.pieces = {iovec{head_.data(), head_.size()},
        iovec{const_cast<char*>(request.body.data()), request.body.size()}};  // NOLINT
    attempt.unsent = std::span(attempt.pieces).first(body_in_head_ ? 1 : 2);
    attempt.until_head =
        Deadline::after(core.now(), limits.first_byte_timeout).sooner(limits.deadline);
    report.sent_at = core.now();
    if (cancel_ != nullptr && cancel_->cancelled())
        attempt.result = fail(cancel_->reason(), "stopped before the request was sent");
}

Waiter::Operation ClientConnection::wait(const Attempt& attempt) {
    const Until until{attempt.until_head, cancel_};
    return attempt.unsent.empty() ? stream_.wait_readable(until) : stream_.wait_writable(until);
}

bool ClientConnection::advance(Attempt& attempt, ExchangeReport& report, Wake wake) {
    if (!attempt.result) return true;
    if (!wake.ready) {
        attempt.result = std::unexpected(upstream_failed(
            wake, attempt.unsent.empty() ? "did not answer" : "did not take the request"));
        return true;
    }
    if (!attempt.unsent.empty()) {
        const Transfer sent = stream_.try_write(attempt.unsent);
        if (sent.bytes > 0) attempt.sent = true;
        if (sent.kind == Transfer::Kind::kWouldBlock) return false;
        if (sent.kind == Transfer::Kind::kFailed) {
            // The answer may be there although the rest of the request was not wanted: read for it.
            if (!stream_.readable() || !attempt.sent) {
                attempt.stale = true;
                attempt.result = fail(ErrorCode::kUpstreamUnreachable,
                    "the upstream closed the connection", std::strerror(sent.error));
                return true;
            }
            attempt.unsent = {};
        }
        if (head_.capacity() > kKeptHeadBytes) std::string().swap(head_);
    }
    while (parser_.state() == ResponseParser::State::kHead) {
        if (!stream_.readable()) {
            drop_buffer();
            return false;
        }
        attempt.result = read_available();
        if (!attempt.result) {
            if (!parser_.begun()) {
                // Later, the upstream has worked on it, and a repetition would be paid for twice.
                attempt.stale = pool_.shared().core.now() - report.sent_at < kStaleWithin;
                attempt.result.error().code = ErrorCode::kUpstreamUnreachable;
                attempt.result.error().message =
                    "the upstream closed the connection without an answer";
            }
            return true;
        }
    }
    report.head_at = pool_.shared().core.now();
    return true;
}

Waiter::Operation ClientConnection::wait_body() {
    if (stream_.readable()) return stream_.wait_turn();
    return stream_.wait_readable(
        {pool_.shared().core.after(idle_timeout_).sooner(deadline_), cancel_});
}

Result<std::optional<std::string_view>> ClientConnection::try_read_body(Wake wake) {
    if (!wake.ready) return std::unexpected(upstream_failed(wake, "did not go on with its answer"));
    for (;;) {
        if (deadline_.passed(pool_.shared().core.now()))
            return fail(ErrorCode::kUpstreamTimeout, "the upstream's answer took too long");
        if (!waiting_body_.empty()) return std::exchange(waiting_body_, std::string_view());
        if (parser_.state() == ResponseParser::State::kComplete) return std::string_view();
        if (parser_.state() == ResponseParser::State::kFailed || !stream_.open())
            return fail(ErrorCode::kUpstreamProtocol, "the upstream's answer was cut short",
                parser_.error());
        // A fast upstream must not starve the other streams.
        if (!stream_.readable() || ++streak_ % 32 == 0) {
            drop_buffer();
            if (head_.capacity() != 0)
                std::string().swap(head_);  // a stream keeps nothing of its request
            if (!stream_.readable()) streak_ = 0;
            if (stream_.readable() && cancel_ != nullptr && cancel_->cancelled())
                return fail(cancel_->reason(), "stopped before the upstream's answer had ended");
            return std::nullopt;
        }
        Result<void> read = read_available();
        // What was sound before the flaw is handed out first; the flaw follows at the next call.
        if (!read && waiting_body_.empty()) return std::unexpected(std::move(read).error());
    }
}

void ClientConnection::release() {
    const bool reusable = parser_.state() == ResponseParser::State::kComplete &&
        parser_.keep_alive() && !surplus_ && stream_.open() && !stream_.hung_up();
    drop_buffer();
    cancel_ = nullptr;
    deadline_ = {};
    if (reusable) {
        pool_.give_idle(*this);
    } else {
        pool_.destroy(*this);
    }
}

}  // namespace entrepot::net
