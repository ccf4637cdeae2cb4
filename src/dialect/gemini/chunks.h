#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "framing/sse.h"

namespace entrepot::dialect::gemini {

/// The JSON texts of a stream, in either of Google's two forms: server-sent events (`alt=sse`), or
/// one JSON array that is sent piecemeal. Which it is, its first byte tells. Between events, and
/// instead of either form, an error can stand as a bare object.
/// Bytes may be split anywhere; a text is given out with the byte that completes it. Holds at most
/// one text of `chunk_bytes_max`.
class ChunkSplitter {
public:
    static constexpr std::size_t kChunkBytesMax = std::size_t{32} << 20;  // a picture in base64

    ChunkSplitter() : sse_({.event_bytes_max = kChunkBytesMax, .reports_empty = true}) {}

    /// Appends the texts that `bytes` complete. Errors: kUpstreamProtocol; texts before it stand.
    [[nodiscard]] Status feed(std::string_view bytes, std::vector<std::string>& chunks);
    /// The stream has ended. Errors: kUpstreamProtocol inside of an array or an object.
    [[nodiscard]] Status finish(std::vector<std::string>& chunks);

private:
    enum class Form : std::uint8_t { kUnknown, kEvents, kArray, kObjects };

    Status feed_events(std::string_view bytes, std::vector<std::string>& chunks);
    Status feed_json(std::string_view bytes, std::vector<std::string>& chunks);
    /// Where the element that is open ends in `bytes`: behind its bracket, or npos.
    std::size_t element_end(std::string_view bytes);

    Form form_ = Form::kUnknown;
    std::string head_;  // white space before the first byte that tells the form
    framing::SseParser sse_;
    std::vector<framing::SseEvent> events_;
    std::string element_;
    unsigned depth_ = 0;
    bool in_string_ = false;
    bool after_backslash_ = false;
    bool wants_comma_ = false;
    bool has_closed_ = false;  // the array's own bracket
};

}  // namespace entrepot::dialect::gemini
