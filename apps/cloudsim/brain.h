#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "canon/usage.h"
#include "cloudsim/control.h"

namespace entrepot::cloudsim {

struct Answer;

/// What a request asks, whatever its cloud.
struct Ask {
    struct Tool {
        std::string name;
        std::string schema;  ///< JSON text; may be empty
    };
    enum class ToolMode : std::uint8_t { kAuto, kNone, kRequired, kNamed };

    std::string model;
    bool is_responses = false;  ///< OpenAI kinds: asked by Responses instead of chat completions
    bool is_invoked = false;    ///< Bedrock: asked by InvokeModel instead of Converse
    bool is_openai = false;     ///< Bedrock: asked in OpenAI's format
    std::string api_format;     ///< OCI: of native chat; empty: asked in OpenAI's format
    bool is_stream = false;
    bool wants_usage = true;  ///< OpenAI kinds: streams report it only when asked
    std::string prompt;       ///< all that counts as prompt, in order
    std::int64_t images = 0;
    std::string last_user_text;
    std::vector<Tool> tools;
    ToolMode tool_mode = ToolMode::kAuto;
    std::string tool_named;
    bool is_parallel_allowed = true;
    std::optional<std::int64_t> output_tokens_max;
    std::string schema;  ///< of the answer; empty for free text
    bool wants_json = false;
    bool wants_reasoning = false;
    bool wants_cipher = false;    ///< Responses: reasoning comes with its encrypted form
    bool shows_reasoning = true;  ///< Google's thoughts are counted, and told only when asked
    std::vector<std::string> stop;
    std::int64_t choices = 1;
    bool has_tool_blocks = false;  ///< calls or results in the history
    std::int64_t thoughts = 0;     ///< of ours that came back, signed where they were
    /// Bytes of `prompt` up to the last cache mark; 0 for none.
    std::size_t marked_bytes = 0;
    bool is_mark_long = false;
    bool is_cached_unasked = false;  ///< long prompts are, at the OpenAI kinds
    // Responses: what the account keeps.
    bool is_stored = false;
    bool is_background = false;
    std::string previous;  ///< the answer that this one continues
    std::string conversation;
    std::string input;                          ///< its items, as sent
    std::set<std::string, std::less<>> called;  ///< calls of before that wait for results

    /// Of a task that is no conversation: what it uses, and its whole reply (`has_usage`: it tells
    /// what it used).
    std::optional<canon::Usage> usage;
    std::function<std::string(const Answer&, bool has_usage)> reply;
    /// Likewise, streamed; and the content type of a whole reply that is no JSON.
    std::function<std::vector<std::string>(const Answer&, bool has_usage)> reply_events;
    std::string reply_type;
};

enum class Finish : std::uint8_t { kStop, kLength, kToolCalls, kStopSequence };

struct Answer {
    std::string reasoning;
    std::string text;
    std::vector<SimCall> calls;
    Finish finish = Finish::kStop;
    std::string stop_sequence;
    canon::Usage usage;
    std::int64_t serial = 0;  ///< unique in this process; what ids are made of
};

inline constexpr std::int64_t kBytesPerToken = 4;
inline constexpr std::int64_t kImageTokens = 85;

/// The model behind every cloud: the same for the same question, but for ids and what its caches
/// have seen.
class Brain {
public:
    [[nodiscard]] Answer think(const Ask& ask, const Control& control);

private:
    void invent(const Ask& ask, const Control& control, Answer& answer) const;
    void cut(const Ask& ask, Answer& answer) const;
    void count(const Ask& ask, const Control& control, Answer& answer);

    std::unordered_set<std::uint64_t> seen_;  // prefixes; at most kSeenMax
    std::int64_t serial_ = 0;
};

/// Whether a tool call's id is of letters, digits, `_` and `-`, and not longer than that.
[[nodiscard]] bool is_legal_id(std::string_view id, std::size_t bytes_max);
[[nodiscard]] std::int64_t tokens_of(std::size_t bytes);
/// `text` in about `chunks` pieces (0: one per 16 bytes, at most 64), never inside a UTF-8
/// character.
[[nodiscard]] std::vector<std::string_view> pieces_of(std::string_view text, std::int64_t chunks);
/// 24 characters of `0-9a-z` that stand for a serial, with a prefix.
[[nodiscard]] std::string id_of(std::string_view prefix, std::int64_t serial);

}  // namespace entrepot::cloudsim
