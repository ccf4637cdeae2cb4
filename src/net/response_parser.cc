#include "net/response_parser.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace entrepot::net {

namespace {
constexpr std::size_t kKeptBytesMax = 4 * 1024;  // a pooled connection's head text
ResponseParser* self_of(llhttp_t* parser) { return static_cast<ResponseParser*>(parser->data); }
}  // namespace

const llhttp_settings_t& ResponseParser::settings() {
    static const llhttp_settings_t instance = [] {
        llhttp_settings_t s;
        llhttp_settings_init(&s);
        s.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) {
            ResponseParser& self = *self_of(p);
            if (self.state_ != State::kHead) return 0;
            self.head_.add_name({at, n});
            if (self.head_.headers_count() <= self.limits_->headers_max) return 0;
            return self.fail_with(fmt::format("more than {} headers", self.limits_->headers_max));
        };
        s.on_header_field_complete = [](llhttp_t* p) {
            ResponseParser& self = *self_of(p);
            if (self.state_ == State::kHead) self.head_.end_name();
            return 0;
        };
        s.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) {
            ResponseParser& self = *self_of(p);
            if (self.state_ == State::kHead) self.head_.add_value({at, n});
            return 0;
        };
        s.on_header_value_complete = [](llhttp_t* p) {
            ResponseParser& self = *self_of(p);
            if (self.state_ == State::kHead) self.head_.end_value();
            return 0;
        };
        s.on_headers_complete = on_headers_complete;
        s.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
            ResponseParser& self = *self_of(p);
            char* piece =
                const_cast<char*>(at);  // NOLINT: it lies in the mutable span given to feed
            if (self.body_bytes_ == 0) {
                self.body_begin_ = piece;
            } else if (self.body_begin_ + self.body_bytes_ != piece) {
                std::memmove(self.body_begin_ + self.body_bytes_, piece, n);
            }
            self.body_bytes_ += n;
            return 0;
        };
        s.on_message_complete = on_message_complete;
        return s;
    }();
    return instance;
}

ResponseParser::ResponseParser(const ResponseLimits& limits) : limits_(&limits) { reset(false); }

void ResponseParser::begin_message() {
    llhttp_init(&parser_, HTTP_RESPONSE, &settings());
    parser_.data = this;
    head_.clear();
    guard_.reset();
    state_ = State::kHead;
    interim_ = false;
}

void ResponseParser::reset(bool head_request) {
    begin_message();
    head_.shrink(kKeptBytesMax);
    head_request_ = head_request;
    keep_alive_ = begun_ = false;
    head_bytes_ = framing_bytes_ = 0;
    body_total_ = 0;
}

int ResponseParser::fail_with(std::string message) {
    error_ = std::move(message);
    state_ = State::kFailed;
    return HPE_USER;
}

int ResponseParser::on_headers_complete(llhttp_t* parser) {
    ResponseParser& self = *self_of(parser);
    if (parser->http_major != 1) return self.fail_with("not HTTP/1");
    if (parser->status_code == 101) return self.fail_with("it switched protocols unasked");
    if (!self.head_.sound()) return self.fail_with("a header has no name");
    self.interim_ = parser->status_code / 100 == 1;
    const FramingHeaders given(self.headers());
    if (given.encodings > 1 ||
        (given.encodings == 1 && !equals_ignoring_case(given.encoding, "chunked")))
        return self.fail_with("a Transfer-Encoding other than 'chunked'");
    if (given.encodings == 1 && given.lengths > 0)
        return self.fail_with("both Content-Length and Transfer-Encoding");
    if (given.lengths > 1) return self.fail_with("two Content-Length headers");
    if (parser->status_code < 100) return self.fail_with("a status of less than three digits");
    // llhttp would wait for the body that the Content-Length of a 304 speaks of.
    if (self.head_request_ || parser->status_code == 204 || parser->status_code == 304)
        parser->flags |= F_SKIPBODY;
    parser->upgrade = 0;
    self.keep_alive_ = llhttp_should_keep_alive(parser) != 0;
    self.state_ = State::kBody;
    return HPE_PAUSED;
}

int ResponseParser::on_message_complete(llhttp_t* parser) {
    self_of(parser)->state_ = State::kComplete;
    return HPE_PAUSED;
}

ResponseParser::Fed ResponseParser::feed(std::span<char> bytes) {
    body_begin_ = nullptr;
    body_bytes_ = 0;
    std::size_t done = 0;
    if (!bytes.empty()) begun_ = true;
    // Turns: the head, the body; more only for interim answers.
    while (state_ == State::kHead || state_ == State::kBody) {
        const bool in_head = state_ == State::kHead;
        std::span<char> slice = bytes.subspan(done);
        if (in_head && slice.empty()) break;
        if (in_head)
            slice = slice.first(std::min(slice.size(), limits_->header_bytes_max - head_bytes_));
        const std::size_t body_before = body_bytes_;
        const bool paused = llhttp_get_errno(&parser_) == HPE_PAUSED;
        if (paused) llhttp_resume(&parser_);
        if (slice.empty() && !paused) break;
        const llhttp_errno_t code = llhttp_execute(&parser_, slice.data(), slice.size());
        std::size_t consumed = slice.size();
        if (code == HPE_PAUSED) {
            consumed = static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - slice.data());
        } else if (code != HPE_OK) {
            if (state_ != State::kFailed) {
                const char* reason = llhttp_get_error_reason(&parser_);
                fail_with(fmt::format("malformed HTTP: {}",
                    reason != nullptr && *reason != '\0' ? reason : llhttp_errno_name(code)));
            }
            done = bytes.size();
            break;
        }
        done += consumed;
        if (in_head) {
            head_bytes_ += consumed;
            if (!guard_.accepts({slice.data(), consumed})) {
                fail_with("a header line is folded or lacks its CR");
            } else if (state_ == State::kHead && head_bytes_ >= limits_->header_bytes_max) {
                fail_with(
                    fmt::format("the headers have more than {} bytes", limits_->header_bytes_max));
            }
        } else {
            const std::size_t body = body_bytes_ - body_before;
            body_total_ += body;
            framing_bytes_ += consumed - body;
            if (state_ != State::kFailed &&
                framing_bytes_ > limits_->header_bytes_max + 16 * body_total_)
                fail_with("the chunked body is mostly framing");
        }
        if (state_ == State::kComplete && interim_) {
            begin_message();
            continue;
        }
        if (state_ == State::kBody && in_head) continue;
        if (done == bytes.size()) break;
    }
    return {done, {body_begin_, body_bytes_}};
}

void ResponseParser::end_of_stream() {
    if (state_ == State::kComplete || state_ == State::kFailed) return;
    if (state_ == State::kHead) {
        fail_with(begun_ ? "the connection closed inside the headers"
                         : "the connection closed before an answer");
        return;
    }
    keep_alive_ = false;
    const llhttp_errno_t code = llhttp_finish(&parser_);
    if ((code != HPE_OK && code != HPE_PAUSED) || state_ != State::kComplete)
        fail_with("the connection closed inside the body");
}

}  // namespace entrepot::net
