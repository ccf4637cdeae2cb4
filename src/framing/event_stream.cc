#include "framing/event_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/hash.h"

namespace entrepot::framing {
namespace {

constexpr std::size_t kPreludeBytes = 12;  // two lengths and their checksum
constexpr std::size_t kCrcBytes = 4;

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}

std::size_t read_u16(std::string_view bytes, std::size_t at) {
    return static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[at])) << 8 |
        static_cast<std::uint8_t>(bytes[at + 1]);
}

void append_u32(std::string& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

/// Takes one header off `block`. False when it is malformed.
bool take_header(std::string_view& block, EventStreamHeader& header) {
    // Bytes of a value by its type; -1: two bytes of length stand before it.
    static constexpr std::array<int, 10> kSizes{0, 0, 1, 2, 4, 8, -1, -1, 8, 16};
    const std::size_t name_bytes = static_cast<std::uint8_t>(block[0]);
    if (name_bytes == 0 || block.size() < name_bytes + 2) return false;
    header.name = block.substr(1, name_bytes);
    const auto type = static_cast<std::uint8_t>(block[name_bytes + 1]);
    if (type >= kSizes.size()) return false;
    header.type = static_cast<EventStreamType>(type);
    block.remove_prefix(name_bytes + 2);
    std::size_t value_bytes = 0;
    if (kSizes[type] >= 0) {
        value_bytes = static_cast<std::size_t>(kSizes[type]);
    } else {
        if (block.size() < 2) return false;
        value_bytes = read_u16(block, 0);
        block.remove_prefix(2);
    }
    if (block.size() < value_bytes) return false;
    header.value = block.substr(0, value_bytes);
    block.remove_prefix(value_bytes);
    return true;
}

bool well_formed(std::string_view block) {
    EventStreamHeader header;
    while (!block.empty())
        if (!take_header(block, header)) return false;
    return true;
}

}  // namespace

std::string_view EventStreamMessage::find(std::string_view name) const {
    std::string_view block = headers;
    EventStreamHeader header;
    while (!block.empty() && take_header(block, header))
        if (header.type == EventStreamType::kString && header.name == name) return header.value;
    return {};
}

std::vector<EventStreamHeader> EventStreamMessage::list() const {
    std::vector<EventStreamHeader> all;
    std::string_view block = headers;
    EventStreamHeader header;
    while (!block.empty() && take_header(block, header)) all.push_back(header);
    return all;
}

Status EventStreamParser::refuse(std::string message) {
    has_failed_ = true;
    buffer_.clear();
    return fail(ErrorCode::kUpstreamProtocol, std::move(message));
}

Result<std::size_t> EventStreamParser::message_bytes(std::string_view prelude) {
    const std::size_t total = read_u32(prelude, 0);
    const std::size_t headers = read_u32(prelude, 4);
    const auto refused = [&](std::string what) -> Result<std::size_t> {
        return std::unexpected(refuse(std::move(what)).error());
    };
    if (crypto::crc32(prelude.substr(0, 8)) != read_u32(prelude, 8))
        return refused("the event stream's prelude does not match its checksum");
    if (total < kPreludeBytes + kCrcBytes || headers > total - kPreludeBytes - kCrcBytes)
        return refused(fmt::format(
            "an event-stream message of {} bytes cannot hold {} bytes of headers", total, headers));
    if (total > options_.message_bytes_max || headers > options_.headers_bytes_max)
        return refused(fmt::format(
            "an event-stream message of {} bytes with {} of headers exceeds the limits {} and {}",
            total, headers, options_.message_bytes_max, options_.headers_bytes_max));
    return total;
}

Status EventStreamParser::report(
    std::string_view frame, std::vector<EventStreamMessage>& messages) {
    const std::string_view covered = frame.substr(0, frame.size() - kCrcBytes);
    if (crypto::crc32(covered) != read_u32(frame, covered.size()))
        return refuse("an event-stream message does not match its checksum");
    const std::size_t headers_bytes = read_u32(frame, 4);
    EventStreamMessage message;
    message.headers = covered.substr(kPreludeBytes, headers_bytes);
    message.payload = covered.substr(kPreludeBytes + headers_bytes);
    message.raw = frame;
    if (!well_formed(message.headers))
        return refuse("an event-stream message has malformed headers");
    messages.push_back(message);
    return {};
}

Status EventStreamParser::feed(std::string_view bytes, std::vector<EventStreamMessage>& messages) {
    if (has_failed_) return refuse("the event stream has failed before");
    if (!buffer_.empty()) {
        if (buffer_.size() < kPreludeBytes) {
            const std::size_t wanted = std::min(kPreludeBytes - buffer_.size(), bytes.size());
            buffer_ += bytes.substr(0, wanted);
            bytes.remove_prefix(wanted);
            if (buffer_.size() < kPreludeBytes) return {};
        }
        ENTREPOT_TRY(const std::size_t total, message_bytes(buffer_));
        const std::size_t wanted = std::min(total - buffer_.size(), bytes.size());
        buffer_ += bytes.substr(0, wanted);
        bytes.remove_prefix(wanted);
        if (buffer_.size() < total) return {};
        taken_.swap(buffer_);
        buffer_.clear();
        ENTREPOT_TRY_DO(report(taken_, messages));
    }
    while (bytes.size() >= kPreludeBytes) {
        ENTREPOT_TRY(const std::size_t total, message_bytes(bytes));
        if (bytes.size() < total) break;
        ENTREPOT_TRY_DO(report(bytes.substr(0, total), messages));
        bytes.remove_prefix(total);
    }
    buffer_ += bytes;
    return {};
}

Status EventStreamParser::finish() {
    if (has_failed_) return refuse("the event stream has failed before");
    if (buffer_.empty()) return {};
    return refuse(fmt::format("the event stream ended {} bytes into a message", buffer_.size()));
}

void append_event_stream(
    std::string& out, std::span<const EventStreamHeader> headers, std::string_view payload) {
    const std::size_t begin = out.size();
    out.append(kPreludeBytes, '\0');
    for (const EventStreamHeader& header : headers) {
        ENTREPOT_CHECK(!header.name.empty() && header.name.size() <= 0xff);
        ENTREPOT_CHECK(header.value.size() <= 0xffff);
        out += static_cast<char>(header.name.size());
        out += header.name;
        out += static_cast<char>(header.type);
        if (header.type == EventStreamType::kString || header.type == EventStreamType::kBytes) {
            out += static_cast<char>(header.value.size() >> 8);
            out += static_cast<char>(header.value.size() & 0xff);
        }
        out += header.value;
    }
    const std::size_t headers_bytes = out.size() - begin - kPreludeBytes;
    out += payload;
    const std::size_t total = out.size() - begin + kCrcBytes;
    ENTREPOT_CHECK(total <= 0xffffffff);
    std::string prelude;
    append_u32(prelude, static_cast<std::uint32_t>(total));
    append_u32(prelude, static_cast<std::uint32_t>(headers_bytes));
    append_u32(prelude, crypto::crc32(prelude));
    out.replace(begin, kPreludeBytes, prelude);
    append_u32(out, crypto::crc32(std::string_view(out).substr(begin)));
}

void append_event_stream_event(
    std::string& out, std::string_view event_type, std::string_view json_payload) {
    const std::array<EventStreamHeader, 3> headers{{
        {":event-type", EventStreamType::kString, event_type},
        {":content-type", EventStreamType::kString, "application/json"},
        {":message-type", EventStreamType::kString, "event"},
    }};
    append_event_stream(out, headers, json_payload);
}

void append_event_stream_exception(
    std::string& out, std::string_view exception_type, std::string_view json_payload) {
    const std::array<EventStreamHeader, 3> headers{{
        {":exception-type", EventStreamType::kString, exception_type},
        {":content-type", EventStreamType::kString, "application/json"},
        {":message-type", EventStreamType::kString, "exception"},
    }};
    append_event_stream(out, headers, json_payload);
}

}  // namespace entrepot::framing
