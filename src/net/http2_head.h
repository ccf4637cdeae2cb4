#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/head_text.h"
#include "net/request_parser.h"

namespace entrepot::net {

/// The head of a request as HTTP/2 brings it, one field after the other, held to the rules that
/// RequestParser has for HTTP/1. No I/O. `:authority` becomes the `host` header, so that nobody
/// above knows the difference.
class Http2Head {
public:
    explicit Http2Head(const RequestLimits& limits) : limits_(&limits) {}

    /// Counts a field, of the head or of the trailers.
    void count(std::string_view name, std::string_view value) {
        bytes_ += name.size() + value.size() + kFieldOverheadBytes;
    }
    /// A field that nghttp2 found well-formed and that was counted; pseudo headers come first.
    void add(std::string_view name, std::string_view value);
    /// One that it did not.
    void add_malformed(std::string_view name);
    /// The last field has come.
    void finish();

    /// What to answer instead of serving it; from `finish` on, or from `refuse`.
    [[nodiscard]] bool is_refused() const { return status_ != 0; }
    [[nodiscard]] const Error& error() const { return error_; }
    [[nodiscard]] int error_status() const { return status_; }
    /// The first reason stays.
    void refuse(int status, ErrorCode code, std::string message);

    [[nodiscard]] std::string_view method() const { return method_; }
    [[nodiscard]] std::string_view target() const { return text_.target(); }
    [[nodiscard]] Headers headers() const { return text_.headers(); }
    [[nodiscard]] bool is_head() const { return method_ == "HEAD"; }
    [[nodiscard]] bool expects_continue() const { return expects_continue_; }
    [[nodiscard]] std::optional<std::uint64_t> content_length() const { return content_length_; }
    /// Fields so far, counted as SETTINGS_MAX_HEADER_LIST_SIZE counts.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    /// Gives the memory back: there are no target and no headers any more.
    void forget() { text_.forget(); }

private:
    void add_header(std::string_view name, std::string_view value);
    void put_host();
    void check_method();
    void check_target();
    void check_headers();

    static constexpr std::size_t kFieldOverheadBytes = 32;  // RFC 9113, 6.5.2

    const RequestLimits* limits_;
    HeadText text_;
    std::string method_;
    std::string authority_;
    Error error_;
    std::optional<std::uint64_t> content_length_;
    std::size_t bytes_ = 0;
    int status_ = 0;
    bool is_host_put_ = false;
    bool expects_continue_ = false;
};

}  // namespace entrepot::net
