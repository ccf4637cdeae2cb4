#include "net/http2_session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "net/http2_fields.h"
#include "net/server.h"

namespace entrepot::net {

namespace {

constexpr std::int32_t kConnectionWindowBytes = 4 * 1024 * 1024;  // bodies are bounded by stream
constexpr std::size_t kAcksMax = 1000;  // of PING and SETTINGS, not yet taken by the client
constexpr std::size_t kSettingsEntriesMax = 16;  // the RFCs define eight
constexpr std::size_t kHeadBytesFactorMax = 8;   // a head that decodes to so many times its bound
constexpr std::size_t kReplyTableBytes = 1024;   // HPACK's, of what our answers have in common
constexpr std::size_t kTrustedLengthMax = 1024 * 1024;  // reserved before bytes come
constexpr std::array<std::uint8_t, 8> kEndPing{'e', 'n', 't', 'r', 'e', 'p', 'o', 't'};

Http2Session& session_of(void* user) { return *static_cast<Http2Session*>(user); }

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

struct OptionDeleter {
    void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

}  // namespace

/// What nghttp2 calls. It must not be asked to receive or send inside; submitting is allowed.
struct Http2Session::Callbacks {
    using Session = nghttp2_session;

    static int on_begin_frame(Session*, const nghttp2_frame_hd* head, void* user) {
        session_of(user).watch_head(*head);
        return 0;
    }
    static int on_begin_headers(Session*, const nghttp2_frame* frame, void* user) {
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return session_of(user).begin_request(frame->hd.stream_id);
    }
    static int on_header(Session*, const nghttp2_frame* frame, const std::uint8_t* name,
        std::size_t name_bytes, const std::uint8_t* value, std::size_t value_bytes, std::uint8_t,
        void* user) {
        Http2Session& self = session_of(user);
        if (Http2Stream* stream = self.find(frame->hd.stream_id))
            self.add_field(*stream, text_of(name, name_bytes), text_of(value, value_bytes));
        return 0;
    }
    static int on_invalid_header(Session*, const nghttp2_frame* frame, const std::uint8_t* name,
        std::size_t name_bytes, const std::uint8_t*, std::size_t, std::uint8_t, void* user) {
        Http2Stream* stream = session_of(user).find(frame->hd.stream_id);
        if (stream != nullptr && !stream->is_head_done_)
            stream->head_.add_malformed(text_of(name, name_bytes));
        return 0;
    }
    static int on_data_chunk(Session* session, std::uint8_t, std::int32_t id,
        const std::uint8_t* data, std::size_t bytes, void* user) {
        Http2Session& self = session_of(user);
        nghttp2_session_consume_connection(session, bytes);
        if (Http2Stream* stream = self.find(id)) self.take_body(*stream, text_of(data, bytes));
        return 0;
    }
    static int on_frame(Session*, const nghttp2_frame* frame, void* user) {
        session_of(user).came(*frame);
        return 0;
    }
    static int on_invalid_frame(Session*, const nghttp2_frame* frame, int, void* user) {
        Http2Session& self = session_of(user);
        if (frame->hd.type == NGHTTP2_HEADERS) self.head_since_.reset();
        if (self.find(frame->hd.stream_id) == nullptr) self.guard_.reset(self.now_);
        return 0;
    }
    static int on_stream_close(Session*, std::int32_t id, std::uint32_t error, void* user) {
        Http2Session& self = session_of(user);
        if (Http2Stream* stream = self.find(id)) self.closed(*stream, error);
        return 0;
    }
    static int on_frame_sent(Session*, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_DATA) session_of(user).guard_.data_sent();
        return 0;
    }
    static int on_frame_not_sent(Session*, const nghttp2_frame* frame, int, void* user) {
        // An answer whose head is too large to be sent.
        Http2Session& self = session_of(user);
        Http2Stream* stream = self.find(frame->hd.stream_id);
        if (frame->hd.type == NGHTTP2_HEADERS && stream != nullptr)
            self.reset(*stream, NGHTTP2_INTERNAL_ERROR);
        return 0;
    }
    static ssize_t read_outbox(Session*, std::int32_t id, std::uint8_t* into, std::size_t bytes,
        std::uint32_t* flags, nghttp2_data_source*, void* user) {
        Http2Session& self = session_of(user);
        Http2Stream* stream = self.find(id);
        if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        const ssize_t taken = stream->outbox_.take(into, bytes, flags);
        if (taken >= 0) {
            stream->taken_at_ = self.now_;
            stream->on_taken();
        }
        return taken;
    }

    static const nghttp2_session_callbacks* all() {
        static const nghttp2_session_callbacks* made = [] {
            nghttp2_session_callbacks* set = nullptr;
            ENTREPOT_CHECK(nghttp2_session_callbacks_new(&set) == 0);
            nghttp2_session_callbacks_set_on_begin_frame_callback(set, on_begin_frame);
            nghttp2_session_callbacks_set_on_begin_headers_callback(set, on_begin_headers);
            nghttp2_session_callbacks_set_on_header_callback(set, on_header);
            nghttp2_session_callbacks_set_on_invalid_header_callback(set, on_invalid_header);
            nghttp2_session_callbacks_set_on_data_chunk_recv_callback(set, on_data_chunk);
            nghttp2_session_callbacks_set_on_frame_recv_callback(set, on_frame);
            nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(set, on_invalid_frame);
            nghttp2_session_callbacks_set_on_stream_close_callback(set, on_stream_close);
            nghttp2_session_callbacks_set_on_frame_send_callback(set, on_frame_sent);
            nghttp2_session_callbacks_set_on_frame_not_send_callback(set, on_frame_not_sent);
            return set;
        }();
        return made;
    }
};

Http2Stream::~Http2Stream() { session_.forget(*this); }

Http2Session::Http2Session(
    const Http2Options& options, const RequestLimits& limits, Owner& owner, MonotonicTime now)
    : options_(options),
      limits_(limits),
      owner_(owner),
      memory_(options.session_bytes_max),
      guard_(options),
      now_(now) {
    nghttp2_option* raw = nullptr;
    ENTREPOT_CHECK(nghttp2_option_new(&raw) == 0);
    const std::unique_ptr<nghttp2_option, OptionDeleter> option(raw);
    nghttp2_option_set_no_auto_window_update(raw, 1);
    nghttp2_option_set_max_outbound_ack(raw, kAcksMax);
    nghttp2_option_set_max_settings(raw, kSettingsEntriesMax);
    nghttp2_option_set_no_closed_streams(raw, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(raw, kReplyTableBytes);
    // The guard counts resets of every cause; nghttp2's own count would only come first.
    nghttp2_option_set_stream_reset_rate_limit(
        raw, std::uint64_t{2} * options.resets_burst + 1, options.resets_per_second + 1);
    nghttp2_mem functions = memory_.functions();
    const int made =
        nghttp2_session_server_new3(&session_, Callbacks::all(), this, raw, &functions);
    ENTREPOT_CHECK(made == 0);  // session_bytes_max does not even hold a session
    memory_.session_made();
    const std::array<nghttp2_settings_entry, 4> settings{{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
            static_cast<std::uint32_t>(limits.header_bytes_max)},
        // Without the priority tree of RFC 7540: a structure that the client would shape.
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    }};
    if (nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) !=
            0 ||
        nghttp2_session_set_local_window_size(
            session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindowBytes) != 0)
        fail();
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

Http2Stream* Http2Session::find(std::int32_t id) const {
    return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

void Http2Session::forget(Http2Stream& stream) {
    if (!stream.is_closed_) nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
    std::erase(waiting_, &stream);
    if (favourite_ == &stream)
        favourite_ = nullptr;
    else
        granted_bytes_ -= stream.granted_bytes_;
    grant_waiting();
}

// ---- Receiving

void Http2Session::receive(std::string_view bytes, MonotonicTime now) {
    if (has_failed_) return;
    now_ = now;
    const std::size_t preface = std::min(preface_left_, bytes.size());
    preface_left_ -= preface;
    guard_.received(bytes.substr(preface), now);
    const ssize_t took = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (took < 0) return fail();
    if (guard_.flooded()) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

/// Notes when a head began that is not complete: nothing else may come meanwhile.
void Http2Session::watch_head(const nghttp2_frame_hd& frame) {
    const bool is_last = (frame.flags & NGHTTP2_FLAG_END_HEADERS) != 0;
    if (frame.type == NGHTTP2_HEADERS) {
        // Of a head on a stream that is gone nghttp2 tells nothing but this.
        is_head_told_ = frame.stream_id > last_id_ || find(frame.stream_id) != nullptr;
        last_id_ = std::max(last_id_, frame.stream_id);
        if (is_head_told_ || !is_last) head_since_ = now_;
    } else if (frame.type != NGHTTP2_CONTINUATION || (is_last && !is_head_told_)) {
        head_since_.reset();
    }
}

int Http2Session::begin_request(std::int32_t id) {
    Http2Stream* stream = is_ended_ ? nullptr : owner_.open_stream(id);
    if (stream == nullptr) {
        guard_.reset(now_);
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    stream->received_at_ = stream->taken_at_ = now_;
    nghttp2_session_set_stream_user_data(session_, id, stream);
    // In turns: by RFC 9218's default the oldest stream would be sent to its end first.
    const nghttp2_extpri in_turns{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    nghttp2_session_change_extpri_stream_priority(session_, id, &in_turns, 1);
    return 0;
}

void Http2Session::add_field(Http2Stream& stream, std::string_view name, std::string_view value) {
    // Trailers are read and dropped; they and refused heads are still counted: a small block of
    // indexed fields decodes to megabytes.
    stream.head_.count(name, value);
    if (stream.head_.bytes() > kHeadBytesFactorMax * limits_.header_bytes_max) guard_.flood();
    if (!stream.is_head_done_) stream.head_.add(name, value);
}

void Http2Session::take_body(Http2Stream& stream, std::string_view bytes) {
    stream.received_at_ = now_;
    if (stream.head_.is_refused()) return;  // it is being answered, and then reset
    std::string& body = stream.body_;
    if (body.size() + bytes.size() > limits_.body_bytes_max) {
        std::string().swap(body);
        stream.head_.refuse(413, ErrorCode::kBodyTooLarge,
            fmt::format("the body is longer than {} bytes", limits_.body_bytes_max));
        stream.on_body();
        return;
    }
    const std::size_t size = body.size() + bytes.size() + ServerRequest::kBodyPadding;
    if (body.capacity() < size) {
        const std::size_t length =
            std::min<std::size_t>(stream.head_.content_length().value_or(0), kTrustedLengthMax);
        body.reserve(std::max({size, length + ServerRequest::kBodyPadding,
            body.empty() ? std::size_t{0} : 2 * body.capacity()}));
    }
    body.append(bytes);
    stream.owed_bytes_ += bytes.size();
    grant(stream);
}

/// Opens the stream's window by what it is owed, when that is wanted and there is room.
void Http2Session::grant(Http2Stream& stream) {
    if (stream.waits_for_room_) return;
    // What the client may send unasked. nghttp2 tells it of room only by the half window, so this
    // is not the window less what we owe.
    const auto open = static_cast<std::size_t>(
        std::max(nghttp2_session_get_stream_local_window_size(session_, stream.id_), 0));
    const auto length = stream.head_.content_length();
    if (stream.is_whole_ || (length && *length - stream.body_.size() <= open)) return;
    if (favourite_ != &stream) {
        if (granted_bytes_ + stream.owed_bytes_ <= limits_.body_bytes_max) {
            granted_bytes_ += stream.owed_bytes_;
        } else if (favourite_ == nullptr) {
            favourite_ = &stream;  // what it had is free for the others again
            granted_bytes_ -= stream.granted_bytes_;
        } else {
            stream.waits_for_room_ = true;
            waiting_.push_back(&stream);
            return;
        }
    }
    stream.granted_bytes_ += stream.owed_bytes_;
    nghttp2_session_consume_stream(session_, stream.id_, std::exchange(stream.owed_bytes_, 0));
}

void Http2Session::grant_waiting() {
    if (waiting_.empty()) return;
    std::vector<Http2Stream*> before;
    before.swap(waiting_);
    for (Http2Stream* stream : before) {
        stream->waits_for_room_ = false;
        stream->received_at_ = now_;
        if (!stream->is_closed_) grant(*stream);
    }
}

void Http2Session::came(const nghttp2_frame& frame) {
    const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame.hd.type) {
        case NGHTTP2_SETTINGS:
            if ((frame.hd.flags & NGHTTP2_FLAG_ACK) == 0) has_settings_ = true;
            return;
        case NGHTTP2_PING:
            if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 && is_end_announced_ &&
                std::memcmp(frame.ping.opaque_data, kEndPing.data(), kEndPing.size()) == 0)
                is_end_read_ = true;
            return;
        case NGHTTP2_RST_STREAM:
            if (Http2Stream* stream = find(frame.hd.stream_id)) stream->is_reset_by_peer_ = true;
            return;
        case NGHTTP2_HEADERS: head_since_.reset(); break;
        case NGHTTP2_DATA: break;
        default: return;
    }
    Http2Stream* stream = find(frame.hd.stream_id);
    if (stream == nullptr) return;
    if (ends) stream->is_whole_ = true;
    if (!stream->is_head_done_) {
        stream->is_head_done_ = true;
        stream->head_.finish();
        stream->on_head();
    } else if (ends) {
        stream->on_body();
    }
}

void Http2Session::closed(Http2Stream& stream, std::uint32_t error_code) {
    if (error_code != NGHTTP2_NO_ERROR && !stream.is_reset_by_us_ && !stream.is_reset_by_peer_)
        guard_.reset(now_);  // nghttp2 did, for something malformed
    if (!stream.is_head_done_) head_since_.reset();
    stream.is_closed_ = true;
    stream.outbox_.clear();
    nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
    stream.on_closed();
}

void Http2Session::close_all(List& streams) {
    for (ListNode* at = streams.front(); at != streams.end();) {
        auto& stream = static_cast<Http2Stream&>(*at);
        at = at->next;
        if (stream.is_closed_) continue;
        nghttp2_session_set_stream_user_data(stream.session_.session_, stream.id_, nullptr);
        stream.is_closed_ = true;
        stream.outbox_.clear();
        stream.on_closed();
    }
}

// ---- Sending

std::string_view Http2Session::produce(MonotonicTime now) {
    if (has_failed_) return {};
    now_ = now;
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) {
        fail();
        return {};
    }
    return text_of(bytes, static_cast<std::size_t>(size));
}

bool Http2Session::is_over() const {
    return has_failed_ ||
        (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void Http2Session::respond(Http2Stream& stream, const Answer& answer) {
    if (stream.is_closed_) return;
    thread_local Http2Fields fields;
    fields.clear();
    const fmt::format_int status(answer.status);
    fields.add(":status", {status.data(), status.size()});
    fields.add("date", answer.date);
    fields.add_lines(answer.header_lines);
    const fmt::format_int length(answer.length.value_or(0));
    if (answer.length) fields.add("content-length", {length.data(), length.size()});
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::read_outbox;
    if (!answer.has_body) stream.outbox_.skip();
    stream.taken_at_ = now_;
    if (nghttp2_submit_response(session_, stream.id_, fields.span().data(), fields.span().size(),
            answer.has_body ? &provider : nullptr) != 0)
        reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void Http2Session::invite_body(Http2Stream& stream) {
    if (stream.is_closed_) return;
    Http2Fields fields;
    fields.add(":status", "100");
    if (nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr,
            fields.span().data(), fields.span().size(), nullptr) != 0)
        reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void Http2Session::resume(Http2Stream& stream) {
    if (!stream.is_closed_ && stream.outbox_.take_deferred())
        nghttp2_session_resume_data(session_, stream.id_);
}

void Http2Session::reset(Http2Stream& stream, std::uint32_t error_code) {
    if (stream.is_closed_ || std::exchange(stream.is_reset_by_us_, true)) return;
    if (nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, error_code) != 0)
        fail();  // out of its memory
}

void Http2Session::announce_end() {
    if (has_failed_ || is_ended_ || std::exchange(is_end_announced_, true)) return;
    if (nghttp2_submit_shutdown_notice(session_) != 0 ||
        nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kEndPing.data()) != 0)
        fail();
}

void Http2Session::end() {
    if (has_failed_ || std::exchange(is_ended_, true)) return;
    is_end_announced_ = true;
    const std::int32_t last = nghttp2_session_get_last_proc_stream_id(session_);
    if (nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0) != 0)
        fail();
}

void Http2Session::terminate(std::uint32_t error_code) {
    if (has_failed_) return;
    is_ended_ = is_end_announced_ = true;
    if (nghttp2_session_terminate_session(session_, error_code) != 0) fail();
}

}  // namespace entrepot::net
