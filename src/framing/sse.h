#pragma once

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::framing {

/// One block of an event stream. The views live until the next call of the parser that gave them,
/// and no longer than the bytes that were fed.
struct SseEvent {
    std::string_view name;  ///< the `event:` field; empty when there is none
    std::string_view data;  ///< the `data:` lines, joined by LF
    /// The block's own bytes with its comments and its empty line. The LF of a CRLF that ends a
    /// block is the first byte of the next block, so that nothing waits for it.
    std::string_view raw;
    bool has_data = false;    ///< false: comments or other fields only
    bool is_complete = true;  ///< false: the stream ended before the block's empty line
};

struct SseOptions {
    std::size_t event_bytes_max = std::size_t{8} << 20;  ///< of one block, everything counted
    /// Also report blocks without data (keep-alive comments): then the `raw`s add up to the stream.
    bool reports_empty = false;
};

/// Server-sent events from bytes that may be split anywhere, as the HTML standard reads them: CR,
/// LF and CRLF, a byte order mark, comments, `data:` with and without a space. An event is given
/// out with the byte that completes it.
/// Holds at most one block. After an error the parser is done and every call fails.
class SseParser {
public:
    explicit SseParser(SseOptions options = {}) : options_(options) {}

    /// Appends the events that `bytes` complete. Errors: kUpstreamProtocol when a block is larger
    /// than `event_bytes_max`; events appended before it stand.
    [[nodiscard]] Status feed(std::string_view bytes, std::vector<SseEvent>& events);
    /// The stream has ended. A block that lacks only its empty line, or a part of it, is appended
    /// as an event that is not complete: what it is worth is for the dialect to say.
    void finish(std::vector<SseEvent>& events);
    /// Bytes held back until their block is complete.
    [[nodiscard]] std::size_t held_bytes() const { return buffer_.size(); }

private:
    std::size_t find_block_end(std::string_view bytes);
    void report(std::string_view block, bool is_complete, std::vector<SseEvent>& events);
    Status refuse_size();

    SseOptions options_;
    std::string buffer_;                     // the block that is not complete
    std::string taken_;                      // the buffered block that this call completed
    std::forward_list<std::string> joined_;  // data of more than one line, given out by this call
    bool at_line_start_ = true;
    bool after_cr_ = false;
    bool is_first_ = true;
    bool has_failed_ = false;
};

/// Appends one event: `event: name` unless empty, a `data:` line per line of `data`, the empty
/// line.
void append_sse(std::string& out, std::string_view name, std::string_view data);

}  // namespace entrepot::framing
