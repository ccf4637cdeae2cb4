#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// AWS's binary event-stream framing (application/vnd.amazon.eventstream), both ways. Big-endian:
// total length, header length, CRC of those, headers, payload, CRC of all before.
namespace entrepot::framing {

enum class EventStreamType : std::uint8_t {
    kTrue = 0,
    kFalse = 1,
    kByte = 2,
    kShort = 3,
    kInt = 4,
    kLong = 5,
    kBytes = 6,
    kString = 7,
    kTimestamp = 8,  ///< milliseconds since 1970
    kUuid = 9,
};

struct EventStreamHeader {
    std::string_view name;
    EventStreamType type = EventStreamType::kString;
    std::string_view value;  ///< the value's own bytes: the text of a string, a number big-endian
};

/// One message whose checksums were right. The views live until the next call of the parser that
/// gave them, and no longer than the bytes that were fed.
struct EventStreamMessage {
    std::string_view headers;  ///< the block; well formed
    std::string_view payload;
    std::string_view raw;  ///< the whole frame

    /// The text of the string header of that name, or empty.
    [[nodiscard]] std::string_view find(std::string_view name) const;
    /// All headers, in order.
    [[nodiscard]] std::vector<EventStreamHeader> list() const;
};

struct EventStreamOptions {
    /// AWS allows 24 MB of payload; the rest is room for headers and framing.
    std::size_t message_bytes_max = std::size_t{25} << 20;
    std::size_t headers_bytes_max = std::size_t{128} << 10;
};

/// Messages from bytes that may be split anywhere; each is given out with the byte that completes
/// it. Lengths are believed only after the prelude's checksum. Holds at most one message. After an
/// error the parser is done and every call fails.
class EventStreamParser {
public:
    explicit EventStreamParser(EventStreamOptions options = {}) : options_(options) {}

    /// Appends the messages that `bytes` complete. Errors: kUpstreamProtocol (checksum, sizes,
    /// malformed headers); messages appended before it stand.
    [[nodiscard]] Status feed(std::string_view bytes, std::vector<EventStreamMessage>& messages);
    /// The stream has ended. Errors: kUpstreamProtocol when it ended inside a message.
    [[nodiscard]] Status finish();
    [[nodiscard]] std::size_t held_bytes() const { return buffer_.size(); }

private:
    [[nodiscard]] Result<std::size_t> message_bytes(std::string_view prelude);
    [[nodiscard]] Status report(std::string_view frame, std::vector<EventStreamMessage>& messages);
    [[nodiscard]] Status refuse(std::string message);

    EventStreamOptions options_;
    std::string buffer_;  // the message that is not complete
    std::string taken_;   // the buffered message that this call completed
    bool has_failed_ = false;
};

/// Appends one frame. Names up to 255 bytes; strings and byte values up to 65535, numbers of their
/// own size.
void append_event_stream(
    std::string& out, std::span<const EventStreamHeader> headers, std::string_view payload);

/// A frame as Bedrock writes its events: `:event-type`, `:content-type: application/json`,
/// `:message-type: event`.
void append_event_stream_event(
    std::string& out, std::string_view event_type, std::string_view json_payload);

/// The same for an exception: `:exception-type`, `:message-type: exception`.
void append_event_stream_exception(
    std::string& out, std::string_view exception_type, std::string_view json_payload);

}  // namespace entrepot::framing
