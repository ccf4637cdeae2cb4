#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "net/http2_guard.h"
#include "net/http2_head.h"
#include "net/http2_memory.h"
#include "net/http2_options.h"
#include "net/http2_outbox.h"
#include "runtime/list.h"

namespace entrepot::net {

class Http2Session;

/// One stream of a server session: the request as it comes, the answer's body as it goes. Whoever
/// serves it derives from it, and may destroy it whenever no call of the session is on the stack,
/// and in `on_closed`.
class Http2Stream : public ListNode {
public:
    Http2Stream(Http2Session& session, std::int32_t id, const RequestLimits& limits)
        : session_(session), id_(id), head_(limits) {}
    Http2Stream(const Http2Stream&) = delete;
    Http2Stream& operator=(const Http2Stream&) = delete;
    virtual ~Http2Stream();

    [[nodiscard]] std::int32_t id() const { return id_; }
    [[nodiscard]] Http2Head& head() { return head_; }
    [[nodiscard]] std::string& body() { return body_; }
    [[nodiscard]] Http2Outbox& outbox() { return outbox_; }
    /// The whole request has come.
    [[nodiscard]] bool is_whole() const { return is_whole_; }
    /// Nothing can be sent on it any more: both sides have ended it, or one has reset it, or the
    /// connection is over.
    [[nodiscard]] bool is_closed() const { return is_closed_; }
    /// The client may not send on before we have room; its deadlines are not to be held against it.
    [[nodiscard]] bool waits_for_room() const { return waits_for_room_; }
    /// When the body last grew, and when the client last took some of the answer.
    [[nodiscard]] MonotonicTime received_at() const { return received_at_; }
    [[nodiscard]] MonotonicTime taken_at() const { return taken_at_; }

protected:
    /// The head is whole (it may be refused). The body may follow.
    virtual void on_head() = 0;
    /// The body is whole, or `head().is_refused()` because there is too much of it.
    virtual void on_body() = 0;
    /// nghttp2 has taken from the outbox.
    virtual void on_taken() = 0;
    /// `is_closed` has become true.
    virtual void on_closed() = 0;

    Http2Session& session_;

private:
    friend class Http2Session;

    std::int32_t id_;
    Http2Head head_;
    std::string body_;
    Http2Outbox outbox_;
    MonotonicTime received_at_;
    MonotonicTime taken_at_;
    std::size_t owed_bytes_ = 0;     // received, and the window not yet opened again
    std::size_t granted_bytes_ = 0;  // of the room that streams share
    bool is_head_done_ = false;
    bool is_whole_ = false;
    bool is_closed_ = false;
    bool is_reset_by_us_ = false;
    bool is_reset_by_peer_ = false;
    bool waits_for_room_ = false;
};

/// The server's side of one HTTP/2 connection without its I/O: bytes in, bytes out, streams told
/// what happens to them. nghttp2 within the bounds of Http2Options.
class Http2Session {
public:
    class Owner {
    public:
        /// A request begins; null: refused, the client may try again elsewhere.
        [[nodiscard]] virtual Http2Stream* open_stream(std::int32_t id) = 0;

    protected:
        ~Owner() = default;
    };

    Http2Session(
        const Http2Options& options, const RequestLimits& limits, Owner& owner, MonotonicTime now);
    ~Http2Session();
    Http2Session(const Http2Session&) = delete;
    Http2Session& operator=(const Http2Session&) = delete;

    /// Bytes from the client. Afterwards `produce` may have something, and `is_over` may be true.
    void receive(std::string_view bytes, MonotonicTime now);
    /// The next bytes to send, valid until the next call of anything; empty: none now.
    [[nodiscard]] std::string_view produce(MonotonicTime now);
    /// Nothing is to be read or sent any more: close once all that was produced has left.
    [[nodiscard]] bool is_over() const;

    // What a stream does. After it is closed, nothing.
    /// The head of an answer; its body follows through the outbox, unless `has_body` is false.
    /// `length` when it is known.
    struct Answer {
        int status = 0;
        std::string_view header_lines;
        std::string_view date;
        std::optional<std::size_t> length;
        bool has_body = true;
    };
    void respond(Http2Stream& stream, const Answer& answer);
    /// 100 Continue.
    void invite_body(Http2Stream& stream);
    /// The outbox has more, or its end.
    void resume(Http2Stream& stream);
    void reset(Http2Stream& stream, std::uint32_t error_code);

    /// Says that this connection is to be left: a first GOAWAY that refuses nothing yet, and a PING
    /// whose answer tells that the client has read it.
    void announce_end();
    /// The GOAWAY that counts: streams begun after it are refused; those that run end in peace.
    void end();
    /// The same with an error, which ends the streams too.
    void terminate(std::uint32_t error_code);
    /// The connection is gone: closes every stream of `streams`.
    static void close_all(List& streams);

    [[nodiscard]] bool has_settings() const { return has_settings_; }  ///< the client's have come
    [[nodiscard]] bool is_end_announced() const { return is_end_announced_; }
    [[nodiscard]] bool is_end_read() const { return is_end_read_; }  ///< the PING was answered
    [[nodiscard]] bool is_ended() const { return is_ended_; }        ///< end or terminate
    /// Since when a head has been coming, when one is.
    [[nodiscard]] std::optional<MonotonicTime> head_since() const { return head_since_; }
    [[nodiscard]] std::size_t memory_bytes() const { return memory_.bytes(); }
    /// Nothing will be sent for a while: gives back what only sending needs. `produce` must have
    /// said that there is nothing.
    void rest() { memory_.give_back_frame_buffer(); }
    /// Of request bodies beyond each stream's own window.
    [[nodiscard]] std::size_t granted_bytes() const { return granted_bytes_; }

private:
    friend class Http2Stream;
    struct Callbacks;

    [[nodiscard]] Http2Stream* find(std::int32_t id) const;
    void forget(Http2Stream& stream);
    void watch_head(const nghttp2_frame_hd& frame);
    int begin_request(std::int32_t id);
    void add_field(Http2Stream& stream, std::string_view name, std::string_view value);
    void take_body(Http2Stream& stream, std::string_view bytes);
    void came(const nghttp2_frame& frame);
    void closed(Http2Stream& stream, std::uint32_t error_code);
    void grant(Http2Stream& stream);
    void grant_waiting();
    void fail() { has_failed_ = true; }

    Http2Options options_;
    const RequestLimits& limits_;
    Owner& owner_;
    Http2Memory memory_;
    Http2Guard guard_;
    nghttp2_session* session_ = nullptr;
    MonotonicTime now_;
    std::optional<MonotonicTime> head_since_;
    // Bodies beyond their windows share body_bytes_max. As much again belongs to one of those that
    // found no room, so that bodies which wait for each other cannot all be stuck.
    std::size_t granted_bytes_ = 0;
    const Http2Stream* favourite_ = nullptr;
    std::vector<Http2Stream*> waiting_;  // at most 2 * streams_max
    std::size_t preface_left_ = NGHTTP2_CLIENT_MAGIC_LEN;
    std::int32_t last_id_ = 0;
    bool is_head_told_ = false;
    bool has_settings_ = false;
    bool is_end_announced_ = false;
    bool is_end_read_ = false;
    bool is_ended_ = false;
    bool has_failed_ = false;
};

}  // namespace entrepot::net
