#include "net/http2_exchange.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "net/http2_connection.h"

namespace entrepot::net {

namespace {

constexpr milliseconds kLastPatience{2'000};  // for an answer, once a drain is out of time

}  // namespace

// ---- What the session tells. nghttp2 is on the stack: nothing here runs anybody's code.

void Http2Exchange::on_head() {
    began_ = connection_.shared_.core.now();
    connection_.fresh_.push_back(this);
}

void Http2Exchange::on_body() { more_.wake(); }

void Http2Exchange::on_taken() {
    if (outbox().bytes() <= Http2Outbox::kLowBytes) room_.wake();
}

void Http2Exchange::on_closed() {
    if (!is_running_) return connection_.ended(*this);
    // An answer that was given whole is over for the handler whatever the client does.
    if (!finished_) cancel_.cancel(ErrorCode::kClientGone);
    more_.wake();
    room_.wake(Wake{false, ErrorCode::kClientGone});
}

void Http2Exchange::expire() {
    cancel_.cancel(ErrorCode::kDraining);
    room_.wake();
}

// ---- The request

Co<void> Http2Exchange::serve() {
    is_running_ = true;
    const bool is_admitted = co_await admit();
    if (is_admitted) co_await call_handler();
    co_await see_through();
}

/// True when the request is whole and to be handled.
Co<bool> Http2Exchange::admit() {
    if (!is_whole() && !head().is_refused()) {
        ServerRequest request = head_of_request();
        const bool goes_on = co_await connection_.shared_.handler.check_head(request, *this);
        if (!goes_on) {
            if (!finished_) abort();
            co_return false;
        }
        if (head().expects_continue() && body().empty() && !is_whole()) {
            session_.invite_body(*this);
            connection_.work_.wake();
        }
        const bool has_come = co_await receive_body();
        if (!has_come) co_return false;
    }
    if (head().is_refused()) {
        co_await refuse();
        co_return false;
    }
    co_return !is_closed();
}

Deadline Http2Exchange::body_deadline() const {
    const ServerOptions& options = connection_.shared_.options;
    const Deadline whole = Deadline::after(began_, options.body_timeout);
    if (waits_for_room()) return whole;
    return whole.sooner(Deadline::after(received_at(), options.body_idle_timeout));
}

Co<bool> Http2Exchange::receive_body() {
    Core& core = connection_.shared_.core;
    while (!is_whole() && !head().is_refused()) {
        if (is_closed()) co_return false;
        const Until until{body_deadline(), &cancel_};
        const Wake wake = co_await more_.wait(until);
        if (wake.ready) continue;
        if (wake.reason == ErrorCode::kRequestTimeout) {
            if (body_deadline().passed(core.now()))
                head().refuse(
                    408, ErrorCode::kRequestTimeout, "the request did not arrive in time");
        } else {
            // Nobody has seen the request: the client may send it again elsewhere.
            session_.reset(*this, NGHTTP2_REFUSED_STREAM);
            co_return false;
        }
    }
    co_return true;
}

ServerRequest Http2Exchange::head_of_request() {
    ServerRequest request;
    request.method = head().method();
    request.target = head().target();
    const std::size_t mark = request.target.find('?');
    request.path = request.target.substr(0, mark);
    if (mark != std::string_view::npos) request.query = request.target.substr(mark + 1);
    request.headers = head().headers();
    request.peer = connection_.peer_;
    request.secure = connection_.stream_.secure();
    request.cancel = &cancel_;
    return request;
}

Co<void> Http2Exchange::call_handler() {
    ServerRequest request = head_of_request();
    request.body = std::move(body());
    if (request.body.capacity() < request.body.size() + ServerRequest::kBodyPadding)
        request.body.reserve(request.body.size() + ServerRequest::kBodyPadding);
    ++connection_.shared_.in_flight;
    co_await connection_.shared_.handler.handle(request, *this);
    --connection_.shared_.in_flight;
    if (!started_ && !is_broken_) {
        const Error error{ErrorCode::kInternal, "the request was not answered", {}, {}};
        const std::string text =
            connection_.shared_.handler.refusal_body(error, 500, head().target());
        (void)co_await send(500, "content-type: application/json\r\n", text);
    } else if (!finished_) {
        abort();
    }
}

/// Answers what cannot be served.
Co<void> Http2Exchange::refuse() {
    if (is_closed()) co_return;
    std::string().swap(body());
    const std::string text =
        connection_.shared_.handler.refusal_body(head().error(), head().error_status(), {});
    (void)co_await send(head().error_status(), "content-type: application/json\r\n", text);
}

/// Until the answer has gone to the client, as far as its windows let it, or was given up.
Co<void> Http2Exchange::see_through() {
    Core& core = connection_.shared_.core;
    const MonotonicTime from = core.now();
    while (started_ && !is_broken_ && !is_closed() && !outbox().is_through()) {
        const Deadline deadline = Deadline::after(std::max(from, taken_at()),
            connection_.shared_.expired ? nanoseconds(kLastPatience)
                                        : nanoseconds(connection_.shared_.options.write_timeout));
        if (deadline.passed(core.now())) {
            session_.reset(*this, NGHTTP2_CANCEL);
            break;
        }
        const Until until{deadline, nullptr};
        (void)co_await room_.wait(until);
    }
    // The rest of a body that nobody wants; NO_ERROR lets the client keep the answer.
    if (!is_closed() && !is_whole()) session_.reset(*this, NGHTTP2_NO_ERROR);
}

// ---- The answer

void Http2Exchange::respond(
    int status, std::string_view header_lines, std::optional<std::size_t> length) {
    started_ = true;
    is_bodyless_ = head().is_head() || status == 204 || status == 304;
    if (status == 204 || status == 304) length.reset();
    bytes_sent_ += header_lines.size();
    Http2Session::Answer answer;
    answer.status = status;
    answer.header_lines = header_lines;
    answer.date = connection_.shared_.core.http_date();
    answer.length = length;
    answer.has_body = !is_bodyless_ && !(length && *length == 0);
    session_.respond(*this, answer);
}

std::unexpected<Error> Http2Exchange::broken(ErrorCode code) {
    is_broken_ = finished_ = true;
    return fail(code,
        code == ErrorCode::kRequestTimeout ? "the client reads too slowly"
                                           : "the connection to the client is gone");
}

/// Until the outbox is nearly empty.
Task<void> Http2Exchange::wait_for_room() {
    Core& core = connection_.shared_.core;
    const MonotonicTime from = core.now();
    while (outbox().bytes() > Http2Outbox::kLowBytes) {
        const Deadline deadline =
            Deadline::after(std::max(from, taken_at()), connection_.shared_.options.write_timeout);
        const Until until{deadline, &cancel_};
        const Wake wake = co_await room_.wait(until);
        if (wake.ready) continue;
        if (wake.reason == ErrorCode::kRequestTimeout && taken_at() > from &&
            !Deadline::after(taken_at(), connection_.shared_.options.write_timeout)
                .passed(core.now()))
            continue;
        co_return fail(wake.reason, "the client takes no more bytes");
    }
    co_return Result<void>();
}

/// Returns when the outbox has taken everything: the client's slowness holds the writer.
Task<void> Http2Exchange::put(Outgoing out) {
    if (is_broken_ || is_closed()) co_return broken(ErrorCode::kClientGone);
    std::size_t at = 0;
    for (std::string_view piece = out.body;; piece = out.more[at++]) {
        if (is_bodyless_) piece = {};
        bytes_sent_ += piece.size();
        while (!piece.empty()) {
            const std::string_view part = piece.substr(0, outbox().room());
            outbox().append(part);
            piece.remove_prefix(part.size());
            if (piece.empty()) break;
            session_.resume(*this);
            connection_.work_.wake();
            const Result<void> waited = co_await wait_for_room();
            if (!waited) {
                if (waited.error().code == ErrorCode::kRequestTimeout)
                    session_.reset(*this, NGHTTP2_CANCEL);
                connection_.work_.wake();
                co_return broken(waited.error().code);
            }
        }
        if (at == out.more.size()) break;
    }
    if (out.last) {
        finished_ = true;
        outbox().end();
    }
    session_.resume(*this);
    connection_.work_.wake();
    co_return Result<void>();
}

Task<void> Http2Exchange::send(int status, std::string_view header_lines, std::string_view body) {
    ENTREPOT_CHECK(!started_);
    respond(status, header_lines, body.size());
    Outgoing out;
    out.body = body;
    out.last = true;
    return put(out);
}

void Http2Exchange::start(int status, std::string_view header_lines) {
    ENTREPOT_CHECK(!started_);
    respond(status, header_lines, std::nullopt);
    head().forget();
}

Task<void> Http2Exchange::write(std::string_view chunk) {
    ENTREPOT_CHECK(started_);
    Outgoing out;
    out.body = chunk;
    return put(out);
}

Task<void> Http2Exchange::write(std::span<const std::string_view> pieces) {
    ENTREPOT_CHECK(started_);
    Outgoing out;
    out.more = pieces;
    return put(out);
}

Task<void> Http2Exchange::flush() {
    ENTREPOT_CHECK(started_);
    return put(Outgoing{});
}

Task<void> Http2Exchange::finish(std::string_view last) {
    ENTREPOT_CHECK(started_);
    Outgoing out;
    out.body = last;
    out.last = true;
    return put(out);
}

void Http2Exchange::abort() {
    is_broken_ = started_ = finished_ = true;
    session_.reset(*this, NGHTTP2_INTERNAL_ERROR);
    connection_.work_.wake();
}

}  // namespace entrepot::net
