#include "net/stream.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fmt/format.h>

namespace entrepot::net {

namespace {

std::string tls_reason() {
    const unsigned long code = ERR_peek_last_error();
    if (code == 0) return "the peer closed the connection";
    const char* text = ERR_reason_error_string(code);
    std::string reason = text != nullptr ? text : fmt::format("error {:x}", code);
    ERR_clear_error();
    return reason;
}

/// Moves `pieces` over `bytes`.
void advance(std::span<iovec>& pieces, std::size_t bytes) {
    while (!pieces.empty() && bytes >= pieces.front().iov_len) {
        bytes -= pieces.front().iov_len;
        pieces = pieces.subspan(1);
    }
    if (!pieces.empty()) {
        pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + bytes;
        pieces.front().iov_len -= bytes;
    }
}

bool is_literal_address(const std::string& host) {
    return host.find(':') != std::string::npos ||
        (!host.empty() && host.find_first_not_of("0123456789.") == std::string::npos);
}

}  // namespace

Status Stream::adopt(int descriptor) {
    const int one = 1;  // Nagle with delayed acknowledgements costs 40 ms per small write
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Status watched = core_.watch(descriptor, *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (!watched) {
        ::close(descriptor);
        return watched;
    }
    descriptor_ = descriptor;
    readable_ = hung_up_ = read_wants_write_ = false;
    return {};
}

void Stream::close(ErrorCode reason) {
    if (ssl_ != nullptr) {
        SSL_set_quiet_shutdown(ssl_, hung_up_ ? 1 : 0);
        SSL_shutdown(ssl_);  // one attempt at close_notify; the socket is not waited for
        SSL_free(ssl_);
        ssl_ = nullptr;
        ERR_clear_error();
    }
    if (descriptor_ >= 0) {
        core_.unwatch(*this);
        ::close(descriptor_);
        descriptor_ = -1;
    }
    hang_up_cancel_ = nullptr;
    idle_tell_ = nullptr;
    if (read_waiter_.waiting()) read_waiter_.wake(Wake{false, reason});
    if (write_waiter_.waiting()) write_waiter_.wake(Wake{false, reason});
}

bool Stream::agreed_on_http2() const {
    if (ssl_ == nullptr) return false;
    const unsigned char* name = nullptr;
    unsigned int bytes = 0;
    SSL_get0_alpn_selected(ssl_, &name, &bytes);
    return bytes == 2 && std::memcmp(name, "h2", 2) == 0;
}

void Stream::shut_down_sending() {
    if (ssl_ != nullptr) {
        SSL_shutdown(ssl_);
        ERR_clear_error();
    }
    ::shutdown(descriptor_, SHUT_WR);
}

void Stream::on_events(std::uint32_t events) {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        hung_up_ = true;
        if (hang_up_cancel_ != nullptr) hang_up_cancel_->cancel(ErrorCode::kClientGone);
    }
    const bool in = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    const bool out = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if (out && write_waiter_.waiting()) write_waiter_.wake();
    if (!in) return;
    readable_ = true;
    if (read_waiter_.waiting()) {
        read_waiter_.wake_now();  // last: the stream may be gone afterwards
    } else if (idle_tell_ != nullptr) {
        idle_tell_(idle_argument_);
    }
}

Transfer Stream::try_read(std::span<char> into) {
    if (ssl_ != nullptr) return tls_read(into);
    for (;;) {
        const ssize_t got = ::recv(descriptor_, into.data(), into.size(), 0);
        if (got > 0) {
            // A short read has emptied the socket: the next bytes, or the end, make a new edge.
            // Once the peer has hung up there is no further edge, so the end must be read for.
            if (static_cast<std::size_t>(got) < into.size() && !hung_up_) readable_ = false;
            return {Transfer::Kind::kDone, static_cast<std::size_t>(got), 0};
        }
        if (got == 0) return {Transfer::Kind::kEnd, 0, 0};
        if (errno == EINTR) continue;
        if (errno == EAGAIN) {
            readable_ = false;
            return {Transfer::Kind::kWouldBlock, 0, 0};
        }
        return {Transfer::Kind::kFailed, 0, errno};
    }
}

Transfer Stream::try_write(std::span<iovec>& pieces) {
    if (ssl_ != nullptr) return tls_write(pieces);
    for (;;) {
        ssize_t sent = 0;
        if (pieces.size() == 1) {
            sent = ::send(descriptor_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
        } else {
            msghdr message{};
            message.msg_iov = pieces.data();
            message.msg_iovlen = std::min<std::size_t>(pieces.size(), IOV_MAX);
            sent = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
        }
        if (sent >= 0) {
            advance(pieces, static_cast<std::size_t>(sent));
            return {pieces.empty() ? Transfer::Kind::kDone : Transfer::Kind::kWouldBlock,
                static_cast<std::size_t>(sent), 0};
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return {Transfer::Kind::kWouldBlock, 0, 0};
        return {Transfer::Kind::kFailed, 0, errno};
    }
}

Task<void> Stream::write_all(std::span<iovec> pieces, nanoseconds stall, Cancel* cancel) {
    for (;;) {
        const Transfer sent = try_write(pieces);
        if (sent.kind == Transfer::Kind::kDone) co_return Result<void>();
        if (sent.kind != Transfer::Kind::kWouldBlock)
            co_return fail(ErrorCode::kClientGone, "the connection broke while writing",
                std::strerror(sent.error));
        const Until until{core_.after(stall), cancel};
        const Wake wake = co_await wait_writable(until);
        if (!wake.ready) co_return fail(wake.reason, "the peer takes no more bytes");
    }
}

// ---- TLS. OpenSSL reads and writes the socket itself, with read-ahead: a record costs one recv.

Transfer Stream::tls_read(std::span<char> into) {
    ERR_clear_error();
    read_wants_write_ = false;
    const int got =
        SSL_read(ssl_, into.data(), static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX)));
    if (got > 0) {
        readable_ = true;  // only OpenSSL knows what it still holds; it says so when it is empty
        return {Transfer::Kind::kDone, static_cast<std::size_t>(got), 0};
    }
    switch (SSL_get_error(ssl_, got)) {
        case SSL_ERROR_WANT_READ: readable_ = false; return {Transfer::Kind::kWouldBlock, 0, 0};
        case SSL_ERROR_WANT_WRITE:
            read_wants_write_ = true;
            return {Transfer::Kind::kWouldBlock, 0, 0};
        case SSL_ERROR_ZERO_RETURN: return {Transfer::Kind::kEnd, 0, 0};
        default: {
            const int error = errno;
            ERR_clear_error();
            hung_up_ = true;  // no close_notify can follow
            return {Transfer::Kind::kFailed, 0, error != 0 ? error : EPROTO};
        }
    }
}

Transfer Stream::tls_write(std::span<iovec>& pieces) {
    static constexpr std::size_t kRecordBytes = 16 * 1024;
    thread_local std::array<char, kRecordBytes> record;
    std::size_t total = 0;
    while (!pieces.empty()) {
        const char* data = static_cast<const char*>(pieces[0].iov_base);
        std::size_t size = pieces[0].iov_len;
        if (pieces.size() > 1 && size < kRecordBytes) {  // several small pieces make one record
            size = 0;
            for (const iovec& piece : pieces) {
                const std::size_t take = std::min(piece.iov_len, kRecordBytes - size);
                if (take > 0) std::memcpy(record.data() + size, piece.iov_base, take);
                size += take;
                if (size == kRecordBytes) break;
            }
            data = record.data();
        }
        if (size == 0) {
            pieces = pieces.subspan(1);
            continue;
        }
        ERR_clear_error();
        const int sent =
            SSL_write(ssl_, data, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
        if (sent <= 0) {
            const int why = SSL_get_error(ssl_, sent);
            if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
                return {Transfer::Kind::kWouldBlock, total, 0};
            const int error = errno;
            ERR_clear_error();
            hung_up_ = true;
            return {Transfer::Kind::kFailed, total, error != 0 ? error : EPROTO};
        }
        advance(pieces, static_cast<std::size_t>(sent));
        total += static_cast<std::size_t>(sent);
    }
    return {Transfer::Kind::kDone, total, 0};
}

Task<void> Stream::handshake(Until until, bool accepting) {
    for (;;) {
        ERR_clear_error();
        const int done = accepting ? SSL_accept(ssl_) : SSL_connect(ssl_);
        if (done == 1) {
            readable_ = true;  // read-ahead may hold application bytes already
            co_return Result<void>();
        }
        const int why = SSL_get_error(ssl_, done);
        Wake wake;
        if (why == SSL_ERROR_WANT_READ) {
            if (hung_up_)
                co_return fail(
                    ErrorCode::kIo, "TLS handshake failed: the peer closed the connection");
            wake = co_await read_waiter_.wait(until);
        } else if (why == SSL_ERROR_WANT_WRITE) {
            wake = co_await write_waiter_.wait(until);
        } else {
            const long verified = SSL_get_verify_result(ssl_);
            std::string reason = !accepting && verified != X509_V_OK
                ? std::string(X509_verify_cert_error_string(verified))
                : tls_reason();
            ERR_clear_error();
            hung_up_ = true;
            co_return fail(ErrorCode::kIo, fmt::format("TLS handshake failed: {}", reason));
        }
        if (!wake.ready) co_return fail(wake.reason, "TLS handshake not finished in time");
    }
}

Task<void> Stream::accept_tls(const TlsServerContext& context, Until until) {
    ssl_ = SSL_new(context.native());
    if (ssl_ == nullptr || SSL_set_fd(ssl_, descriptor_) != 1)
        co_return fail(ErrorCode::kIo, "no TLS session");
    Result<void> done = co_await handshake(until, true);
    if (!done && done.error().code == ErrorCode::kIo) done.error().code = ErrorCode::kBadRequest;
    co_return done;
}

Task<void> Stream::connect_tls(
    const TlsClientContext& context, TlsOffer offer, const std::string& host, Until until) {
    ssl_ = SSL_new(context.native());
    if (ssl_ == nullptr || SSL_set_fd(ssl_, descriptor_) != 1)
        co_return fail(ErrorCode::kIo, "no TLS session");
    std::string protocols;
    if (offer.http2) protocols.append("\x02h2");
    if (offer.http1) protocols.append("\x08http/1.1");
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(protocols.data()),
        static_cast<unsigned>(protocols.size()));
    if (is_literal_address(host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str());
    } else {
        // What SSL_set_tlsext_host_name expands to, without its C cast.
        SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
            const_cast<char*>(host.c_str()));  // NOLINT: it is copied
        SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(ssl_, host.c_str());
    }
    Result<void> done = co_await handshake(until, false);
    if (!done && done.error().code == ErrorCode::kIo)
        done.error().code = ErrorCode::kUpstreamUnreachable;
    if (!done && done.error().code == ErrorCode::kRequestTimeout)
        done.error().code = ErrorCode::kUpstreamTimeout;
    co_return done;
}

}  // namespace entrepot::net
