#include "net/http2_client_session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "net/http2_fields.h"

namespace entrepot::net {

namespace {

constexpr std::int32_t kConnectionWindowBytes = 16 * 1024 * 1024;  // bodies are bounded by stream
constexpr std::size_t kAcksMax = 1000;  // of PING and SETTINGS, not yet taken by the server
constexpr std::size_t kSettingsEntriesMax = 32;  // the RFCs define eight; servers add their own
constexpr std::size_t kHeadBytesFactorMax = 8;   // a head that decodes to so many times its bound
constexpr std::size_t kFieldOverheadBytes = 32;  // RFC 9113, 6.5.2
constexpr std::size_t kKeptBytes = 1024;         // what an open stream keeps between events
constexpr std::array<std::uint8_t, 8> kLifePing{'e', 'n', 't', 'r', 'e', 'p', 'o', 't'};

Http2ClientSession& session_of(void* user) { return *static_cast<Http2ClientSession*>(user); }

std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

struct OptionDeleter {
    void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

}  // namespace

/// What nghttp2 calls. It must not be asked to receive or send inside; submitting is allowed.
struct Http2ClientSession::Callbacks {
    using Session = nghttp2_session;

    static int on_header(Session*, const nghttp2_frame* frame, const std::uint8_t* name,
        std::size_t name_bytes, const std::uint8_t* value, std::size_t value_bytes, std::uint8_t,
        void* user) {
        Http2ClientSession& self = session_of(user);
        if (Http2ClientStream* stream = self.find(frame->hd.stream_id))
            self.add_field(*stream, text_of(name, name_bytes), text_of(value, value_bytes));
        return 0;
    }
    static int on_invalid_header(Session*, const nghttp2_frame* frame, const std::uint8_t*,
        std::size_t, const std::uint8_t*, std::size_t, std::uint8_t, void* user) {
        Http2ClientSession& self = session_of(user);
        if (Http2ClientStream* stream = self.find(frame->hd.stream_id))
            self.refuse(*stream, "a header has a character that no header may have");
        return 0;
    }
    static int on_data_chunk(Session* session, std::uint8_t, std::int32_t id,
        const std::uint8_t* data, std::size_t bytes, void* user) {
        nghttp2_session_consume_connection(session, bytes);
        Http2ClientStream* stream = session_of(user).find(id);
        if (stream == nullptr || stream->is_reset_by_us_) return 0;
        stream->inbox_.append(text_of(data, bytes));
        stream->on_progress();
        return 0;
    }
    static int on_frame(Session*, const nghttp2_frame* frame, void* user) {
        session_of(user).came(*frame);
        return 0;
    }
    static int on_invalid_frame(Session*, const nghttp2_frame* frame, int error, void* user) {
        Http2ClientStream* stream = session_of(user).find(frame->hd.stream_id);
        if (stream != nullptr && stream->flaw_.empty()) stream->flaw_ = nghttp2_strerror(error);
        return 0;
    }
    static int on_stream_close(Session*, std::int32_t id, std::uint32_t error, void* user) {
        Http2ClientSession& self = session_of(user);
        if (Http2ClientStream* stream = self.find(id)) self.closed(*stream, error);
        return 0;
    }
    static int on_frame_sent(Session*, const nghttp2_frame* frame, void* user) {
        Http2ClientSession& self = session_of(user);
        if (frame->hd.type == NGHTTP2_DATA) self.guard_.data_sent();
        if (frame->hd.type != NGHTTP2_HEADERS) return 0;
        if (Http2ClientStream* stream = self.find(frame->hd.stream_id)) stream->is_sent_ = true;
        return 0;
    }
    /// A request that came to stand behind a GOAWAY, or whose head is too large to be sent.
    static int on_frame_not_sent(Session*, const nghttp2_frame* frame, int error, void* user) {
        Http2ClientSession& self = session_of(user);
        Http2ClientStream* stream =
            frame->hd.type == NGHTTP2_HEADERS ? self.find_unsent(frame->hd.stream_id) : nullptr;
        if (stream == nullptr) return 0;
        const bool is_late =
            error == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED || error == NGHTTP2_ERR_SESSION_CLOSING;
        if (!is_late) stream->flaw_ = nghttp2_strerror(error);
        stream->is_reset_by_us_ = !is_late;
        self.closed(*stream, is_late ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
        return 0;
    }
    static ssize_t read_body(Session*, std::int32_t id, std::uint8_t* into, std::size_t bytes,
        std::uint32_t* flags, nghttp2_data_source*, void* user) {
        Http2ClientStream* stream = session_of(user).find(id);
        if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        // The answer is there, and the body may not live any more; it is given up, not ended.
        if (stream->gives_up_body_) return NGHTTP2_ERR_DEFERRED;
        std::string_view& body = stream->body_;
        const std::size_t taken = std::min(bytes, body.size());
        if (taken > 0) std::memcpy(into, body.data(), taken);
        body.remove_prefix(taken);
        if (body.empty()) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            stream->on_progress();
        }
        return static_cast<ssize_t>(taken);
    }

    static const nghttp2_session_callbacks* all() {
        static const nghttp2_session_callbacks* made = [] {
            nghttp2_session_callbacks* set = nullptr;
            ENTREPOT_CHECK(nghttp2_session_callbacks_new(&set) == 0);
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

// ---- Http2ClientStream

Http2ClientStream::~Http2ClientStream() { session_.abandon(*this); }

void Http2ClientStream::take(std::string& into) {
    into.clear();
    into.swap(inbox_);
    if (inbox_.capacity() > kKeptBytes) std::string().swap(inbox_);
    (void)give_back();
    taken_bytes_ = into.size();
}

bool Http2ClientStream::give_back() {
    const std::size_t bytes = std::exchange(taken_bytes_, 0);
    if (bytes == 0) return false;
    if (end_ == End::kNone) nghttp2_session_consume_stream(session_.session_, id_, bytes);
    return true;
}

// ---- Http2ClientSession

Http2ClientSession::Http2ClientSession(const Http2Options& options, const ResponseLimits& limits,
    std::size_t streams_expected, MonotonicTime now)
    : options_(options),
      limits_(limits),
      memory_(options.session_bytes_max),
      guard_(options),
      streams_expected_(streams_expected),
      now_(now) {
    nghttp2_option* raw = nullptr;
    ENTREPOT_CHECK(nghttp2_option_new(&raw) == 0);
    const std::unique_ptr<nghttp2_option, OptionDeleter> option(raw);
    nghttp2_option_set_no_auto_window_update(raw, 1);
    nghttp2_option_set_max_outbound_ack(raw, kAcksMax);
    nghttp2_option_set_max_settings(raw, kSettingsEntriesMax);
    nghttp2_option_set_max_reserved_remote_streams(raw, 0);
    nghttp2_mem functions = memory_.functions();
    const int made =
        nghttp2_session_client_new3(&session_, Callbacks::all(), this, raw, &functions);
    ENTREPOT_CHECK(made == 0);  // session_bytes_max does not even hold a session
    memory_.session_made();
    const std::array<nghttp2_settings_entry, 3> settings{{
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
            static_cast<std::uint32_t>(limits.header_bytes_max)},
    }};
    if (nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) !=
            0 ||
        nghttp2_session_set_local_window_size(
            session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindowBytes) != 0)
        fail("no memory for a session");
}

Http2ClientSession::~Http2ClientSession() {
    ENTREPOT_CHECK(streams_.empty());
    nghttp2_session_del(session_);
}

Http2ClientStream* Http2ClientSession::find(std::int32_t id) const {
    return static_cast<Http2ClientStream*>(nghttp2_session_get_stream_user_data(session_, id));
}

Http2ClientStream* Http2ClientSession::find_unsent(std::int32_t id) {
    for (ListNode* at = streams_.front(); at != streams_.end(); at = at->next) {
        auto& stream = static_cast<Http2ClientStream&>(*at);
        if (stream.id_ == id) return &stream;
    }
    return nullptr;
}

void Http2ClientSession::fail(std::string flaw) {
    has_failed_ = true;
    if (flaw_.empty()) flaw_ = std::move(flaw);
}

bool Http2ClientSession::takes_streams() const {
    return !has_failed_ && !is_leaving_ && nghttp2_session_check_request_allowed(session_) != 0;
}

std::optional<std::size_t> Http2ClientSession::streams_allowed() const {
    if (!has_settings_) return std::nullopt;
    return std::min(options_.streams_max,
        nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
}

std::size_t Http2ClientSession::room() const {
    if (!takes_streams()) return 0;
    const std::size_t at_most = streams_allowed().value_or(streams_expected_);
    return at_most > live_ ? at_most - live_ : 0;
}

bool Http2ClientSession::begin(Http2ClientStream& stream, const Request& request) {
    if (room() == 0) return false;
    thread_local Http2Fields fields;
    fields.clear();
    fields.add(":method", request.method);
    fields.add(":scheme", request.scheme);
    fields.add(":authority", request.authority);
    fields.add(":path", request.target);
    fields.add_lines(request.header_lines);
    const bool has_body = !request.body.empty();
    const fmt::format_int length(request.body.size());
    if (has_body || (request.method != "GET" && request.method != "HEAD"))
        fields.add("content-length", {length.data(), length.size()});
    nghttp2_data_provider provider{};
    provider.read_callback = Callbacks::read_body;
    const std::int32_t id = nghttp2_submit_request(session_, nullptr, fields.span().data(),
        fields.span().size(), has_body ? &provider : nullptr, &stream);
    if (id < 0) {
        // Out of its memory, or of stream ids: it ends with the streams that it has.
        is_leaving_ = true;
        return false;
    }
    stream.id_ = id;
    stream.body_ = request.body;
    streams_.push_back(stream);
    ++live_;
    return true;
}

// ---- Receiving

void Http2ClientSession::receive(std::string_view bytes, MonotonicTime now) {
    if (has_failed_) return;
    now_ = now;
    guard_.received(bytes, now);
    const ssize_t took = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (took < 0) return fail(nghttp2_strerror(static_cast<int>(took)));
    if (!guard_.flooded()) return;
    is_leaving_ = true;
    if (flaw_.empty()) flaw_ = "it sends far more control frames than it has reason to";
    if (nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM) != 0)
        fail("no memory to end the session");
}

void Http2ClientSession::add_field(
    Http2ClientStream& stream, std::string_view name, std::string_view value) {
    // Of interim answers and trailers too: a small block of indexed fields decodes to megabytes.
    stream.head_bytes_ += name.size() + value.size() + kFieldOverheadBytes;
    if (stream.head_bytes_ > kHeadBytesFactorMax * limits_.header_bytes_max) guard_.flood();
    if (stream.is_reset_by_us_) return;
    if (stream.head_bytes_ > limits_.header_bytes_max)
        return refuse(
            stream, fmt::format("the headers have more than {} bytes", limits_.header_bytes_max));
    if (stream.is_head_done_) return;  // trailers are dropped
    if (name == ":status") {
        stream.status_ = 0;  // nghttp2 has seen three digits
        for (const char digit : value) stream.status_ = 10 * stream.status_ + (digit - '0');
        return;
    }
    if (name.starts_with(':')) return;
    stream.head_.add_name(name);
    stream.head_.end_name();
    stream.head_.add_value(value);
    stream.head_.end_value();
    if (stream.head_.headers_count() > limits_.headers_max)
        refuse(stream, fmt::format("more than {} headers", limits_.headers_max));
}

/// Resets the stream for what the server sent on it.
void Http2ClientSession::refuse(Http2ClientStream& stream, std::string flaw) {
    if (std::exchange(stream.is_reset_by_us_, true)) return;
    stream.flaw_ = std::move(flaw);
    if (nghttp2_submit_rst_stream(
            session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_PROTOCOL_ERROR) != 0)
        fail("no memory to reset a stream");
}

void Http2ClientSession::finish_head(Http2ClientStream& stream) {
    if (stream.status_ / 100 == 1) {
        stream.head_.clear();
        return;
    }
    stream.is_head_done_ = true;
    // Who has refused the request, or answered it already, need not be sent the rest.
    if (stream.status_ >= 300) stream.gives_up_body_ = true;
    stream.on_progress();
}

void Http2ClientSession::came(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_GOAWAY) {
        is_leaving_ = true;
        const std::uint32_t code = frame.goaway.error_code;
        if (code != NGHTTP2_NO_ERROR && flaw_.empty())
            flaw_ = fmt::format("it said GOAWAY, {}", nghttp2_http2_strerror(code));
        return;
    }
    if (frame.hd.type == NGHTTP2_SETTINGS && (frame.hd.flags & NGHTTP2_FLAG_ACK) == 0)
        has_settings_ = true;
    Http2ClientStream* stream = find(frame.hd.stream_id);
    if (stream == nullptr) return;
    switch (frame.hd.type) {
        case NGHTTP2_RST_STREAM: stream->is_reset_by_peer_ = true; return;
        case NGHTTP2_HEADERS:
            if (!stream->is_head_done_ && !stream->is_reset_by_us_) finish_head(*stream);
            break;
        case NGHTTP2_DATA: break;
        default: return;
    }
    if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || stream->is_reset_by_us_) return;
    stream->is_whole_ = stream->gives_up_body_ = true;
    stream->on_progress();
}

void Http2ClientSession::closed(Http2ClientStream& stream, std::uint32_t error_code) {
    using End = Http2ClientStream::End;
    nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
    stream.error_code_ = error_code;
    if (stream.is_whole_ && stream.flaw_.empty())
        stream.end_ = End::kWhole;
    else if (stream.is_reset_by_us_ || (!stream.flaw_.empty() && !stream.is_reset_by_peer_))
        stream.end_ = End::kFlawed;
    else if (!stream.is_head_done_ &&
        (error_code == NGHTTP2_REFUSED_STREAM || error_code == NGHTTP2_HTTP_1_1_REQUIRED))
        stream.end_ = End::kUnprocessed;
    else
        stream.end_ = End::kReset;
    if (stream.end_ == End::kUnprocessed) stream.is_sent_ = false;
    stream.body_ = {};
    stream.unlink();
    --live_;
    stream.on_progress();
}

/// Whoever asked has gone.
void Http2ClientSession::abandon(Http2ClientStream& stream) {
    if (!stream.linked()) return;
    stream.unlink();
    --live_;
    if (!stream.is_whole_) ++resets_;
    if (has_failed_) return;
    nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
    if (!stream.is_reset_by_us_ &&
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_,
            stream.is_whole_ ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL) != 0)
        fail("no memory to reset a stream");
}

void Http2ClientSession::lose() {
    has_failed_ = true;
    while (!streams_.empty()) {
        auto& stream = static_cast<Http2ClientStream&>(*streams_.front());
        nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
        using End = Http2ClientStream::End;
        stream.end_ = stream.is_whole_ ? End::kWhole : End::kLost;
        stream.body_ = {};
        stream.unlink();
        --live_;
        stream.on_progress();
    }
}

// ---- Sending

std::string_view Http2ClientSession::produce(MonotonicTime now) {
    if (has_failed_) return {};
    now_ = now;
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) {
        fail(nghttp2_strerror(static_cast<int>(size)));
        return {};
    }
    return text_of(bytes, static_cast<std::size_t>(size));
}

bool Http2ClientSession::is_over() const {
    return has_failed_ ||
        (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void Http2ClientSession::ping() {
    if (has_failed_) return;
    if (nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kLifePing.data()) != 0)
        fail("no memory for a PING");
}

}  // namespace entrepot::net
