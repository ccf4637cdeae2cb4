#pragma once

#include <array>
#include <memory>
#include <string>

#include "net/http_server.h"
#include "net/request_parser.h"
#include "net/server.h"
#include "net/stream.h"

namespace entrepot::net {

class Http2Connection;

/// What the connections of one server share.
struct ServerShared {
    Core& core;
    Handler& handler;
    ServerOptions options;
    RequestLimits limits;
    const TlsServerContext* tls = nullptr;
    List connections;
    std::size_t count = 0;
    std::size_t in_flight = 0;
    bool draining = false;
    bool expired = false;  // the drain deadline has passed
    Waiter drained;
};

/// One client connection. It speaks HTTP/1.1 (requests one after the other, pipelined ones wait in
/// `leftover_`; between two requests it holds no read buffer) until it finds that the client speaks
/// HTTP/2, and then leaves its socket to an Http2Connection.
class ServerConnection final : public ListNode, private ResponseWriter {
public:
    ServerConnection(ServerShared& shared, std::string peer);
    ~ServerConnection();

    [[nodiscard]] Status adopt(int descriptor) { return stream_.adopt(descriptor); }
    [[nodiscard]] Co<void> run();

    /// Closes when nothing is being served.
    void close_if_idle();
    /// The drain deadline has passed.
    void expire();

private:
    enum class Phase : std::uint8_t { kHandshake, kIdle, kReading, kServing, kEnding };

    Co<void> run_http2();
    Co<bool> receive();
    Co<bool> serve_one();
    Co<void> answer_unanswered();
    Co<void> refuse();
    Co<bool> check_head();
    [[nodiscard]] ServerRequest head_of_request();
    Co<void> linger();
    [[nodiscard]] Deadline reading_deadline() const;
    void read_available();
    void feed(std::string_view bytes);

    Task<void> send(int status, std::string_view header_lines, std::string_view body) override;
    void start(int status, std::string_view header_lines) override;
    Task<void> write(std::string_view chunk) override;
    Task<void> write(std::span<const std::string_view> pieces) override;
    Task<void> flush() override;
    Task<void> finish(std::string_view last) override;
    void abort() override;

    void render_head(
        int status, std::string_view header_lines, std::size_t body_bytes, bool chunked);
    /// What one call sends: the waiting head, then body and more (as one chunk when `framed`), then
    /// the end.
    struct Outgoing {
        std::string_view body;
        std::span<const std::string_view> more;
        bool framed = false;
        bool last = false;
    };
    Task<void> put(Outgoing out);
    Task<void> put_rest(std::string rest);
    static Task<void> put_nothing();
    [[nodiscard]] std::unexpected<Error> broken(ErrorCode code);

    ServerShared& shared_;
    Stream stream_;
    RequestParser parser_;
    Cancel cancel_;
    std::string peer_;
    std::string leftover_;  // received beyond the current request; at most one read buffer
    std::unique_ptr<Http2Connection> http2_;
    std::string head_;     // a rendered head that waits for its first chunk
    MonotonicTime began_;  // first byte of the request
    MonotonicTime progress_;
    std::size_t served_ = 0;
    Phase phase_ = Phase::kHandshake;
    bool keep_alive_ = true;
    bool speaks_http2_ = false;
    bool ended_ = false;  // the client sends nothing more
    bool broken_ = false;
    bool head_waits_ = false;
    bool chunked_ = false;
    bool bodyless_ = false;  // HEAD, 204, 304
};

}  // namespace entrepot::net
