#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <llhttp.h>

#include "base/result.h"
#include "net/head_text.h"
#include "net/message.h"

namespace entrepot::net {

struct ResponseLimits {
    std::size_t header_bytes_max = 64 * 1024;
    std::size_t headers_max = 256;
};

/// A strict HTTP/1 response parser: bytes are pushed in, in any pieces; no I/O. 1xx answers are
/// skipped.
class ResponseParser {
public:
    enum class State : std::uint8_t { kHead, kBody, kComplete, kFailed };

    /// What one piece gave: `consumed` of its bytes, and the decoded `body` among them, which lies
    /// inside the piece.
    struct Fed {
        std::size_t consumed = 0;
        std::string_view body;
    };

    explicit ResponseParser(const ResponseLimits& limits);
    ResponseParser(const ResponseParser&) = delete;
    ResponseParser& operator=(const ResponseParser&) = delete;

    /// Before each response. `head_request`: the answer to HEAD has no body whatever it says.
    void reset(bool head_request);

    /// Parses; bytes of chunked bodies are moved together within `bytes`, so that they read as one
    /// view.
    Fed feed(std::span<char> bytes);
    /// The connection has ended: completes a body that runs to its end, fails any other.
    void end_of_stream();

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] int status() const { return parser_.status_code; }
    [[nodiscard]] Headers headers() const { return head_.headers(); }
    /// Gives the memory of the head back; there are no headers any more.
    void forget_head() { head_.forget(); }
    /// Whether the connection may serve again after a complete response.
    [[nodiscard]] bool keep_alive() const { return keep_alive_; }
    /// Whether any byte of the response has been seen.
    [[nodiscard]] bool begun() const { return begun_; }

private:
    static const llhttp_settings_t& settings();
    static int on_headers_complete(llhttp_t* parser);
    static int on_message_complete(llhttp_t* parser);
    int fail_with(std::string message);
    void begin_message();

    llhttp_t parser_;
    const ResponseLimits* limits_;
    HeadText head_;
    LineGuard guard_;
    std::string error_;
    char* body_begin_ = nullptr;  // within the piece being fed
    std::size_t body_bytes_ = 0;
    std::size_t head_bytes_ = 0;
    std::size_t framing_bytes_ = 0;
    std::uint64_t body_total_ = 0;
    State state_ = State::kHead;
    bool head_request_ = false;
    bool keep_alive_ = false;
    bool begun_ = false;
    bool interim_ = false;
};

}  // namespace entrepot::net
