#pragma once

// A blocking HTTP/2 client for tests: nghttp2's own client session over a plain socket, and frames
// by hand for what no session would send.

#include <poll.h>

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include "net/testing.h"

namespace entrepot::net::testing {

/// One frame as it stands on the wire.
inline std::string http2_frame(
    std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
    std::string text;
    for (const int shift : {16, 8, 0}) text.push_back(static_cast<char>(payload.size() >> shift));
    text.push_back(static_cast<char>(type));
    text.push_back(static_cast<char>(flags));
    for (const int shift : {24, 16, 8, 0}) text.push_back(static_cast<char>(stream >> shift));
    return text.append(payload);
}

inline constexpr std::string_view kHttp2Magic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What came back on one stream.
struct Http2Answer {
    int status = 0;
    std::map<std::string, std::string> headers;
    std::string body;
    std::vector<int> informational;
    bool ended = false;   ///< END_STREAM has come
    bool closed = false;  ///< ended both ways, or reset
    std::uint32_t error = 0;
};

struct Http2Request {
    std::string method = "POST";
    std::string path = "/p";
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::pair<std::string, std::string>> trailers;
    std::string body;
    std::string authority = "gateway.test";
    bool body_waits = false;  ///< until `release_body`
};

class Http2Client {
public:
    using Settings = std::vector<nghttp2_settings_entry>;

    explicit Http2Client(std::uint16_t port, const Settings& settings = {},
        bool opens_windows = true, int receive_buffer_bytes = 0)
        : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        if (receive_buffer_bytes > 0)
            ::setsockopt(
                socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
        const int one = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to);
        make_session(opens_windows);
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    }
    /// Over TLS; `ssl` and its socket stay the caller's.
    explicit Http2Client(SSL* ssl) : socket_(SSL_get_fd(ssl)), ssl_(ssl) {
        make_session(true);
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    }
    ~Http2Client() {
        nghttp2_session_del(session_);
        close();
    }
    Http2Client(const Http2Client&) = delete;
    Http2Client& operator=(const Http2Client&) = delete;

    /// Begins a request; `pump` or a wait sends it.
    std::int32_t request(const Http2Request& what) {
        std::vector<nghttp2_nv> fields;
        const auto add = [&fields](const std::string& name, const std::string& value) {
            fields.push_back({bytes(name), bytes(value), name.size(), value.size(), 0});
        };
        const std::string method = ":method", scheme = ":scheme", path = ":path";
        const std::string authority = ":authority", http = "http";
        add(method, what.method);
        add(scheme, http);
        if (!what.authority.empty()) add(authority, what.authority);
        add(path, what.path);
        for (const auto& [name, value] : what.headers) add(name, value);
        auto& sending = sending_[next_] = {what.body, what.trailers, what.body_waits};
        nghttp2_data_provider provider{};
        provider.source.ptr = &sending;
        provider.read_callback = read_body;
        const bool has_body = !what.body.empty() || !what.trailers.empty() || what.body_waits;
        const std::int32_t id = nghttp2_submit_request(
            session_, nullptr, fields.data(), fields.size(), has_body ? &provider : nullptr, this);
        next_ = id + 2;
        return id;
    }
    void release_body(std::int32_t id) {
        sending_.at(id).waits = false;
        nghttp2_session_resume_data(session_, id);
    }
    void reset(std::int32_t id, std::uint32_t error = NGHTTP2_CANCEL) {
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error);
        flush();
    }
    void open_window(std::int32_t id, std::int32_t bytes) {
        nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, id, bytes);
        flush();
    }
    [[nodiscard]] nghttp2_session* session() { return session_; }

    void flush() { send_raw(collect()); }
    /// What the session would send, without sending it.
    std::string collect() {
        std::string all;
        const std::uint8_t* data = nullptr;
        for (;;) {
            const ssize_t size = nghttp2_session_mem_send(session_, &data);
            if (size <= 0) return all;
            all.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
        }
    }
    void send_raw(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = ssl_ != nullptr
                ? SSL_write(ssl_, text.data(), static_cast<int>(text.size()))
                : ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    /// Sends and receives until `done()` or for 5 seconds; whether it was done.
    template <typename Done>
    bool pump_until(Done done, milliseconds patience = milliseconds(5000)) {
        const auto end = std::chrono::steady_clock::now() + patience;
        for (;;) {
            flush();
            if (done()) return true;
            if (is_closed_) return false;
            const auto left =
                std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
            pollfd waits{socket_, POLLIN, 0};
            const bool is_there = ssl_ != nullptr && SSL_pending(ssl_) > 0;
            if (!is_there &&
                (left.count() <= 0 || ::poll(&waits, 1, static_cast<int>(left.count())) <= 0))
                return done();
            char text[65536];
            const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_, text, sizeof text)
                                                : ::recv(socket_, text, sizeof text, 0);
            if (got <= 0) {
                is_closed_ = true;
                continue;
            }
            if (nghttp2_session_mem_recv(session_, reinterpret_cast<std::uint8_t*>(text),
                    static_cast<std::size_t>(got)) < 0)
                is_closed_ = true;
        }
    }
    Http2Answer& wait(std::int32_t id, milliseconds patience = milliseconds(5000)) {
        pump_until([&] { return answers_[id].closed; }, patience);
        return answers_[id];
    }
    Http2Answer& fetch(const Http2Request& what) { return wait(request(what)); }
    [[nodiscard]] Http2Answer& answer(std::int32_t id) { return answers_[id]; }
    /// The error code of the last GOAWAY, or -1; waits for the server to close.
    std::int64_t goaway_at_end(milliseconds patience = milliseconds(5000)) {
        pump_until([&] { return is_closed_; }, patience);
        return goaway_;
    }
    /// Reads what has come without answering it.
    void read_raw(int patience_ms) {
        pollfd waits{socket_, POLLIN, 0};
        while (!is_closed_ && ::poll(&waits, 1, patience_ms) > 0) {
            char text[65536];
            const ssize_t got = ::recv(socket_, text, sizeof text, 0);
            is_closed_ = got <= 0;
            if (got > 0) raw_.append(text, static_cast<std::size_t>(got));
        }
        const auto byte = [this](std::size_t at) {
            return std::uint32_t{static_cast<unsigned char>(raw_[at])};
        };
        while (raw_.size() >= 9) {
            const std::size_t size = byte(0) << 16U | byte(1) << 8U | byte(2);
            if (raw_.size() < 9 + size) return;
            if (byte(3) == NGHTTP2_GOAWAY)
                goaway_ = byte(13) << 24U | byte(14) << 16U | byte(15) << 8U | byte(16);
            raw_.erase(0, 9 + size);
        }
    }
    /// The same as goaway_at_end for a client whose session knows nothing of what was sent by hand.
    std::int64_t raw_goaway_at_end() {
        for (int i = 0; i < 100 && !is_closed_; ++i) read_raw(50);
        return goaway_;
    }
    [[nodiscard]] std::int64_t goaway() const { return goaway_; }
    [[nodiscard]] bool closed() const { return is_closed_; }
    void close() {
        if (socket_ >= 0 && ssl_ == nullptr) ::close(socket_);
        socket_ = -1;
    }

private:
    struct Sending {
        std::string left;
        std::vector<std::pair<std::string, std::string>> trailers;
        bool waits = false;
    };

    static std::uint8_t* bytes(const std::string& text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // NOLINT
    }
    static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* into,
        std::size_t size, std::uint32_t* flags, nghttp2_data_source* source, void*) {
        Sending& sending = *static_cast<Sending*>(source->ptr);
        if (sending.waits) return NGHTTP2_ERR_DEFERRED;
        const std::size_t taken = std::min(size, sending.left.size());
        sending.left.copy(reinterpret_cast<char*>(into), taken);
        sending.left.erase(0, taken);
        if (sending.left.empty()) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            if (!sending.trailers.empty()) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                std::vector<nghttp2_nv> fields;
                for (const auto& [name, value] : sending.trailers)
                    fields.push_back({bytes(name), bytes(value), name.size(), value.size(), 0});
                nghttp2_submit_trailer(session, id, fields.data(), fields.size());
            }
        }
        return static_cast<ssize_t>(taken);
    }
    void make_session(bool opens_windows) {
        nghttp2_session_callbacks* set = nullptr;
        nghttp2_session_callbacks_new(&set);
        nghttp2_session_callbacks_set_on_header_callback(set,
            [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                std::size_t name_bytes, const std::uint8_t* value, std::size_t value_bytes,
                std::uint8_t, void* user) {
                Http2Answer& answer =
                    static_cast<Http2Client*>(user)->answers_[frame->hd.stream_id];
                const std::string key(reinterpret_cast<const char*>(name), name_bytes);
                const std::string text(reinterpret_cast<const char*>(value), value_bytes);
                if (key != ":status")
                    answer.headers[key] = text;
                else if (text[0] == '1')
                    answer.informational.push_back(std::stoi(text));
                else
                    answer.status = std::stoi(text);
                return 0;
            });
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(set,
            [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                std::size_t size, void* user) {
                static_cast<Http2Client*>(user)->answers_[id].body.append(
                    reinterpret_cast<const char*>(data), size);
                return 0;
            });
        nghttp2_session_callbacks_set_on_frame_recv_callback(
            set, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                auto& self = *static_cast<Http2Client*>(user);
                if (frame->hd.type == NGHTTP2_GOAWAY) self.goaway_ = frame->goaway.error_code;
                if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
                    self.answers_[frame->hd.stream_id].ended = true;
                return 0;
            });
        nghttp2_session_callbacks_set_on_stream_close_callback(
            set, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
                Http2Answer& answer = static_cast<Http2Client*>(user)->answers_[id];
                answer.closed = true;
                answer.error = error;
                return 0;
            });
        nghttp2_option* option = nullptr;
        nghttp2_option_new(&option);
        nghttp2_option_set_no_auto_window_update(option, opens_windows ? 0 : 1);
        nghttp2_session_client_new2(&session_, set, this, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(set);
    }

    int socket_;
    SSL* ssl_ = nullptr;
    nghttp2_session* session_ = nullptr;
    std::int32_t next_ = 1;
    std::map<std::int32_t, Sending> sending_;
    std::map<std::int32_t, Http2Answer> answers_;
    std::string raw_;
    std::int64_t goaway_ = -1;
    bool is_closed_ = false;
};

}  // namespace entrepot::net::testing
