#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/facts.h"
#include "canon/reply.h"
#include "canon/usage.h"
#include "dialect/dialect.h"
#include "framing/sse.h"

// The native lane: client and supplier both speak chat completions, so bytes pass untouched but for
// a closed list of edits. Nothing here builds a tree or serialises JSON again.
namespace entrepot::dialect::openai_chat {

/// A place in the request body, in bytes; `size` 0 means absent.
struct Span {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
    [[nodiscard]] bool is_present() const { return size != 0; }
    [[nodiscard]] std::uint32_t end() const { return begin + size; }
    [[nodiscard]] std::string_view in(std::string_view body) const {
        return body.substr(begin, size);
    }
};

/// What planning and holding need to know of a request, and where the edits go, read in one pass.
/// `service_tier`, `user` (`safety_identifier`, else `user`) and the rest as canon says;
/// `file_ids` are `file` parts that name a stored file.
struct RequestFacts : canon::RequestFacts {
    std::optional<std::int64_t> max_tokens;
    std::optional<std::int64_t> max_completion_tokens;

    Span model_span;                  ///< the string with its quotes; absent: the path names it
    Span max_tokens_span;             ///< the number or null
    Span max_completion_tokens_span;  ///< the number or null
    Span stream_options_span;         ///< the object or null
    Span include_usage_span;          ///< the boolean or null inside it
    bool has_stream_options_members = false;
    Span messages_span;
    Span first_member;  ///< the quote of the first key, where members can be inserted

    void clear();
};

/// Reads `body` (a whole JSON text of at most 2^32 - 1 bytes) once: grammar, the fields above, and
/// the types and ranges of the fields it reads. Unknown fields are left alone.
/// `model_in_path`, when not empty, stands above the body's, which may then have none.
/// Errors: kBadRequest (not JSON, not an object, a field we read given twice), kInvalidField with
/// the field's path, the value seen and what is accepted.
[[nodiscard]] Status inspect(
    std::string_view body, RequestFacts& facts, std::string_view model_in_path = {});

/// Whether requests and replies of a dialect are chat completions, under whatever name.
[[nodiscard]] bool speaks_chat(const Dialect& dialect);

/// The closed list of edits.
struct Edits {
    std::string_view model_id;  ///< the offer's own id; empty leaves what the body has
    /// A cap to state when the request has none, and to clamp larger ones to.
    std::optional<std::int64_t> output_tokens_max;
    bool injects_max_completion_tokens = true;  ///< else an injected cap is named `max_tokens`
    bool asks_stream_usage = false;  ///< adds `stream_options.include_usage` to a streamed request
};

/// The supplier's body as segments of the client's body and of a few words of our own. Movable;
/// `segment(i)` views `body` or this value. Reusable without allocating.
class Splice {
public:
    static constexpr std::size_t kPiecesMax = 16;
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] std::string_view segment(std::size_t i) const;
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] bool is_unchanged() const { return owned_.empty(); }
    /// Appends the whole body to `out`.
    void append_to(std::string& out) const;

private:
    friend void splice(std::string_view, const RequestFacts&, const Edits&, Splice&);
    struct Piece {
        std::uint32_t begin;
        std::uint32_t size;
        bool is_owned;
    };
    std::string_view body_;
    std::string owned_;
    std::array<Piece, kPiecesMax> pieces_{};
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
};

/// Lays out the edited body. `facts` are of this very `body`, which must outlive `out`.
void splice(std::string_view body, const RequestFacts& facts, const Edits& edits, Splice& out);

/// What a whole reply said of itself.
struct MeteredReply {
    canon::Usage usage;  ///< zero unless `has_usage`
    bool has_usage = false;
    std::string service_tier;  ///< that served it, as stated; empty when not stated
    std::optional<canon::StopReason> stop_reason;  ///< of the first choice that finished
    std::uint32_t choices = 0;
    bool has_choices = false;       ///< the list of them is there, be it empty
    std::int64_t answer_bytes = 0;  ///< visible text and tool arguments, for estimates
    /// An error object under a 200 (OpenRouter).
    std::optional<canon::Failure> failure;
};

/// Reads a whole reply. Errors: kUpstreamProtocol when `body` is not one JSON object.
[[nodiscard]] Result<MeteredReply> meter_whole(std::string_view body);

struct StreamMeterOptions {
    /// The client did not ask for usage but we did: remove the usage chunk and `usage: null`.
    bool strips_usage = false;
    /// An Azure upstream under an OpenAI client: remove chunks that hold filter results alone.
    bool hides_filter_chunks = false;
    std::size_t event_bytes_max = std::size_t{8} << 20;
};

struct Chunk;

/// The last event that brought a text and nothing else worth reading. The events of a stream differ
/// in their text and their padding alone, so one that repeats the rest, byte for byte, needs no
/// reading again.
class Pattern {
public:
    /// What an event that repeats the pattern says.
    struct Match {
        std::int64_t answer_bytes = 0;
        std::size_t null_usage_begin = 0;  ///< as in the pattern, moved; both 0: there is none
        std::size_t null_usage_end = 0;
    };
    /// Nothing when `data` is no repetition: then it has to be read.
    [[nodiscard]] std::optional<Match> match(std::string_view data) const;
    /// Makes the event the pattern when it can be one, else forgets the present one.
    void learn(std::string_view data, const Chunk& chunk);
    void forget() { data_.clear(); }

private:
    struct Hole {  // the inside of a string
        std::size_t begin = 0;
        std::size_t size = 0;
        bool is_text = false;
    };
    std::string data_;
    std::array<Hole, 2> holes_{};  // in order
    std::size_t hole_count_ = 0;
    std::size_t null_usage_begin_ = 0;
    std::size_t null_usage_end_ = 0;
};

/// Sits in the relay of a streamed reply: passes bytes through, reads what they say. Where nothing
/// is to be removed a byte is passed on in the very call that brought it; else what waits is at
/// most one unfinished event.
class StreamMeter {
public:
    explicit StreamMeter(const StreamMeterOptions& options)
        : options_(options),
          parser_({.event_bytes_max = options.event_bytes_max, .reports_empty = true}) {}

    /// Appends to `out` the spans to send on, in order. They view `in` or this meter, until the
    /// next call. Errors: kUpstreamProtocol when an event exceeds `event_bytes_max`; what was
    /// appended before it stands.
    [[nodiscard]] Status feed(std::string_view in, std::vector<std::string_view>& out);

    /// The upstream body has ended: appends what was held. Errors: kUpstreamProtocol when the
    /// stream is incomplete (no `[DONE]`, no error event, a choice without its finish reason), or
    /// an event was no JSON.
    [[nodiscard]] Status finish(std::vector<std::string_view>& out);

    [[nodiscard]] const canon::Usage& usage() const { return usage_; }  ///< the last one reported
    [[nodiscard]] bool has_usage() const { return has_usage_; }
    [[nodiscard]] bool is_done() const { return is_done_; }  ///< `[DONE]` came
    [[nodiscard]] std::optional<canon::StopReason> stop_reason() const { return stop_reason_; }
    [[nodiscard]] std::size_t finished_choices() const { return finished_choices_.count(); }
    static constexpr std::size_t kChoicesMax = 128;
    [[nodiscard]] std::bitset<kChoicesMax> open_choices() const {
        return seen_choices_ & ~finished_choices_;
    }
    /// The supplier's own error inside the stream.
    [[nodiscard]] const canon::Failure* failure() const { return failure_.get(); }
    /// The tier that serves the request, as last stated; empty when not stated.
    [[nodiscard]] const std::string& service_tier() const { return service_tier_; }
    [[nodiscard]] std::uint64_t events() const { return events_; }  ///< `data:` events, all kinds
    [[nodiscard]] std::uint64_t malformed_events() const { return malformed_; }
    /// Bytes of text, reasoning, refusals and tool arguments so far: what a cut stream is estimated
    /// by. More than 0 means that the client has seen content.
    [[nodiscard]] std::int64_t answer_bytes() const { return answer_bytes_; }

private:
    void relay(const framing::SseEvent& event, std::vector<std::string_view>& out);
    /// Appends what is to be sent of a block; false when it is removed.
    bool put_block(
        const framing::SseEvent& event, std::string_view raw, std::vector<std::string_view>& out);
    /// Takes the event in when it repeats the pattern.
    std::optional<Pattern::Match> repeat(const framing::SseEvent& event);
    void read(const framing::SseEvent& event, Chunk& chunk);
    [[nodiscard]] static Status malformed();
    [[nodiscard]] bool edits() const {
        return options_.strips_usage || options_.hides_filter_chunks;
    }

    StreamMeterOptions options_;
    framing::SseParser parser_;
    Pattern pattern_;
    // What becomes of an LF right behind the last block, which completes the CRLF that ended it.
    enum class LineFeed : std::uint8_t { kNone, kToSend, kSent, kToRemove };
    LineFeed line_feed_ = LineFeed::kNone;
    canon::Usage usage_;
    bool has_usage_ = false;
    bool is_done_ = false;
    std::optional<canon::StopReason> stop_reason_;
    std::bitset<kChoicesMax> seen_choices_;
    std::bitset<kChoicesMax> finished_choices_;
    std::unique_ptr<canon::Failure> failure_;  // seldom there, and many streams are open
    std::string service_tier_;
    std::uint64_t events_ = 0;
    std::uint64_t malformed_ = 0;
    std::int64_t answer_bytes_ = 0;
};

/// A failure after the first byte, as the client's stream shows it: `data: {"error":{...}}` and a
/// blank line. Starts with a blank line of its own when `breaks_event` (bytes of an unfinished
/// event were sent).
[[nodiscard]] std::string stream_failure(const canon::Failure& failure, bool breaks_event = false);

}  // namespace entrepot::dialect::openai_chat
