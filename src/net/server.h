#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/message.h"
#include "runtime/task.h"
#include "runtime/waiter.h"

namespace entrepot::net {

/// A request as received whole. Protocol-neutral: HTTP/2 fills the same. Valid until the handler
/// returns, its head only until `ResponseWriter::start`.
struct ServerRequest {
    std::string_view method;
    std::string_view target;  ///< as sent, never decoded: `/v1/models?limit=2`
    std::string_view path;    ///< target up to `?`
    std::string_view query;   ///< after `?`, or empty
    Headers headers;
    std::string body;       ///< whole; capacity() >= size() + kBodyPadding. May be moved away.
    std::string_view peer;  ///< `127.0.0.1:53122`
    bool secure = false;    ///< came over TLS
    /// Trips with kClientGone when the client hangs up, kDraining when the drain deadline passes.
    /// Pass it to every upstream wait; never to a settlement.
    Cancel* cancel = nullptr;

    /// What simdjson needs behind the text it parses.
    static constexpr std::size_t kBodyPadding = 64;
};

/// The answer, written by the handler. Every call but `abort` may fail with kClientGone,
/// kRequestTimeout (the client reads too slowly), kDraining; then the answer is over. Header lines
/// come from `HeaderLines`; framing headers are added here.
class ResponseWriter {
public:
    /// A whole answer in one system call. For HEAD the body is counted, not sent.
    [[nodiscard]] virtual Task<void> send(
        int status, std::string_view header_lines, std::string_view body) = 0;

    /// Begins a streamed answer. Nothing leaves before the first `write` or `flush`, so that they
    /// share a call. An open stream keeps nothing of its request: target, path, query and headers
    /// are gone from here on.
    virtual void start(int status, std::string_view header_lines) = 0;
    /// One chunk, one system call; returns when the kernel has taken it (back pressure). Empty
    /// chunks are skipped.
    [[nodiscard]] virtual Task<void> write(std::string_view chunk) = 0;
    /// The same for several pieces, sent as one chunk.
    [[nodiscard]] virtual Task<void> write(std::span<const std::string_view> pieces) = 0;
    /// Sends the header block if it still waits.
    [[nodiscard]] virtual Task<void> flush() = 0;
    /// Ends a streamed answer; `last`, when given, leaves in the same system call.
    [[nodiscard]] virtual Task<void> finish(std::string_view last = {}) = 0;
    /// Breaks the connection (HTTP/2: resets the stream), so that the client sees a truncated
    /// answer as such.
    virtual void abort() = 0;

    [[nodiscard]] bool started() const { return started_; }  ///< send or start was called
    [[nodiscard]] bool finished() const {
        return finished_;
    }  ///< send or finish was called, or abort
    [[nodiscard]] std::uint64_t bytes_sent() const {
        return bytes_sent_;
    }  ///< of this answer, head included

protected:
    ~ResponseWriter() = default;
    bool started_ = false;
    bool finished_ = false;
    std::uint64_t bytes_sent_ = 0;
};

/// What a listener serves. One object per core, called by that core alone, many exchanges at once.
class Handler {
public:
    virtual ~Handler() = default;
    /// Asked once when a head has come and not all of its body: whether to read on. `head` is the
    /// request without its body. False: it is answered already, by `send`, and the connection ends,
    /// so that nobody makes us keep a body that we would not serve. Default: true.
    [[nodiscard]] virtual Co<bool> check_head(ServerRequest& head, ResponseWriter& response);
    /// Answers one request. An unanswered one gets a 500; a started, unfinished one is aborted.
    [[nodiscard]] virtual Co<void> handle(ServerRequest& request, ResponseWriter& response) = 0;
    /// The body of an answer the connection gives by itself before there is a request (400, 408,
    /// 413, 431, 501). Default:
    /// `{"error":{"message":...,"type":"invalid_request_error","param":null,"code":...}}`.
    [[nodiscard]] virtual std::string refusal_body(
        const Error& error, int status, std::string_view target);
};

}  // namespace entrepot::net
