#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "canon/request.h"
#include "canon/usage.h"

namespace entrepot::canon {

// A reply is a stream of events; a whole reply is the fold of its events. Order, per reply:
//   Started, then per part PartStarted PartDelta* PartSignature? PartEnded, then Finished once per
//   choice, UsageReported at any time (the last one counts), Ended or Failed as the last event.
//   Tasks besides conversations answer by Outcomes instead of parts and choices.
// Parts of a choice may interleave; a part may have no delta; a signature may come anywhere inside
// its part, and the last one of a part stands.

enum class StopReason : std::uint8_t {
    kStop,  ///< a natural end
    kStopSequence,
    kLength,  ///< the output cap
    kToolCalls,
    kContentFilter,  ///< also a guardrail
    kRefusal,
    kPause,  ///< a server tool loop wants to be continued
    kContextExceeded,
    kMalformed,  ///< the model wrote an unusable tool call or output
    kOther,
};
[[nodiscard]] std::string_view stop_reason_name(StopReason reason);

enum class PartKind : std::uint8_t { kText, kRefusal, kThought, kToolCall, kMedia, kOpaque };

struct Started {
    std::string id;
    std::string model;
    std::int64_t created_s = 0;  ///< Unix seconds; 0 when the supplier does not say
    std::string origin = {};     ///< the dialect it came in, where marks or an echo may follow
    /// What the origin's envelope repeats of the request, by member name: clients of that dialect
    /// see it again, and others miss nothing.
    std::vector<Extra> echo = {};
    friend bool operator==(const Started&, const Started&) = default;
};

struct PartStarted {
    std::uint32_t choice = 0;
    std::uint32_t part = 0;  ///< unique within the choice, ascending
    PartKind kind = PartKind::kText;
    std::string call_id;       ///< tool calls
    std::string name;          ///< tool calls
    bool is_custom = false;    ///< custom tool calls
    bool is_redacted = false;  ///< thoughts: ciphertext only
    /// kMedia: a generated image or sound. Its base64 comes as PartDelta when `data` is empty.
    std::optional<Media> media;
    /// kOpaque: a part only its own dialect knows, whole. With kMedia: the origin's own form of it.
    /// Of any other kind: an object of the members that only the origin knows and that others lose
    /// by name (`caller`).
    std::optional<Opaque> opaque;
    bool is_summary = false;                 ///< thoughts
    std::optional<std::uint32_t> item = {};  ///< shared by the parts of one item of the origin
    std::vector<Extra> marks = {};           ///< of that item, on its first part; see Item::marks
    /// What the part's PartSignature will say, where it is known already: a dialect whose clients
    /// look for it at the beginning can put it there.
    std::optional<Signature> signature = {};
    friend bool operator==(const PartStarted&, const PartStarted&) = default;
};

/// More text, refusal, thought or argument JSON of an open part; never empty.
struct PartDelta {
    std::uint32_t choice = 0;
    std::uint32_t part = 0;
    std::string text;
    friend bool operator==(const PartDelta&, const PartDelta&) = default;
};

struct PartSignature {
    std::uint32_t choice = 0;
    std::uint32_t part = 0;
    Signature signature;
    friend bool operator==(const PartSignature&, const PartSignature&) = default;
};

struct PartEnded {
    std::uint32_t choice = 0;
    std::uint32_t part = 0;
    friend bool operator==(const PartEnded&, const PartEnded&) = default;
};

struct Finished {
    std::uint32_t choice = 0;
    StopReason reason = StopReason::kStop;
    std::string raw_reason;  ///< the supplier's own word
    std::string stop_sequence;
    friend bool operator==(const Finished&, const Finished&) = default;
};

/// Usage so far, in total, not an increment: the last report stands. Absent meters are zero.
struct UsageReported {
    Usage usage;
    /// The tier that served the request, in the supplier's own word (`priority`, `flex`, `batch`):
    /// it changes the price. Empty while it has not said.
    std::string service_tier = {};
    /// The usage object that this report was read from, where one was: what has no meter (costs,
    /// durations, passes) goes back to clients of the origin. Never metered from.
    std::optional<Opaque> stated = std::nullopt;
    friend bool operator==(const UsageReported&, const UsageReported&) = default;
};

/// Something beside the answer: log probabilities, citations, filter results, fingerprints. `json`
/// is the value as it stood in the origin; `key` its name there. Encoders of the same origin write
/// it back.
struct Aside {
    std::string origin;
    std::string key;
    std::string json;
    std::optional<std::uint32_t> choice;  ///< absent: it belongs to the whole reply
    /// The part it belongs to, which has started; absent: to the choice.
    std::optional<std::uint32_t> part = std::nullopt;
    friend bool operator==(const Aside&, const Aside&) = default;
};

enum class FailureKind : std::uint8_t {
    kInvalidRequest,
    kAuthentication,
    kBilling,
    kPermission,
    kNotFound,
    kTooLarge,
    kContextExceeded,
    kContentFilter,
    kRateLimited,
    kQuotaExhausted,
    kOverloaded,
    kTimeout,
    kServer,
    kUnsupported,
    kConflict,
};

/// What an HTTP status says of an error reply, when nothing else does.
[[nodiscard]] FailureKind kind_of_status(int status);
/// The HTTP status that most clients expect of such a failure.
[[nodiscard]] int status_of_kind(FailureKind kind);

/// An error reply of a supplier, or of ours, before any dialect gives it its shape.
struct Failure {
    FailureKind kind = FailureKind::kServer;
    int status = 500;  ///< HTTP status for the client
    std::string message;
    std::string code;   ///< machine-readable: `model_not_found`, `insufficient_quota`
    std::string param;  ///< the field at fault
    std::string request_id;
    std::optional<std::chrono::milliseconds> retry_after;
    friend bool operator==(const Failure&, const Failure&) = default;
};

struct Failed {
    Failure failure;
    friend bool operator==(const Failed&, const Failed&) = default;
};

/// The supplier said that the reply is complete.
struct Ended {
    friend bool operator==(const Ended&, const Ended&) = default;
};

/// A document's place in a ranking. They come best first.
struct Ranked {
    std::int64_t index = 0;  ///< of the document
    std::string score;       ///< a number as the supplier spelled it
    std::string document;    ///< JSON, where it was asked back; else empty
    friend bool operator==(const Ranked&, const Ranked&) = default;
};

/// A piece of an answer that only its own dialect reads, as it came.
struct Passage {
    std::string origin;
    std::string name;  ///< of its event in a stream
    std::string json;
    friend bool operator==(const Passage&, const Passage&) = default;
};

/// A piece of the answer to a task that is no conversation.
struct Outcome {
    std::variant<Vector, TokensCounted, Ranked, Passage> body;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

using Event = std::variant<Started, PartStarted, PartDelta, PartSignature, PartEnded, Finished,
    UsageReported, Aside, Failed, Ended, Outcome>;

/// The whole reply that a list of events folds to, for encoders of whole bodies.
struct Reply {
    struct Part {
        PartStarted start;
        std::string text;
        std::optional<Signature> signature;
    };
    struct Choice {
        std::vector<Part> parts;  ///< in order of their start
        std::optional<Finished> finished;
        std::vector<Aside> asides;
    };
    Started started;
    std::vector<Choice> choices;
    Usage usage;
    bool has_usage = false;
    std::string service_tier;            ///< of the last report
    std::optional<Opaque> stated_usage;  ///< likewise
    std::vector<Aside> asides;
    std::vector<Outcome> outcomes;
    std::optional<Failure> failure;
    bool has_ended = false;

    void add(const Event& event);
};

}  // namespace entrepot::canon
