#pragma once

#include "net/http2_session.h"
#include "net/server.h"

namespace entrepot::net {

class Http2Connection;

/// One request of an HTTP/2 connection and its answer: receives it, calls the handler, writes.
class Http2Exchange final : public Http2Stream, private ResponseWriter {
public:
    Http2Exchange(Http2Connection& connection, Http2Session& session, std::int32_t id,
        const RequestLimits& limits)
        : Http2Stream(session, id, limits), connection_(connection) {}

    /// From the head to the end of the answer; the connection runs it.
    [[nodiscard]] Co<void> serve();
    /// The drain deadline has passed.
    void expire();

private:
    void on_head() override;
    void on_body() override;
    void on_taken() override;
    void on_closed() override;

    Co<bool> admit();
    Co<bool> receive_body();
    Co<void> call_handler();
    Co<void> refuse();
    Co<void> see_through();
    [[nodiscard]] ServerRequest head_of_request();
    [[nodiscard]] Deadline body_deadline() const;

    Task<void> send(int status, std::string_view header_lines, std::string_view body) override;
    void start(int status, std::string_view header_lines) override;
    Task<void> write(std::string_view chunk) override;
    Task<void> write(std::span<const std::string_view> pieces) override;
    Task<void> flush() override;
    Task<void> finish(std::string_view last) override;
    void abort() override;

    struct Outgoing {
        std::string_view body;
        std::span<const std::string_view> more;
        bool last = false;
    };
    void respond(int status, std::string_view header_lines, std::optional<std::size_t> length);
    Task<void> put(Outgoing out);
    Task<void> wait_for_room();
    [[nodiscard]] std::unexpected<Error> broken(ErrorCode code);

    Http2Connection& connection_;
    Cancel cancel_;
    Waiter more_;  // of the request
    Waiter room_;  // less in the outbox
    MonotonicTime began_;
    bool is_running_ = false;
    bool is_bodyless_ = false;  // HEAD, 204, 304
    bool is_broken_ = false;
};

}  // namespace entrepot::net
