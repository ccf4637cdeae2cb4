#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "dialect/openai_chat/failure.h"
#include "dialect/openai_chat/native.h"
#include "dialect/openai_chat/usage.h"
#include "json/cursor.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {

using json::Cursor;
using json::Kind;

/// What one chunk, or one whole reply, says.
struct Chunk {
    std::string_view service_tier;  // as spelled; such words need no escapes
    canon::Usage usage;
    bool has_usage = false;
    bool has_counts = false;  // the usage states at least one
    bool has_error = false;
    bool has_choices = false;
    std::uint32_t choices = 0;
    std::uint32_t bare_choices = 0;  // without a delta or a message
    std::bitset<128> seen;
    std::bitset<128> finished;
    std::string_view finish_reason;  // of the first choice that has one
    std::int64_t answer_bytes = 0;
    // For `Pattern`: the last text that `answer_bytes` counts, how many it counts, and a padding.
    std::string_view text;
    std::uint32_t texts = 0;
    std::string_view padding;
    // The stretch to cut so that a `usage` that is null goes; empty when there is none.
    std::size_t null_usage_begin = 0;
    std::size_t null_usage_end = 0;
};

namespace {

constexpr std::size_t kPatternBytesMax = 4096;
constexpr std::size_t kDoneBytesMax = 32;  // with white space around

std::int64_t text_bytes(Cursor& cursor, Chunk& chunk) {
    const Kind kind = cursor.peek();
    if (kind == Kind::kString) {
        const std::string_view text = cursor.string();
        // One that is empty here may be said elsewhere: only what counts can be told apart.
        if (!text.empty()) {
            chunk.text = text;
            ++chunk.texts;
        }
        return static_cast<std::int64_t>(text.size());
    }
    const std::string_view raw = cursor.skip();
    if (kind != Kind::kArray) return 0;
    chunk.texts += 2;  // no single text
    // Mistral's parts: their frame counts too, which an estimate forgives.
    return static_cast<std::int64_t>(raw.size());
}

std::int64_t call_bytes(Cursor& cursor, Chunk& chunk) {
    if (cursor.peek() != Kind::kObject) {
        cursor.skip();
        return 0;
    }
    std::int64_t bytes = 0;
    cursor.enter_object();
    while (cursor.next_member()) {
        const std::string_view key = cursor.key();
        if (key == "name" || key == "arguments" || key == "input")
            bytes += text_bytes(cursor, chunk);
        else if (key == "function" || key == "custom")
            bytes += call_bytes(cursor, chunk);
        else
            cursor.skip();
    }
    return bytes;
}

std::int64_t message_bytes(Cursor& cursor, Chunk& chunk) {
    std::int64_t bytes = 0;
    // OpenRouter repeats `reasoning` in `reasoning_details`, others under both names.
    std::int64_t reasoning = 0;
    cursor.enter_object();
    while (cursor.next_member()) {
        const std::string_view key = cursor.key();
        if (key == "content" || key == "refusal") {
            bytes += text_bytes(cursor, chunk);
        } else if (key == "reasoning_content" || key == "reasoning") {
            reasoning = std::max(reasoning, text_bytes(cursor, chunk));
        } else if (key == "tool_calls" && cursor.peek() == Kind::kArray) {
            cursor.enter_array();
            while (cursor.next_item()) bytes += call_bytes(cursor, chunk);
        } else if (key == "function_call") {
            bytes += call_bytes(cursor, chunk);
        } else {
            cursor.skip();
        }
    }
    return bytes + reasoning;
}

void read_choice(Cursor& cursor, std::uint32_t position, Chunk& chunk) {
    if (cursor.peek() != Kind::kObject) {
        cursor.skip();
        return;
    }
    std::size_t index = position;
    bool is_finished = false;
    bool is_bare = true;
    cursor.enter_object();
    while (cursor.next_member()) {
        const std::string_view key = cursor.key();
        const Kind kind = cursor.peek();
        if ((key == "delta" || key == "message") && kind == Kind::kObject) {
            is_bare = false;
            chunk.answer_bytes += message_bytes(cursor, chunk);
        } else if (key == "finish_reason" && kind == Kind::kString) {
            const std::string_view word = cursor.string();
            is_finished = !word.empty();
            if (is_finished && chunk.finish_reason.empty()) chunk.finish_reason = word;
        } else if (key == "index" && kind == Kind::kNumber) {
            const std::string_view text = cursor.number();
            std::size_t value = 0;
            std::from_chars(text.data(), text.data() + text.size(), value);
            index = value;
        } else {
            cursor.skip();
        }
    }
    if (is_bare) ++chunk.bare_choices;
    if (is_bare && !is_finished) return;  // a late filter result is no answer
    index = std::min<std::size_t>(index, chunk.seen.size() - 1);
    chunk.seen.set(index);
    if (is_finished) chunk.finished.set(index);
}

void read_groq(Cursor& cursor, Chunk& chunk) {
    if (cursor.peek() != Kind::kObject) {
        cursor.skip();
        return;
    }
    cursor.enter_object();
    while (cursor.next_member()) {
        if (cursor.key() == "usage" && cursor.peek() == Kind::kObject && !chunk.has_usage) {
            chunk.usage = read_usage(cursor, &chunk.has_counts);
            chunk.has_usage = true;
        } else {
            cursor.skip();
        }
    }
}

/// Reads one JSON text; false when it is none, or no object.
bool read_chunk(std::string_view text, Chunk& chunk) {
    // The client's parser is the judge of a padded number; only what has no structure is refused.
    Cursor cursor(text, json::Numbers::kPadded);
    if (cursor.peek() != Kind::kObject) return false;
    cursor.enter_object();
    std::size_t before = cursor.offset();
    bool is_first = true;
    bool is_open_first = false;  // the null usage was the first member: its comma goes with it
    while (cursor.next_member()) {
        const std::string_view key = cursor.key();
        const Kind kind = cursor.peek();
        if (is_open_first) {
            chunk.null_usage_end = static_cast<std::size_t>(key.data() - 1 - text.data());
            is_open_first = false;
        }
        if (key == "choices" && kind == Kind::kArray) {
            chunk.has_choices = true;
            cursor.enter_array();
            while (cursor.next_item()) read_choice(cursor, chunk.choices++, chunk);
        } else if (key == "usage") {
            if (kind == Kind::kObject) {
                chunk.usage = read_usage(cursor, &chunk.has_counts);
                chunk.has_usage = true;
            } else {
                cursor.skip();
                if (kind == Kind::kNull) {
                    chunk.null_usage_begin = before;
                    chunk.null_usage_end = cursor.offset();
                    is_open_first = is_first;
                }
            }
        } else if (key == "service_tier" && kind == Kind::kString) {
            chunk.service_tier = cursor.string();
        } else if (key == "object" && kind == Kind::kString) {
            chunk.has_error = chunk.has_error || cursor.string() == "error";
        } else if ((key == "obfuscation" || key == "p") && kind == Kind::kString) {
            chunk.padding = cursor.string();
        } else if (key == "x_groq") {
            read_groq(cursor, chunk);
        } else if (key == "error" && kind != Kind::kNull) {
            cursor.skip();
            chunk.has_error = true;
        } else {
            cursor.skip();
        }
        before = cursor.offset();
        is_first = false;
    }
    return cursor.at_end();
}

canon::Failure failure_of(std::string_view text) {
    auto document = json::Document::parse_in_place(text);
    if (document)
        if (auto failure = failure_in(document->root(), 200)) return std::move(*failure);
    canon::Failure failure;
    failure.status = 502;
    failure.message = "the supplier ended the stream with an error it did not describe";
    return failure;
}

/// What one call parses; used up within it.
std::vector<framing::SseEvent>& parsed_events() {
    thread_local std::vector<framing::SseEvent> events;
    events.clear();
    return events;
}

/// Appends `bytes` to the spans, as a part of the last one where they follow it.
void put(std::vector<std::string_view>& out, std::string_view bytes) {
    if (bytes.empty()) return;
    if (!out.empty() && out.back().data() + out.back().size() == bytes.data())
        out.back() = {out.back().data(), out.back().size() + bytes.size()};
    else
        out.push_back(bytes);
}

}  // namespace

Result<MeteredReply> meter_whole(std::string_view body) {
    Chunk chunk;
    if (!read_chunk(body, chunk))
        return fail(ErrorCode::kUpstreamProtocol, "the supplier's reply is not a JSON object");
    MeteredReply reply;
    reply.usage = chunk.usage;
    reply.has_usage = chunk.has_counts;
    reply.service_tier = chunk.service_tier;
    if (!chunk.finish_reason.empty()) reply.stop_reason = stop_reason_of(chunk.finish_reason);
    reply.choices = chunk.choices;
    reply.has_choices = chunk.has_choices;
    reply.answer_bytes = chunk.answer_bytes;
    if (chunk.has_error) reply.failure = failure_of(body);
    return reply;
}

std::optional<Pattern::Match> Pattern::match(std::string_view data) const {
    if (data_.empty()) return std::nullopt;
    Match match{0, null_usage_begin_, null_usage_end_};
    std::size_t at = 0;        // in `data`
    std::size_t at_known = 0;  // in the pattern
    const auto repeats_until = [&](std::size_t end) {
        const std::size_t size = end - at_known;
        if (data.size() - at < size) return false;
        if (std::memcmp(data.data() + at, data_.data() + at_known, size) != 0) return false;
        at += size;
        at_known = end;
        return true;
    };
    for (std::size_t i = 0; i < hole_count_; ++i) {
        const Hole& hole = holes_[i];
        if (!repeats_until(hole.begin)) return std::nullopt;
        Cursor cursor(data.substr(at - 1));  // from the quote
        const std::size_t size = cursor.string().size();
        if (cursor.has_failed() || !cursor.is_utf8_so_far()) return std::nullopt;
        if (hole.is_text) match.answer_bytes = static_cast<std::int64_t>(size);
        if (null_usage_begin_ > hole.begin) {
            match.null_usage_begin += size - hole.size;
            match.null_usage_end += size - hole.size;
        }
        at += size;
        at_known += hole.size;
    }
    if (!repeats_until(data_.size()) || at != data.size()) return std::nullopt;
    return match;
}

void Pattern::learn(std::string_view data, const Chunk& chunk) {
    // Small events are the many; a large one (log probabilities) is not worth its copy.
    const bool is_plain = data.size() <= kPatternBytesMax && chunk.texts == 1 && !chunk.has_usage &&
        !chunk.has_error && chunk.choices > chunk.bare_choices && chunk.finished.none();
    if (!is_plain) {
        forget();
        return;
    }
    data_ = data;
    null_usage_begin_ = chunk.null_usage_begin;
    null_usage_end_ = chunk.null_usage_end;
    const auto hole = [&](std::string_view inside, bool is_text) {
        return Hole{static_cast<std::size_t>(inside.data() - data.data()), inside.size(), is_text};
    };
    holes_[0] = hole(chunk.text, true);
    hole_count_ = 1;
    if (chunk.padding.data() == nullptr) return;
    holes_[hole_count_++] = hole(chunk.padding, false);
    if (holes_[1].begin < holes_[0].begin) std::swap(holes_[0], holes_[1]);
}

std::optional<Pattern::Match> StreamMeter::repeat(const framing::SseEvent& event) {
    if (!event.name.empty()) return std::nullopt;
    const std::optional<Pattern::Match> match = pattern_.match(event.data);
    if (!match) return std::nullopt;
    ++events_;
    answer_bytes_ += match->answer_bytes;
    return match;
}

void StreamMeter::read(const framing::SseEvent& event, Chunk& chunk) {
    ++events_;
    pattern_.forget();
    if (event.data.size() < kDoneBytesMax && trim(event.data) == "[DONE]") {
        is_done_ = true;
        return;
    }
    if (!read_chunk(event.data, chunk)) {
        chunk = {};
        if (event.name == "error")
            failure_ = std::make_unique<canon::Failure>(failure_of(event.data));
        else if (!is_done_)
            ++malformed_;
        return;
    }
    if (chunk.has_counts) {
        usage_ = chunk.usage;
        has_usage_ = true;
    }
    if (!chunk.service_tier.empty() && service_tier_ != chunk.service_tier)
        service_tier_ = chunk.service_tier;
    if (!chunk.finish_reason.empty() && !stop_reason_)
        stop_reason_ = stop_reason_of(chunk.finish_reason);
    seen_choices_ |= chunk.seen;
    finished_choices_ |= chunk.finished;
    answer_bytes_ += chunk.answer_bytes;
    if (chunk.has_error || event.name == "error") {
        chunk.has_error = true;
        failure_ = std::make_unique<canon::Failure>(failure_of(event.data));
    }
    pattern_.learn(event.data, chunk);
}

void StreamMeter::relay(const framing::SseEvent& event, std::vector<std::string_view>& out) {
    std::string_view raw = event.raw;
    // The LF in front ends the block before this one and shares its fate.
    if (line_feed_ != LineFeed::kNone && raw.starts_with('\n')) {
        if (line_feed_ == LineFeed::kToSend) put(out, raw.substr(0, 1));
        raw.remove_prefix(1);
    }
    line_feed_ = LineFeed::kNone;
    if (raw.empty()) return;
    const bool is_sent = put_block(event, raw, out);
    if (raw.ends_with('\r')) line_feed_ = is_sent ? LineFeed::kToSend : LineFeed::kToRemove;
}

bool StreamMeter::put_block(
    const framing::SseEvent& event, std::string_view raw, std::vector<std::string_view>& out) {
    const auto put_without = [&](std::size_t begin, std::size_t end) {
        const bool is_in_raw = event.data.data() >= raw.data() &&
            event.data.data() + event.data.size() <= raw.data() + raw.size();
        if (!options_.strips_usage || end == 0 || !is_in_raw) {
            put(out, raw);
            return;
        }
        const auto data_at = static_cast<std::size_t>(event.data.data() - raw.data());
        put(out, raw.substr(0, data_at + begin));
        put(out, raw.substr(data_at + end));
    };
    if (const auto match = event.has_data ? repeat(event) : std::nullopt) {
        put_without(match->null_usage_begin, match->null_usage_end);
        return true;
    }
    Chunk chunk;
    if (event.has_data) read(event, chunk);
    if (malformed_ != 0) return false;
    if (!chunk.has_choices || chunk.has_error) {
        put(out, raw);
        return true;
    }
    const bool has_content = chunk.choices > chunk.bare_choices || chunk.finished.any();
    if (!has_content &&
        (chunk.has_usage ? options_.strips_usage && chunk.choices == 0
                         : options_.hides_filter_chunks))
        return false;
    put_without(chunk.null_usage_begin, chunk.null_usage_end);
    return true;
}

Status StreamMeter::feed(std::string_view in, std::vector<std::string_view>& out) {
    std::vector<framing::SseEvent>& parsed = parsed_events();
    const Status status = parser_.feed(in, parsed);
    if (!edits()) {
        for (const framing::SseEvent& event : parsed) {
            if (!event.has_data || repeat(event)) continue;
            Chunk chunk;
            read(event, chunk);
            if (malformed_ == 0) continue;
            // What began in bytes that have gone cannot be called back; the rest need not follow.
            if (event.raw.data() >= in.data() && event.raw.data() <= in.data() + in.size())
                put(out, in.substr(0, static_cast<std::size_t>(event.raw.data() - in.data())));
            return malformed();
        }
        put(out, in);
        return status;
    }
    for (const framing::SseEvent& event : parsed) {
        relay(event, out);
        if (malformed_ != 0) return malformed();
    }
    // A client may wait for the second half of the CRLF that ended a block: it does not wait for
    // the rest of the next block, whose first byte it is.
    const std::size_t held = parser_.held_bytes();
    if (status && line_feed_ == LineFeed::kToSend && held > 0 && held <= in.size() &&
        in[in.size() - held] == '\n') {
        put(out, in.substr(in.size() - held, 1));
        line_feed_ = LineFeed::kSent;
    }
    return status;
}

Status StreamMeter::malformed() {
    return fail(
        ErrorCode::kUpstreamProtocol, "the supplier sent a stream event that is not a JSON object");
}

Status StreamMeter::finish(std::vector<std::string_view>& out) {
    std::vector<framing::SseEvent>& parsed = parsed_events();
    parser_.finish(parsed);
    for (const framing::SseEvent& event : parsed) {
        if (edits()) {
            relay(event, out);
        } else if (event.has_data) {
            Chunk chunk;
            read(event, chunk);
        }
    }
    if (failure_) return {};
    if (malformed_ != 0) return malformed();
    if (is_done_ && events_ > 1) return {};
    if (seen_choices_.none() || (seen_choices_ & ~finished_choices_).any())
        return fail(
            ErrorCode::kUpstreamProtocol, "the supplier's stream ended before its answer did");
    return {};
}

std::string stream_failure(const canon::Failure& failure, bool breaks_event) {
    std::string out = breaks_event ? "\n\n" : "";
    framing::append_sse(out, {}, encode_failure(failure));
    return out;
}

}  // namespace entrepot::dialect::openai_chat
