#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <llhttp.h>

#include "base/result.h"
#include "net/head_text.h"
#include "net/message.h"

namespace entrepot::net {

struct RequestLimits {
    std::size_t header_bytes_max = 64 * 1024;
    std::size_t headers_max = 128;
    std::size_t target_bytes_max = 16 * 1024;
    std::size_t body_bytes_max = 64 * 1024 * 1024;
};

/// A strict HTTP/1 request parser: bytes are pushed in, in any pieces; no I/O. Two readings of
/// where a request ends are how requests are smuggled, so everything that allows two is refused.
class RequestParser {
public:
    enum class State : std::uint8_t { kHead, kBody, kComplete, kFailed };

    explicit RequestParser(const RequestLimits& limits);
    RequestParser(const RequestParser&) = delete;
    RequestParser& operator=(const RequestParser&) = delete;

    /// Takes bytes up to the end of the request; returns how many. Also stops after the head, once,
    /// so that `expects_continue` can be obeyed.
    std::size_t feed(std::string_view bytes);
    [[nodiscard]] State state() const { return state_; }

    /// When kFailed: what to answer. The connection cannot go on.
    [[nodiscard]] const Error& error() const { return error_; }
    [[nodiscard]] int error_status() const { return error_status_; }
    /// When kFailed: whether because HTTP/2's preface came; what follows it has not been taken.
    [[nodiscard]] bool is_http2_preface() const { return is_http2_preface_; }

    /// From the end of the head on.
    [[nodiscard]] std::string_view method() const { return method_; }
    [[nodiscard]] std::string_view target() const { return head_.target().substr(target_begin_); }
    [[nodiscard]] Headers headers() const { return head_.headers(); }
    /// Gives the memory of the head back: there are no target and no headers any more.
    void forget_head() {
        head_.forget();
        target_begin_ = 0;
    }
    [[nodiscard]] bool keep_alive() const { return keep_alive_; }
    [[nodiscard]] bool http_1_0() const { return http_1_0_; }
    [[nodiscard]] bool expects_continue() const { return expects_continue_; }
    [[nodiscard]] bool is_head() const { return parser_.method == HTTP_HEAD; }

    /// The body so far; at the end its capacity exceeds its size by 64 at least.
    [[nodiscard]] std::string& body() { return body_; }
    /// Whether any byte of a request has been seen since `reset`.
    [[nodiscard]] bool begun() const { return begun_; }

    /// Bytes of a body of known length that are still missing; 0 when unknown.
    [[nodiscard]] std::size_t body_bytes_left() const {
        return state_ == State::kBody && known_length_ > body_.size() ? known_length_ - body_.size()
                                                                      : 0;
    }
    /// Lets `read(char*, std::size_t) -> ssize_t` put up to `bytes` straight behind the body,
    /// without a copy. `bytes` <= body_bytes_left(). Returns what `read` returned.
    template <typename Read>
    ssize_t receive_body(std::size_t bytes, Read&& read) {
        const std::size_t before = body_.size();
        reserve_body(before + bytes);
        ssize_t got = 0;
        body_.resize_and_overwrite(before + bytes, [&](char* text, std::size_t) {
            got = read(text + before, bytes);
            return before + (got > 0 ? static_cast<std::size_t>(got) : 0);
        });
        if (got > 0) feed_in_place(before);
        return got;
    }

    /// Ready for the next request; buffers above 16 KiB are given back.
    void reset();

private:
    static const llhttp_settings_t& settings();
    static int on_headers_complete(llhttp_t* parser);
    static int on_message_complete(llhttp_t* parser);
    int fail_with(int status, ErrorCode code, std::string message);
    int check_head(const FramingHeaders& given);
    int check_framing(const FramingHeaders& given);
    void fail_parse();
    void reserve_body(std::size_t bytes);
    void feed_in_place(std::size_t from);

    llhttp_t parser_;
    const RequestLimits* limits_;
    HeadText head_;
    LineGuard guard_;
    std::string body_;
    std::string_view method_;
    Error error_;
    std::size_t head_bytes_ = 0;  // fed while in the head
    std::size_t framing_bytes_ =
        0;  // fed in the body and not body: chunk sizes, extensions, trailers
    std::size_t known_length_ = 0;
    std::size_t target_begin_ = 0;  // behind `http://host` of an absolute target
    int error_status_ = 0;
    State state_ = State::kHead;
    bool keep_alive_ = false;
    bool http_1_0_ = false;
    bool expects_continue_ = false;
    bool in_place_ = false;
    bool begun_ = false;
    bool is_http2_preface_ = false;
};

}  // namespace entrepot::net
