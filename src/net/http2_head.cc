#include "net/http2_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace entrepot::net {

void Http2Head::refuse(int status, ErrorCode code, std::string message) {
    if (is_refused()) return;
    error_ = Error{code, std::move(message), {}, {}};
    status_ = status;
}

void Http2Head::add(std::string_view name, std::string_view value) {
    if (bytes_ > limits_->header_bytes_max || name.size() > std::numeric_limits<uint16_t>::max())
        refuse(431, ErrorCode::kHeadersTooLarge,
            fmt::format("the headers have more than {} bytes", limits_->header_bytes_max));
    if (is_refused()) return;
    if (!name.starts_with(':')) {
        put_host();
        add_header(name, value);
    } else if (name == ":method") {
        method_ = value;
    } else if (name == ":authority") {
        authority_ = value;
    } else if (name == ":path") {
        if (value.size() > limits_->target_bytes_max)
            refuse(414, ErrorCode::kHeadersTooLarge,
                fmt::format(
                    "the request target is longer than {} bytes", limits_->target_bytes_max));
        else
            text_.add_target(value);
    }
}

void Http2Head::add_malformed(std::string_view name) {
    refuse(400, ErrorCode::kBadRequest,
        fmt::format("malformed HTTP request: the header '{}' has a character that no header may "
                    "have",
            excerpt(name)));
}

void Http2Head::add_header(std::string_view name, std::string_view value) {
    if (name == "host" && !authority_.empty()) {
        if (!equals_ignoring_case(value, authority_))
            refuse(400, ErrorCode::kBadRequest, "the Host header and :authority differ");
        return;
    }
    text_.add_name(name);
    text_.end_name();
    text_.add_value(value);
    text_.end_value();
    if (text_.headers_count() > limits_->headers_max)
        refuse(431, ErrorCode::kHeadersTooLarge,
            fmt::format("more than {} headers", limits_->headers_max));
}

/// Before any other header, as HTTP/1 clients write it.
void Http2Head::put_host() {
    if (std::exchange(is_host_put_, true) || authority_.empty()) return;
    std::string host;
    host.swap(authority_);
    add_header("host", host);
    authority_.swap(host);
}

void Http2Head::finish() {
    put_host();
    if (!is_refused()) check_method();
    if (!is_refused()) check_target();
    if (!is_refused()) check_headers();
    std::string().swap(authority_);
}

void Http2Head::check_method() {
    static constexpr std::array<std::string_view, 7> kServed{
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    if (std::find(kServed.begin(), kServed.end(), method_) != kServed.end()) return;
    if (method_ == "CONNECT" || method_ == "TRACE")
        return refuse(405, ErrorCode::kMethodNotAllowed, fmt::format("{} is not allowed", method_));
    refuse(501, ErrorCode::kMethodNotAllowed, "the method is not known");
}

void Http2Head::check_target() {
    const std::string_view path = target();
    const bool is_asterisk = path == "*" && method_ == "OPTIONS";
    if (!is_asterisk && !path.starts_with('/'))
        return refuse(400, ErrorCode::kBadRequest, "the request target must begin with '/'");
    if (path.find('#') != std::string_view::npos)
        return refuse(400, ErrorCode::kBadRequest, "the request target holds a fragment ('#')");
    if (!std::all_of(path.begin(), path.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
        refuse(400, ErrorCode::kBadRequest,
            "malformed HTTP request: the target has a character that must be percent-encoded");
}

void Http2Head::check_headers() {
    const FramingHeaders given(headers());
    if (given.hosts != 1)
        return refuse(
            400, ErrorCode::kBadRequest, "exactly one :authority or Host header is required");
    if (!is_host(given.host))
        return refuse(400, ErrorCode::kBadRequest, "the Host header is not a host");
    if (given.expect) {
        if (!equals_ignoring_case(*given.expect, "100-continue"))
            return refuse(417, ErrorCode::kBadRequest, "the only expectation met is 100-continue");
        expects_continue_ = true;
    }
    if (!given.coding.empty() && !equals_ignoring_case(given.coding, "identity"))
        return refuse(415, ErrorCode::kBadRequest,
            fmt::format("the body is compressed ('{}'); send it as it is, without Content-Encoding",
                excerpt(given.coding)));
    if (given.lengths == 0) return;
    // nghttp2 has refused two of them, what is no number, and a body of another length.
    const std::string_view digits = headers().find("content-length").value_or("");
    std::uint64_t length = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (length > limits_->body_bytes_max)
        return refuse(413, ErrorCode::kBodyTooLarge,
            fmt::format(
                "the body has {} bytes; at most {} are accepted", length, limits_->body_bytes_max));
    content_length_ = length;
}

}  // namespace entrepot::net
