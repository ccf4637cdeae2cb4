#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "net/head_text.h"
#include "net/http2_guard.h"
#include "net/http2_memory.h"
#include "net/http2_options.h"
#include "net/response_parser.h"
#include "runtime/list.h"

namespace entrepot::net {

class Http2ClientSession;

/// One stream of a client session: a request on its way, and its answer as it comes. Whoever asks
/// derives from it, and may destroy it whenever no call of the session is on the stack; a stream
/// that has not ended by then is reset.
class Http2ClientStream : public ListNode {
public:
    /// How it ended.
    enum class End : std::uint8_t {
        kNone,         ///< it goes on
        kWhole,        ///< the answer's end has come
        kUnprocessed,  ///< refused, or above the last stream of a GOAWAY: it may be sent again
        kReset,        ///< by the server; `error_code` says why
        kFlawed,       ///< by us, for what the server sent; `flaw` says what
        kLost,         ///< the connection is over
    };

    explicit Http2ClientStream(Http2ClientSession& session) : session_(session) {}
    Http2ClientStream(const Http2ClientStream&) = delete;
    Http2ClientStream& operator=(const Http2ClientStream&) = delete;
    virtual ~Http2ClientStream();

    [[nodiscard]] End end() const { return end_; }
    [[nodiscard]] std::uint32_t error_code() const { return error_code_; }
    [[nodiscard]] const std::string& flaw() const { return flaw_; }
    /// The request's head has gone out: from here on it may be billed.
    [[nodiscard]] bool is_sent() const { return is_sent_; }
    /// The request's body too, or an answer has come that makes the rest of it pointless.
    [[nodiscard]] bool is_sent_whole() const { return body_.empty() || gives_up_body_; }
    [[nodiscard]] bool is_head_done() const { return is_head_done_; }
    /// The answer's end has come, though the stream may not have ended.
    [[nodiscard]] bool is_whole() const { return is_whole_; }
    [[nodiscard]] int status() const { return status_; }
    [[nodiscard]] Headers headers() const { return head_.headers(); }
    void forget_head() { head_.forget(); }
    /// What has come of the answer's body and was not taken yet.
    [[nodiscard]] bool has_bytes() const { return !inbox_.empty(); }
    /// Moves it to `into`. The server may send as much again when it is taken next, or given back.
    void take(std::string& into);
    /// What was taken is done with. False: nothing was.
    bool give_back();

protected:
    /// Something of the above has changed. nghttp2 is on the stack.
    virtual void on_progress() = 0;

    Http2ClientSession& session_;

private:
    friend class Http2ClientSession;

    HeadText head_;
    std::string inbox_;
    std::size_t taken_bytes_ = 0;  // that the window does not allow again yet
    std::string flaw_;
    std::string_view body_;  // the request's, as far as it is unsent
    std::int32_t id_ = 0;
    int status_ = 0;
    std::size_t head_bytes_ = 0;
    std::uint32_t error_code_ = 0;
    End end_ = End::kNone;
    bool is_sent_ = false;
    bool is_head_done_ = false;
    bool is_whole_ = false;
    bool gives_up_body_ = false;
    bool is_reset_by_us_ = false;
    bool is_reset_by_peer_ = false;
};

/// The client's side of one HTTP/2 connection without its I/O: bytes in, bytes out, streams told
/// what happens to them. nghttp2 within the bounds of Http2Options; nothing may be pushed.
class Http2ClientSession {
public:
    /// `streams_expected`: how many the server is thought to allow, until its SETTINGS say so.
    Http2ClientSession(const Http2Options& options, const ResponseLimits& limits,
        std::size_t streams_expected, MonotonicTime now);
    /// No stream may be left that has not ended.
    ~Http2ClientSession();
    Http2ClientSession(const Http2ClientSession&) = delete;
    Http2ClientSession& operator=(const Http2ClientSession&) = delete;

    struct Request {
        std::string_view method;
        std::string_view scheme;
        std::string_view authority;
        std::string_view target;
        std::string_view header_lines;
        std::string_view body;  ///< must live until `is_sent_whole`, or the stream is gone
    };
    /// Begins an exchange. False: this session takes none, see `room`.
    [[nodiscard]] bool begin(Http2ClientStream& stream, const Request& request);
    /// How many more streams may begin now.
    [[nodiscard]] std::size_t room() const;
    /// What the server allows at once, of what we would take; nullopt: it has not said.
    [[nodiscard]] std::optional<std::size_t> streams_allowed() const;
    /// Whether any may ever begin again.
    [[nodiscard]] bool takes_streams() const;

    /// Bytes from the server. Afterwards `produce` may have something, and `is_over` may be true.
    void receive(std::string_view bytes, MonotonicTime now);
    /// The next bytes to send, valid until the next call of anything; empty: none now.
    [[nodiscard]] std::string_view produce(MonotonicTime now);
    /// Nothing is to be read or sent any more.
    [[nodiscard]] bool is_over() const;
    /// Asks the server for a sign of life.
    void ping();
    /// The connection is gone: every stream that goes on has lost it.
    void lose();

    /// What the server did that it must not do; empty: nothing.
    [[nodiscard]] const std::string& flaw() const { return flaw_; }
    [[nodiscard]] std::size_t streams() const { return live_; }
    /// Streams that were reset by us so far: servers count them.
    [[nodiscard]] std::size_t resets() const { return resets_; }
    [[nodiscard]] std::size_t memory_bytes() const { return memory_.bytes(); }

private:
    friend class Http2ClientStream;
    struct Callbacks;

    [[nodiscard]] Http2ClientStream* find(std::int32_t id) const;
    [[nodiscard]] Http2ClientStream* find_unsent(std::int32_t id);
    void add_field(Http2ClientStream& stream, std::string_view name, std::string_view value);
    void came(const nghttp2_frame& frame);
    void finish_head(Http2ClientStream& stream);
    void refuse(Http2ClientStream& stream, std::string flaw);
    void closed(Http2ClientStream& stream, std::uint32_t error_code);
    void abandon(Http2ClientStream& stream);
    void fail(std::string flaw);

    Http2Options options_;
    const ResponseLimits& limits_;
    Http2Memory memory_;
    Http2Guard guard_;
    nghttp2_session* session_ = nullptr;
    std::size_t streams_expected_;
    MonotonicTime now_;
    List streams_;  // those that have not ended
    std::size_t live_ = 0;
    std::size_t resets_ = 0;
    std::string flaw_;
    bool has_settings_ = false;
    bool is_leaving_ = false;  // the server has said GOAWAY
    bool has_failed_ = false;
};

}  // namespace entrepot::net
