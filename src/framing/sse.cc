#include "framing/sse.h"

#include <fmt/format.h>

#include <cstring>

namespace entrepot::framing {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kNone = std::string_view::npos;

// The first CR or LF at or after `from`. Two memchr calls are faster than a loop over both.
std::size_t find_line_end(std::string_view text, std::size_t from) {
    const std::size_t lf = text.find('\n', from);
    const std::size_t cr = text.substr(0, lf == kNone ? text.size() : lf).find('\r', from);
    return cr != kNone ? cr : lf;
}

}  // namespace

// The offset behind the next empty line, or kNone. Remembers where in a line the bytes stopped.
std::size_t SseParser::find_block_end(std::string_view bytes) {
    std::size_t at = 0;
    while (at < bytes.size()) {
        if (after_cr_) {
            after_cr_ = false;
            if (bytes[at] == '\n') {
                ++at;
                continue;
            }
        }
        const std::size_t end = find_line_end(bytes, at);
        if (end == kNone) {
            at_line_start_ = false;
            return kNone;
        }
        const bool is_empty = at_line_start_ && end == at;
        at_line_start_ = true;
        after_cr_ = bytes[end] == '\r';
        at = end + 1;
        if (is_empty) return at;
    }
    return kNone;
}

Status SseParser::feed(std::string_view bytes, std::vector<SseEvent>& events) {
    if (has_failed_) return refuse_size();
    joined_.clear();
    while (!bytes.empty()) {
        const std::size_t end = find_block_end(bytes);
        const std::size_t length = end == kNone ? bytes.size() : end;
        if (buffer_.size() + length > options_.event_bytes_max) return refuse_size();
        if (end == kNone) {
            buffer_ += bytes;
            break;
        }
        if (buffer_.empty()) {
            report(bytes.substr(0, end), true, events);
        } else {
            buffer_ += bytes.substr(0, end);
            taken_.swap(buffer_);
            buffer_.clear();
            report(taken_, true, events);
        }
        bytes.remove_prefix(end);
    }
    return {};
}

void SseParser::finish(std::vector<SseEvent>& events) {
    joined_.clear();
    if (has_failed_ || buffer_.empty()) return;
    taken_.swap(buffer_);
    buffer_.clear();
    // What stands between two blocks of a CRLF stream is no block.
    if (taken_ == "\n" && !options_.reports_empty) return;
    report(taken_, false, events);
}

void SseParser::report(std::string_view block, bool is_complete, std::vector<SseEvent>& events) {
    SseEvent event;
    event.raw = block;
    event.is_complete = is_complete;
    if (is_first_ && block.starts_with(kByteOrderMark)) block.remove_prefix(kByteOrderMark.size());
    is_first_ = false;
    std::string* joined = nullptr;
    while (!block.empty()) {
        const std::size_t end = find_line_end(block, 0);
        const std::string_view line = block.substr(0, end);
        block.remove_prefix(end == kNone ? block.size() : end + 1);
        const std::size_t colon = line.find(':');
        const std::string_view field = line.substr(0, colon);
        std::string_view value = colon == kNone ? std::string_view{} : line.substr(colon + 1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        if (field == "event") {
            event.name = value;
        } else if (field == "data") {
            if (!event.has_data) {
                event.data = value;
            } else {
                if (joined == nullptr) joined = &joined_.emplace_front(event.data);
                *joined += '\n';
                *joined += value;
            }
            event.has_data = true;
        }
    }
    if (joined != nullptr) event.data = *joined;
    if (event.has_data || options_.reports_empty) events.push_back(event);
}

Status SseParser::refuse_size() {
    has_failed_ = true;
    buffer_.clear();
    return fail(ErrorCode::kUpstreamProtocol,
        fmt::format(
            "the supplier sent a stream event larger than {} bytes", options_.event_bytes_max));
}

void append_sse(std::string& out, std::string_view name, std::string_view data) {
    if (!name.empty()) {
        out += "event: ";
        out += name;
        out += '\n';
    }
    while (true) {
        const std::size_t end = find_line_end(data, 0);
        out += "data: ";
        out += data.substr(0, end);
        out += '\n';
        if (end == kNone) break;
        const bool is_crlf = data[end] == '\r' && data.substr(end + 1).starts_with('\n');
        data.remove_prefix(end + (is_crlf ? 2 : 1));
    }
    out += '\n';
}

}  // namespace entrepot::framing
