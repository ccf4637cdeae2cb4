#include "net/request_parser.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"

namespace entrepot::net {

namespace {

constexpr std::size_t kPadding = 64;  // ServerRequest::kBodyPadding
constexpr std::size_t kKeptBytesMax =
    16 * 1024;  // larger buffers are not kept for the next request
constexpr std::size_t kTrustedLengthMax =
    1024 * 1024;  // what a Content-Length may reserve before bytes come

RequestParser* self_of(llhttp_t* parser) { return static_cast<RequestParser*>(parser->data); }

}  // namespace

const llhttp_settings_t& RequestParser::settings() {
    static const llhttp_settings_t instance = [] {
        llhttp_settings_t s;
        llhttp_settings_init(&s);
        s.on_url = [](llhttp_t* p, const char* at, std::size_t n) {
            RequestParser& self = *self_of(p);
            self.head_.add_target({at, n});
            if (self.head_.target().size() <= self.limits_->target_bytes_max) return 0;
            return self.fail_with(414, ErrorCode::kHeadersTooLarge,
                fmt::format(
                    "the request target is longer than {} bytes", self.limits_->target_bytes_max));
        };
        s.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) {
            RequestParser& self = *self_of(p);
            if (self.state_ != State::kHead) return 0;  // trailers are read and dropped
            self.head_.add_name({at, n});
            if (self.head_.headers_count() <= self.limits_->headers_max) return 0;
            return self.fail_with(431, ErrorCode::kHeadersTooLarge,
                fmt::format("more than {} headers", self.limits_->headers_max));
        };
        s.on_header_field_complete = [](llhttp_t* p) {
            RequestParser& self = *self_of(p);
            if (self.state_ == State::kHead) self.head_.end_name();
            return 0;
        };
        s.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) {
            RequestParser& self = *self_of(p);
            if (self.state_ == State::kHead) self.head_.add_value({at, n});
            return 0;
        };
        s.on_header_value_complete = [](llhttp_t* p) {
            RequestParser& self = *self_of(p);
            if (self.state_ == State::kHead) self.head_.end_value();
            return 0;
        };
        s.on_headers_complete = on_headers_complete;
        s.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
            RequestParser& self = *self_of(p);
            if (self.in_place_) return 0;
            if (self.body_.size() + n > self.limits_->body_bytes_max)
                return self.fail_with(413, ErrorCode::kBodyTooLarge,
                    fmt::format("the body is longer than {} bytes", self.limits_->body_bytes_max));
            self.reserve_body(self.body_.size() + n);
            self.body_.append(at, n);
            return 0;
        };
        s.on_message_complete = on_message_complete;
        return s;
    }();
    return instance;
}

RequestParser::RequestParser(const RequestLimits& limits) : limits_(&limits) {
    llhttp_init(&parser_, HTTP_REQUEST, &settings());
    parser_.data = this;
}

void RequestParser::reset() {
    llhttp_init(&parser_, HTTP_REQUEST, &settings());
    parser_.data = this;
    head_.clear();
    head_.shrink(kKeptBytesMax);
    guard_.reset();
    if (body_.capacity() > kKeptBytesMax) std::string().swap(body_);
    body_.clear();
    head_bytes_ = framing_bytes_ = known_length_ = target_begin_ = 0;
    state_ = State::kHead;
    expects_continue_ = in_place_ = begun_ = is_http2_preface_ = false;
}

int RequestParser::fail_with(int status, ErrorCode code, std::string message) {
    error_ = Error{code, std::move(message), {}, {}};
    error_status_ = status;
    state_ = State::kFailed;
    return HPE_USER;
}

int RequestParser::on_headers_complete(llhttp_t* parser) {
    RequestParser& self = *self_of(parser);
    const FramingHeaders given(self.headers());
    if (self.check_head(given) != 0 || self.check_framing(given) != 0) return HPE_USER;
    parser->upgrade = 0;  // we upgrade to nothing: the bytes that follow are a body or a request
    self.keep_alive_ = llhttp_should_keep_alive(parser) != 0;
    self.state_ = State::kBody;
    return HPE_PAUSED;
}

int RequestParser::on_message_complete(llhttp_t* parser) {
    RequestParser& self = *self_of(parser);
    self.state_ = State::kComplete;
    self.reserve_body(self.body_.size());
    return HPE_PAUSED;
}

// Method, version, target, Host, Expect.
int RequestParser::check_head(const FramingHeaders& given) {
    http_1_0_ = parser_.http_major == 1 && parser_.http_minor == 0;
    if (!http_1_0_ && !(parser_.http_major == 1 && parser_.http_minor == 1))
        return fail_with(505, ErrorCode::kBadRequest, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    const auto method = static_cast<llhttp_method>(parser_.method);
    method_ = llhttp_method_name(method);
    switch (method) {
        case HTTP_GET:
        case HTTP_HEAD:
        case HTTP_POST:
        case HTTP_PUT:
        case HTTP_DELETE:
        case HTTP_PATCH:
        case HTTP_OPTIONS: break;
        case HTTP_CONNECT:
        case HTTP_TRACE:
            return fail_with(
                405, ErrorCode::kMethodNotAllowed, fmt::format("{} is not allowed", method_));
        default:
            return fail_with(
                501, ErrorCode::kMethodNotAllowed, fmt::format("{} is not implemented", method_));
    }
    if (head_.target().find('#') != std::string_view::npos)
        return fail_with(400, ErrorCode::kBadRequest, "the request target holds a fragment ('#')");

    if (!head_.sound()) return fail_with(400, ErrorCode::kBadRequest, "a header has no name");
    if (given.hosts > 1 || (given.hosts == 0 && !http_1_0_))
        return fail_with(400, ErrorCode::kBadRequest, "exactly one Host header is required");
    if (!is_host(given.host))
        return fail_with(400, ErrorCode::kBadRequest, "the Host header is not a host");
    // Clients that take us for a proxy send the whole URL; it must not name another host.
    for (const std::string_view scheme : {"http://", "https://"}) {
        const std::string_view whole = head_.target();
        if (!given.host.empty() && equals_ignoring_case(whole.substr(0, scheme.size()), scheme) &&
            equals_ignoring_case(whole.substr(scheme.size(), given.host.size()), given.host) &&
            whole.substr(scheme.size() + given.host.size()).starts_with('/'))
            target_begin_ = scheme.size() + given.host.size();
    }
    const bool asterisk = target() == "*" && method == HTTP_OPTIONS;
    if (!asterisk && !target().starts_with('/'))
        return fail_with(400, ErrorCode::kBadRequest,
            "the request target must begin with '/', or with http:// and what Host says");
    if (given.expect) {
        if (!equals_ignoring_case(*given.expect, "100-continue"))
            return fail_with(
                417, ErrorCode::kBadRequest, "the only expectation met is 100-continue");
        expects_continue_ = !http_1_0_;
    }
    return 0;
}

// llhttp has refused both framings at once, two lengths, and a length that is not a number.
int RequestParser::check_framing(const FramingHeaders& given) {
    if (!given.coding.empty() && !equals_ignoring_case(given.coding, "identity"))
        return fail_with(415, ErrorCode::kBadRequest,
            fmt::format("the body is compressed ('{}'); send it as it is, without Content-Encoding",
                excerpt(given.coding)));
    if (given.encodings > 0) {
        if (http_1_0_)
            return fail_with(400, ErrorCode::kBadRequest, "HTTP/1.0 has no Transfer-Encoding");
        if (given.lengths > 0)
            return fail_with(
                400, ErrorCode::kBadRequest, "both Content-Length and Transfer-Encoding are given");
        if (given.encodings > 1)
            return fail_with(400, ErrorCode::kBadRequest, "Transfer-Encoding is given twice");
        if (!equals_ignoring_case(given.encoding, "chunked"))
            return fail_with(
                501, ErrorCode::kBadRequest, "the only Transfer-Encoding accepted is 'chunked'");
        return 0;
    }
    if (given.lengths > 1)
        return fail_with(400, ErrorCode::kBadRequest, "Content-Length is given twice");
    if (given.lengths == 1) {
        if (parser_.content_length > limits_->body_bytes_max)
            return fail_with(413, ErrorCode::kBodyTooLarge,
                fmt::format("the body has {} bytes; at most {} are accepted",
                    parser_.content_length, limits_->body_bytes_max));
        known_length_ = static_cast<std::size_t>(parser_.content_length);
        reserve_body(std::min(known_length_, kTrustedLengthMax));
    }
    return 0;
}

void RequestParser::reserve_body(std::size_t bytes) {
    if (body_.capacity() >= bytes + kPadding) return;
    body_.reserve(body_.capacity() == 0 || body_.empty()
            ? bytes + kPadding
            : std::max(bytes + kPadding, body_.capacity() * 2));
}

void RequestParser::fail_parse() {
    if (state_ == State::kFailed) return;  // a callback has said why
    const llhttp_errno_t code = llhttp_get_errno(&parser_);
    if (code == HPE_INVALID_METHOD) {
        fail_with(501, ErrorCode::kMethodNotAllowed, "the method is not known");
    } else if (code == HPE_PAUSED_H2_UPGRADE) {
        fail_with(505, ErrorCode::kBadRequest, "HTTP/2 is not spoken on this connection");
        is_http2_preface_ = true;
    } else {
        const char* reason = llhttp_get_error_reason(&parser_);
        fail_with(400, ErrorCode::kBadRequest,
            fmt::format("malformed HTTP request: {}",
                reason != nullptr && *reason != '\0' ? reason : llhttp_errno_name(code)));
    }
}

std::size_t RequestParser::feed(std::string_view bytes) {
    if (bytes.empty() || state_ == State::kComplete || state_ == State::kFailed) return 0;
    begun_ = true;
    const bool in_head = state_ == State::kHead;
    std::string_view slice = bytes;
    if (in_head) slice = slice.substr(0, limits_->header_bytes_max - head_bytes_);
    const std::size_t body_before = body_.size();
    if (llhttp_get_errno(&parser_) == HPE_PAUSED) llhttp_resume(&parser_);

    const llhttp_errno_t code = llhttp_execute(&parser_, slice.data(), slice.size());
    std::size_t consumed = slice.size();
    if (code == HPE_PAUSED) {
        consumed = static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - slice.data());
    } else if (code != HPE_OK) {
        fail_parse();
        if (!is_http2_preface_) return bytes.size();
        return static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - slice.data());
    }
    if (in_head) {
        head_bytes_ += consumed;
        if (!guard_.accepts(slice.substr(0, consumed))) {
            fail_with(400, ErrorCode::kBadRequest,
                "malformed HTTP request: a header line is folded or lacks its CR");
        } else if (state_ == State::kHead && head_bytes_ >= limits_->header_bytes_max) {
            fail_with(431, ErrorCode::kHeadersTooLarge,
                fmt::format("the headers have more than {} bytes", limits_->header_bytes_max));
        } else if (state_ == State::kBody && known_length_ == 0 &&
            (parser_.flags & F_CHUNKED) == 0) {
            // Without a body the message ends here; llhttp says so when resumed, bytes or not.
            llhttp_resume(&parser_);
            llhttp_execute(&parser_, slice.data() + consumed, 0);
            if (state_ == State::kBody) {
                state_ = State::kComplete;
                reserve_body(0);
            }
        }
        return consumed;
    }
    framing_bytes_ += consumed - (body_.size() - body_before);
    // A megabyte of chunk extensions around one byte of body is an attack.
    if (state_ != State::kFailed && framing_bytes_ > limits_->header_bytes_max + 16 * body_.size())
        fail_with(400, ErrorCode::kBadRequest, "the chunked body is mostly framing");
    return consumed;
}

void RequestParser::feed_in_place(std::size_t from) {
    in_place_ = true;
    if (llhttp_get_errno(&parser_) == HPE_PAUSED) llhttp_resume(&parser_);
    const llhttp_errno_t code = llhttp_execute(&parser_, body_.data() + from, body_.size() - from);
    in_place_ = false;
    if (code != HPE_OK && code != HPE_PAUSED) fail_parse();
}

}  // namespace entrepot::net
