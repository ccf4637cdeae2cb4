#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "dialect/openai_chat/native.h"

namespace entrepot::exchange {

/// A stream and all that is read from it: the events of its dialect's decoder and, of chat
/// completions, what the native lane sends on and meters under each set of edits. It is read whole
/// once; any other way of cutting the same bytes is held against that.
/// Thread rule: after `read_byte_by_byte`, `differs` may be called by many threads at a time.
class CutStream {
public:
    CutStream(const dialect::Dialect& dialect, std::string bytes);

    /// Feeds one byte at a time, as `differs` does, and has the events written for a client of chat
    /// completions as they come. Notes what had been given out with which byte: from then on
    /// `differs` asks that of every piece too, so that nothing is held back either.
    [[nodiscard]] std::string read_byte_by_byte();

    /// Feeds the bytes cut at these offsets (ascending, between the first byte and the last). Says
    /// what is not as it was when read whole: an event or one of its fields, the status at the end,
    /// a byte sent on, something metered. Empty when all is the same.
    [[nodiscard]] std::string differs(std::span<const std::size_t> cuts) const;

    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] const std::vector<canon::Event>& events() const { return events_; }
    /// How the decoder ended: empty when well, else the whole error.
    [[nodiscard]] const std::string& ending() const { return ending_; }
    /// What the native lane sends on, one text for each set of edits; none in other dialects.
    [[nodiscard]] std::vector<std::string> sent() const;

private:
    /// How much had been given out when so many bytes were in, by their number.
    using Progress = std::vector<std::uint32_t>;
    struct Metered {
        explicit Metered(const dialect::openai_chat::StreamMeter& meter, const Status& status);
        canon::Usage usage;
        bool has_usage;
        bool is_done;
        std::optional<canon::StopReason> stop_reason;
        std::size_t finished_choices;
        std::optional<canon::Failure> failure;
        std::string service_tier;
        std::uint64_t events;
        std::uint64_t malformed_events;
        std::int64_t answer_bytes;
        std::string ending;
        friend bool operator==(const Metered&, const Metered&) = default;
    };
    struct Lane {
        dialect::openai_chat::StreamMeterOptions options;
        std::string sent;
        std::optional<Metered> metered;
        Progress sent_by;
    };

    [[nodiscard]] std::string decoder_differs(
        std::span<const std::size_t> cuts, Progress* noted) const;
    [[nodiscard]] std::string lane_differs(
        const Lane& lane, std::span<const std::size_t> cuts, Progress* noted) const;
    [[nodiscard]] std::string client_bytes_differ() const;

    const dialect::Dialect* dialect_;
    std::string bytes_;
    std::vector<canon::Event> events_;
    std::string ending_;
    Progress events_by_;
    std::vector<Lane> lanes_;
};

/// Offsets behind the events of a stream, found without the code under test: the empty lines of
/// server-sent events in any spelling, the lengths of AWS frames.
[[nodiscard]] std::vector<std::size_t> event_ends(
    const dialect::Dialect& dialect, std::string_view bytes);

/// The cuts of run `run` of `runs`: in each event at that offset and every `runs` bytes behind it.
/// The runs 1 to `runs` together cut before every byte but the first, each place in one run.
[[nodiscard]] std::vector<std::size_t> cuts_of_run(
    std::span<const std::size_t> ends, std::size_t run, std::size_t runs);

}  // namespace entrepot::exchange
