#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "net/client_connection.h"
#include "net/http2_client_connection.h"

namespace entrepot::net {

OriginPool::~OriginPool() {
    while (!idle_.empty()) destroy(*take_idle());
    for (List* list : {&with_room_, &full_})
        while (!list->empty()) delete static_cast<Http2ClientConnection*>(list->front());
}

Status OriginPool::prepare() {
    authority_ = origin_.authority();
    ENTREPOT_TRY_DO(prepare_tls());
    // Until they have shown it, servers that can choose are thought to choose HTTP/2: what arrives
    // together then shares a handshake, and where it was wrong waits for one.
    expects_http2_ = http_ == HttpVersion::k2 || (http_ == HttpVersion::kAuto && origin_.secure);
    if (!origin_.proxy.empty()) {
        Result<Origin> parsed = Origin::parse(origin_.proxy);
        if (!parsed) return std::unexpected(std::move(parsed).error());
        if (parsed->secure)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("the proxy '{}' must be reached by http://", origin_.proxy));
        proxy_ = std::move(*parsed);
    }
    return {};
}

Status OriginPool::prepare_tls() {
    if (!origin_.secure) return {};
    TlsClientContext::Options options;
    options.ca_file = origin_.ca_file;
    options.client_cert_file = origin_.client_cert_file;
    options.client_key_file = origin_.client_key_file;
    Result<TlsClientContext> made = TlsClientContext::make(options);
    if (!made) return std::unexpected(std::move(made).error());
    tls_.emplace(std::move(*made));
    return {};
}

ClientConnection* OriginPool::take_idle() {
    if (idle_.empty()) return nullptr;
    auto& connection = static_cast<ClientConnection&>(*idle_.front());
    connection.unlink();
    connection.stream_.on_idle_event(nullptr, nullptr);
    --idle_count_;
    --shared_.idle;
    return &connection;
}

void OriginPool::give_idle(ClientConnection& connection) {
    if (idle_count_ >= shared_.options.idle_per_origin_max) {
        destroy(connection);
        return;
    }
    connection.idle_since_ = shared_.core.now();
    idle_.push_front(connection);
    ++idle_count_;
    ++shared_.idle;
    // The loop tells when the peer closes; under TLS a session ticket may come too, which is no
    // reason to part.
    connection.stream_.on_idle_event(
        [](void* argument) {
            auto& idle = *static_cast<ClientConnection*>(argument);
            if (idle.stream_.secure() && !idle.stream_.hung_up()) {
                char byte = 0;
                if (idle.stream_.try_read({&byte, 1}).kind == Transfer::Kind::kWouldBlock) return;
            }
            OriginPool& pool = idle.pool_;
            idle.unlink();
            --pool.idle_count_;
            --pool.shared_.idle;
            pool.destroy(idle);
        },
        &connection);
}

void OriginPool::destroy(ClientConnection& connection) {
    --open_count_;
    --shared_.open;
    delete &connection;
}

void OriginPool::close_older_than(MonotonicTime since) {
    while (!idle_.empty()) {
        auto& oldest = static_cast<ClientConnection&>(*idle_.back());
        if (oldest.idle_since_ > since) break;
        oldest.unlink();
        --idle_count_;
        --shared_.idle;
        destroy(oldest);
    }
    for (ListNode* at = with_room_.front(); at != with_room_.end();) {
        auto& connection = static_cast<Http2ClientConnection&>(*at);
        at = at->next;
        if (connection.is_unused() && connection.idle_since() <= since) delete &connection;
    }
}

// ---- HTTP/2

void OriginPool::place(Http2ClientConnection& connection, bool has_room) {
    (has_room ? with_room_ : full_).push_front(connection);
}

Http2ClientExchange* OriginPool::begin(
    const ClientRequest& request, const ExchangeLimits& limits, ExchangeReport& report) {
    if (with_room_.empty()) return nullptr;
    return static_cast<Http2ClientConnection*>(with_room_.front())->begin(request, limits, report);
}

bool OriginPool::is_in_vain(const Http2ClientExchange& stream) {
    if (stream.error_code() != NGHTTP2_HTTP_1_1_REQUIRED) return false;
    if (origin_.http != HttpVersion::kAuto) return true;
    // It may not be the first to be told so.
    http_ = HttpVersion::k1;
    expects_http2_ = false;
    for (List* list : {&with_room_, &full_})
        while (!list->empty()) static_cast<Http2ClientConnection*>(list->front())->retire();
    return false;
}

Task<void> OriginPool::open_socket(Stream& stream, Until until) {
    const Origin& target = origin_.proxy.empty() ? origin_ : proxy_;
    Result<std::vector<Address>> addresses =
        co_await shared_.resolver.resolve(target.host, target.port, until);
    if (!addresses) co_return std::unexpected(std::move(addresses).error());
    std::string last = "no address";
    for (std::size_t i = 0; i < addresses->size(); ++i) {
        const Address& address = (*addresses)[i];
        const int made =
            ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (made < 0) {
            last = std::strerror(errno);
            continue;
        }
        const int started =
            ::connect(made, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        if (started != 0 && errno != EINPROGRESS) {
            last = std::strerror(errno);
            ::close(made);
            continue;
        }
        ENTREPOT_CO_TRY_DO(stream.adopt(made));
        // An address that does not answer must leave time for the next one.
        Until this_one = until;
        const auto left = static_cast<std::int64_t>(addresses->size() - i);
        if (left > 1 && !until.deadline.is_never()) {
            const nanoseconds share = (until.deadline.time() - shared_.core.now()) / left;
            this_one.deadline = shared_.core.after(share);
        }
        const Wake wake = co_await stream.wait_writable(this_one);
        int error = 0;
        socklen_t size = sizeof error;
        if (wake.ready) ::getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &size);
        if (wake.ready && error == 0) co_return Result<void>();
        stream.close();
        if (!wake.ready && wake.reason != ErrorCode::kRequestTimeout)
            co_return fail(wake.reason, "stopped while connecting to the upstream");
        last = wake.ready ? std::strerror(error) : "no answer in time";
        if (!wake.ready && left == 1)
            co_return fail(ErrorCode::kUpstreamTimeout,
                fmt::format("cannot connect to {}:{} in time", target.host, target.port));
    }
    co_return fail(ErrorCode::kUpstreamUnreachable,
        fmt::format("cannot connect to {}:{}", target.host, target.port), last);
}

/// HTTP CONNECT, for clear text too: one way through a proxy is enough.
Task<void> OriginPool::open_tunnel(Stream& stream, Until until) {
    const std::string host = origin_.host.find(':') == std::string::npos
        ? origin_.host
        : fmt::format("[{}]", origin_.host);
    const std::string target = fmt::format("{}:{}", host, origin_.port);
    std::string request = fmt::format("CONNECT {} HTTP/1.1\r\nhost: {}\r\n\r\n", target, target);
    std::array<iovec, 1> pieces{iovec{request.data(), request.size()}};
    Result<void> sent =
        co_await stream.write_all(pieces, until.deadline.time() - shared_.core.now(), until.cancel);
    if (!sent) co_return fail(ErrorCode::kUpstreamUnreachable, "the proxy closed the connection");
    ResponseParser parser(shared_.limits);
    parser.reset(true);  // no body: what follows the head belongs to the tunnel
    std::array<char, 1024> bytes;
    while (parser.state() != ResponseParser::State::kComplete) {
        if (!stream.readable()) {
            const Wake wake = co_await stream.wait_readable(until);
            if (!wake.ready) {
                const bool late = wake.reason == ErrorCode::kRequestTimeout;
                co_return fail(late ? ErrorCode::kUpstreamTimeout : wake.reason,
                    "the proxy did not answer in time");
            }
        }
        const Transfer got = stream.try_read(bytes);
        if (got.kind == Transfer::Kind::kWouldBlock) continue;
        if (got.kind != Transfer::Kind::kDone)
            co_return fail(ErrorCode::kUpstreamUnreachable, "the proxy closed the connection");
        const ResponseParser::Fed fed = parser.feed(std::span(bytes).first(got.bytes));
        if (parser.state() == ResponseParser::State::kFailed || fed.consumed != got.bytes)
            co_return fail(ErrorCode::kUpstreamUnreachable, "the proxy's answer is not sound HTTP",
                parser.error());
    }
    if (parser.status() / 100 != 2)
        co_return fail(ErrorCode::kUpstreamUnreachable,
            fmt::format("the proxy refused to connect to {}: status {}", target, parser.status()));
    co_return Result<void>();
}

/// The socket, TLS and the proxy.
Task<ClientConnection*> OriginPool::make(Until until) {
    const std::size_t most = origin_.connections_max > 0
        ? origin_.connections_max
        : shared_.options.connections_per_origin_max;
    if (open_count_ >= most)
        co_return fail(ErrorCode::kUpstreamOverloaded,
            fmt::format(
                "{} connections to {} are open, which is the limit", open_count_, authority_));
    ++open_count_;
    ++shared_.open;
    auto* connection = new ClientConnection(*this);
    Result<void> done = co_await open_socket(connection->stream_, until);
    if (done && !origin_.proxy.empty()) done = co_await open_tunnel(connection->stream_, until);
    const TlsOffer offer{http_ != HttpVersion::k2, http_ != HttpVersion::k1};
    if (done && origin_.secure)
        done = co_await connection->stream_.connect_tls(*tls_, offer, origin_.host, until);
    if (!done) {
        destroy(*connection);
        co_return std::unexpected(std::move(done).error());
    }
    co_return connection;
}

Task<ClientConnection*> OriginPool::connect(Until until) {
    while (expects_http2_ && waiting_ < connecting_ * streams_expected_) {
        Arrival arrival;
        arrivals_.push_back(arrival);
        ++waiting_;
        const Wake wake = co_await arrival.waiter.wait(until);
        --waiting_;
        if (!wake.ready) co_return std::unexpected(upstream_failed(wake, "was not connected to"));
        if (arrival.error) co_return std::unexpected(std::move(*arrival.error));
        if (has_room()) co_return nullptr;
    }
    ++connecting_;
    Result<ClientConnection*> made = co_await make(until);
    if (made && http_ == HttpVersion::k1 && (*made)->stream_.agreed_on_http2()) {
        // Begun before the server insisted on HTTP/1.1.
        destroy(**made);
        made = co_await make(until);
    }
    --connecting_;
    if (made) {
        Stream& stream = (*made)->stream_;
        expects_http2_ =
            http_ == HttpVersion::k2 || (http_ == HttpVersion::kAuto && stream.agreed_on_http2());
        if (expects_http2_ && origin_.secure && !stream.agreed_on_http2()) {
            destroy(**made);
            made = fail(ErrorCode::kUpstreamUnreachable,
                fmt::format(
                    "{} does not speak HTTP/2; `http: auto` takes what it speaks", authority_));
        } else if (expects_http2_) {
            new Http2ClientConnection(*this, **made);  // the lists of this own it
            made = nullptr;
        }
    }
    arrived(made);
    co_return made;
}

/// Those who waited for it look for themselves; what nobody reaches, none of them need try.
void OriginPool::arrived(const Result<ClientConnection*>& made) {
    while (!arrivals_.empty()) {
        auto& arrival = static_cast<Arrival&>(*arrivals_.front());
        arrival.unlink();
        if (!made && made.error().code == ErrorCode::kUpstreamUnreachable)
            arrival.error = made.error();
        arrival.waiter.wake();
    }
}

}  // namespace entrepot::net
