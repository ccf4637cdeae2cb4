#include "dialect/gemini/chunks.h"

#include <fmt/format.h>

#include "base/text.h"

namespace entrepot::dialect::gemini {
namespace {

constexpr std::size_t kHeadBytesMax = 4096;
constexpr std::string_view kSpace = " \t\r\n";

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's stream {}", what));
}

}  // namespace

Status ChunkSplitter::feed(std::string_view bytes, std::vector<std::string>& chunks) {
    if (form_ == Form::kUnknown) {
        const std::size_t first = bytes.find_first_not_of(kSpace);
        if (first == std::string_view::npos && head_.size() + bytes.size() <= kHeadBytesMax) {
            head_ += bytes;
            return {};
        }
        const char told = first == std::string_view::npos ? ':' : bytes[first];
        form_ = told == '[' ? Form::kArray : told == '{' ? Form::kObjects : Form::kEvents;
        if (form_ == Form::kArray) bytes.remove_prefix(first + 1);
        if (form_ == Form::kEvents) ENTREPOT_TRY_DO(feed_events(head_, chunks));
    }
    return form_ == Form::kEvents ? feed_events(bytes, chunks) : feed_json(bytes, chunks);
}

Status ChunkSplitter::feed_events(std::string_view bytes, std::vector<std::string>& chunks) {
    events_.clear();
    const Status fed = sse_.feed(bytes, events_);
    for (const framing::SseEvent& event : events_) {
        const std::string_view text = event.has_data ? event.data : trim(event.raw);
        // Beside events with data there are comments, and errors without `data:`.
        if (event.has_data ? text != "[DONE]" : text.starts_with('{') || text.starts_with('['))
            chunks.emplace_back(text);
    }
    return fed;
}

std::size_t ChunkSplitter::element_end(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = bytes[i];
        if (after_backslash_) {
            after_backslash_ = false;
        } else if (in_string_) {
            after_backslash_ = c == '\\';
            in_string_ = c != '"';
        } else if (c == '"') {
            in_string_ = true;
        } else if (c == '{' || c == '[') {
            ++depth_;
        } else if ((c == '}' || c == ']') && --depth_ == 0) {
            return i + 1;
        }
    }
    return std::string_view::npos;
}

Status ChunkSplitter::feed_json(std::string_view bytes, std::vector<std::string>& chunks) {
    while (!bytes.empty()) {
        if (depth_ == 0) {
            const char c = bytes.front();
            if (kSpace.find(c) != std::string_view::npos) {
                bytes.remove_prefix(1);
                continue;
            }
            if (has_closed_) return malformed("goes on behind the end of its array");
            if (form_ == Form::kArray && c == ']') {
                has_closed_ = true;
                bytes.remove_prefix(1);
                continue;
            }
            if (form_ == Form::kArray && c == ',' && wants_comma_) {
                wants_comma_ = false;
                bytes.remove_prefix(1);
                continue;
            }
            if (c != '{' || (form_ == Form::kArray && wants_comma_))
                return malformed(fmt::format(
                    "holds '{}' where an object should begin", excerpt(bytes.substr(0, 1))));
        }
        const std::size_t end = element_end(bytes);
        const std::string_view piece = bytes.substr(0, end);
        if (element_.size() + piece.size() > kChunkBytesMax)
            return malformed(fmt::format("has a chunk larger than {} bytes", kChunkBytesMax));
        element_ += piece;
        bytes.remove_prefix(piece.size());
        if (end == std::string_view::npos) continue;
        wants_comma_ = true;
        chunks.push_back(std::move(element_));
        element_.clear();
    }
    return {};
}

Status ChunkSplitter::finish(std::vector<std::string>& chunks) {
    if (form_ == Form::kUnknown) return {};
    if (form_ == Form::kEvents) {
        events_.clear();
        sse_.finish(events_);
        for (const framing::SseEvent& event : events_) {
            const std::string_view text = event.has_data ? event.data : trim(event.raw);
            if (event.has_data ? text != "[DONE]" : text.starts_with('{') || text.starts_with('['))
                chunks.emplace_back(text);
        }
        return {};
    }
    if (depth_ != 0) return malformed("ended inside of a chunk");
    if (form_ == Form::kArray && !has_closed_) return malformed("ended inside of its array");
    return {};
}

}  // namespace entrepot::dialect::gemini
