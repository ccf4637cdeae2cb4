#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dialect/dialect.h"
#include "gateway/exchange.h"

// The ways of an answer from a supplier to the client. Where both speak one dialect, bytes are
// passed on and read beside: chat completions by a scanner of their own, every other dialect by its
// decoder. Else events are made of them, and the client's bytes of those. None waits for anything:
// relay.cc and relay_whole.cc bring the bytes.
namespace entrepot::gateway {

/// No tokenizer's tokens have more bytes over a whole answer, whatever its language: an answer of
/// more than so many bytes a token went beyond its cap.
inline constexpr std::int64_t kBytesPerTokenMax = 16;

/// How much of `bytes` are whole server-sent events; 0 when none ends in them.
[[nodiscard]] std::size_t whole_events(std::string_view bytes);

/// A streamed answer on its way.
class StreamLane {
public:
    virtual ~StreamLane() = default;
    /// Before the first `feed`, for suppliers' dialects that read them.
    virtual void take_headers(std::span<const dialect::Header>) {}
    /// Before the first `feed`: what the reply calls itself is wanted (Consumption::names).
    virtual void keep_names() {}
    /// Takes what came; `is_over`: nothing follows it. Sets `out` to what the client is to get for
    /// it, which lives until the next call; while `has_begun` is false it is kept, and stands in a
    /// later `out`. Errors: kUpstreamProtocol, or the supplier's own failure where the client has
    /// not seen it in `out`; what `out` holds then is sound.
    [[nodiscard]] virtual Status feed(
        std::string_view bytes, bool is_over, std::string_view& out) = 0;
    /// Something came that a client would notice: from here on the answer is this supplier's.
    [[nodiscard]] virtual bool has_begun() const = 0;
    /// The answer is complete, whatever becomes of what follows.
    [[nodiscard]] virtual bool is_complete() const = 0;
    /// What is missing is the end of the supplier's body alone, or what may as well not come
    /// (dialect::ReplyDecoder::may_end_here): wait briefly, then end.
    [[nodiscard]] virtual bool may_end_here() const { return is_complete(); }
    /// The supplier's own failure, when it ended its stream with one.
    [[nodiscard]] virtual const canon::Failure* failure() const = 0;
    /// What was consumed so far. `is_over`: the stream ended as it should.
    [[nodiscard]] virtual Consumption consumption(bool is_over) const = 0;
    /// Before the first `feed`: the answer may have to be cut.
    virtual void prepare_cut() {}
    /// Tokens of the answer so far: those that the supplier counted, and at least as many as what
    /// was relayed must have had.
    [[nodiscard]] virtual std::int64_t answer_tokens_min() const = 0;
    /// What the supplier has said of its usage so far; null: nothing.
    [[nodiscard]] virtual const canon::Usage* usage_so_far() const = 0;
    /// Between two events of the client's stream: elsewhere it cannot be cut.
    [[nodiscard]] virtual bool may_cut() const = 0;
    /// Once, when it may: what of the last feed's are whole events, and then the ending that the
    /// dialect has for an answer that reached its cap.
    [[nodiscard]] virtual std::string cut(const canon::Usage& used) = 0;
    /// What the client may hear while nothing comes; empty: nothing. Lives until the next call.
    [[nodiscard]] virtual std::string_view keep_alive() { return {}; }
    /// The client's last event when its answer breaks off.
    [[nodiscard]] virtual std::string last_event(const canon::Failure& failure) = 0;
    /// What the client's dialect had no place for.
    [[nodiscard]] virtual std::span<const std::string> dropped() const = 0;
};

[[nodiscard]] std::unique_ptr<StreamLane> make_chat_lane(
    const dialect::openai_chat::StreamMeterOptions& options, const dialect::ReplyContext& context);
[[nodiscard]] std::unique_ptr<StreamLane> make_passing_lane(
    const dialect::Dialect& dialect, const dialect::ReplyContext& context);
[[nodiscard]] std::unique_ptr<StreamLane> make_translated_lane(
    const dialect::Dialect& from, const dialect::Dialect& to, const dialect::ReplyContext& context);

/// A whole answer, carried to the client's dialect.
struct WholeReply {
    Status status;  ///< kUpstreamProtocol: it is no answer
    /// An error under a 200.
    std::optional<canon::Failure> failure;
    Consumption consumed;
    std::vector<std::string> dropped;
    std::vector<dialect::Header> headers;  ///< of the client's dialect
    std::string content_type;              ///< where it was made; empty: JSON
    /// For the client; passed on: the supplier's own bytes.
    [[nodiscard]] std::string_view body() const { return made ? std::string_view(*made) : passed; }

    std::string_view passed;
    std::optional<std::string> made;
};

[[nodiscard]] WholeReply carry_chat(std::string_view body);
/// `head`: the reply's headers, where the supplier's dialect reads them.
[[nodiscard]] WholeReply carry_passing(const dialect::Dialect& dialect,
    std::span<const dialect::Header> head, std::string_view body, bool keeps_names = false);
[[nodiscard]] WholeReply carry_translated(const dialect::Dialect& from, const dialect::Dialect& to,
    const dialect::ReplyContext& context, std::span<const dialect::Header> head,
    std::string_view body, bool keeps_names = false);

/// What the events of a reply said, as far as booking and relaying need it.
struct Seen {
    Consumption consumed;
    bool has_ended = false;
    bool has_content = false;  ///< something a client would notice
    std::optional<canon::Failure> failure;
    std::int64_t text_bytes = 0;  ///< `consumed.answer_bytes`, but for images and sounds

    void keep_names() { consumed.names = std::make_shared<ReplyNames>(); }
    void add(const canon::Event& event);
    [[nodiscard]] const canon::Usage* usage_so_far() const {
        return consumed.is_reported ? &consumed.usage : nullptr;
    }
    [[nodiscard]] std::int64_t answer_tokens_min() const;
    /// `is_over`: the stream ended as it should.
    [[nodiscard]] Consumption consumption(bool is_over) const;

private:
    std::vector<std::pair<std::uint32_t, std::uint32_t>> media_;  // parts whose deltas are no text
};

/// Of an answer that is to end early: what its encoder has to know of the past.
class Past {
public:
    /// `keeps_text`: the dialect repeats the answer at its end.
    explicit Past(bool keeps_text) : keeps_text_(keeps_text) {}
    void add(const canon::Event& event);
    /// Ends every part and choice that is open, at the cap: what `encoder`, which has seen all of
    /// it, says to that.
    [[nodiscard]] std::string end(dialect::ReplyEncoder& encoder, const canon::Usage& used) const;
    /// The same of an encoder that has seen nothing: it is told the past first.
    [[nodiscard]] std::string end_anew(
        dialect::ReplyEncoder& encoder, const canon::Usage& used) const;

private:
    bool keeps_text_;
    std::vector<canon::Event> events_;
};

}  // namespace entrepot::gateway
