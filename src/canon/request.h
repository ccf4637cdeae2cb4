#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "canon/embed.h"
#include "canon/task.h"

namespace entrepot::canon {

/// A JSON text kept as it was, tagged with the dialect that wrote it (`gemini`, `openai-responses`,
/// ...). It goes back to a supplier that speaks that dialect and to no other; for the rest it is
/// lossy, by name.
struct Opaque {
    std::string origin;
    std::string
        kind;  ///< what the origin calls it: `web_search_tool_result`, `item_reference`, ...
    std::string json;
    friend bool operator==(const Opaque&, const Opaque&) = default;
};

/// An unknown or uncommon field of the origin dialect, which rides along: its path in the request
/// (`top_k`, `messages[2].prefix`) and its value. Same-dialect encoders write it back; others name
/// it as dropped or refuse it.
struct Extra {
    std::string path;
    std::string json;
    /// The dialect whose field it is where that is not the request's own: what stands in the
    /// headers of Bedrock's envelope is Converse's, whoever's format the body has.
    std::string origin = {};
    friend bool operator==(const Extra&, const Extra&) = default;
};

/// Proof of a supplier's own making that must go back unchanged and to its maker only: Anthropic's
/// thinking signature, Gemini's thoughtSignature, OpenAI's encrypted reasoning.
struct Signature {
    std::string origin;
    std::string data;
    friend bool operator==(const Signature&, const Signature&) = default;
};

enum class Role : std::uint8_t { kSystem, kDeveloper, kUser, kAssistant, kTool };
[[nodiscard]] std::string_view role_name(Role role);

/// "Everything up to here may be cached." `ttl` as the origin writes it (`5m`, `1h`), empty for its
/// default.
struct CacheMark {
    std::string ttl;
};

struct Text {
    std::string text;
    /// The text is a JSON value, and the origin said so (a tool's result in Converse and Gemini).
    bool is_json = false;
};

/// A supplier's refusal to answer, in words.
struct Refusal {
    std::string text;
};

/// An image, a sound, a film or a document, by exactly one source.
struct Media {
    enum class Kind : std::uint8_t { kImage, kAudio, kVideo, kDocument };
    enum class Source : std::uint8_t { kBase64, kUrl, kFileId, kText, kStorage };
    Kind kind = Kind::kImage;
    Source source = Source::kBase64;
    std::string media_type;  ///< `image/png`; empty when the origin does not say (a URL)
    std::string data;    ///< base64 text, URL, file id, plain text, or a storage URI (s3://, gs://)
    std::string detail;  ///< OpenAI's image detail; empty for the default
    std::string name;    ///< file name or document title
    friend bool operator==(const Media&, const Media&) = default;
};

/// The model's wish to call a tool.
struct ToolCall {
    std::string id;
    std::string name;
    std::string arguments;   ///< as the model wrote it: usually a JSON object, possibly cut or
                             ///< invalid; never ""
    bool is_custom = false;  ///< free-form input instead of JSON (OpenAI's custom tools)
};

struct Item;

struct ToolResult {
    std::string call_id;
    std::string name;  ///< where the origin states it (Gemini)
    std::vector<Item> content;
    bool is_error = false;
};

/// Reasoning shown by the model. `text` may be empty where only a signature or ciphertext came.
struct Thought {
    std::string text;
    bool is_redacted = false;  ///< ciphertext only, in the item's signature
    bool is_summary = false;
};

/// One part of the conversation. A request is a flat, ordered list of these, not a list of chat
/// messages; parts with the same `turn` stood in one message (or item) of the origin, and turns
/// ascend.
struct Item {
    Role role = Role::kUser;
    std::uint32_t turn = 0;
    std::variant<Text, Refusal, Media, ToolCall, ToolResult, Thought, Opaque> body;
    std::string author;  ///< the `name` of a message
    std::optional<CacheMark> cache;
    std::optional<Signature> signature;
    std::vector<Extra> extras;
    /// What the origin's servers wrote beside the item for themselves (ids, status, phase), by
    /// member name: it goes back to them and is nothing lost elsewhere.
    std::vector<Extra> marks = {};
};

struct Tool {
    std::string name;
    std::string description;
    std::string parameters;  ///< JSON schema text; empty when the origin gave none
    std::optional<bool> is_strict;
    bool is_custom = false;
    std::optional<CacheMark> cache;
    std::optional<Opaque> server;  ///< a tool the supplier runs itself (web search, code execution)
    std::vector<Extra> extras;
    /// `parameters` as the origin spelled them, where its schemas are no JSON Schema (Gemini's).
    /// It says the same, so that nothing is lost where it is left out.
    std::optional<Opaque> own_parameters;
};

struct ToolChoice {
    enum class Mode : std::uint8_t { kAuto, kNone, kRequired, kNamed };
    Mode mode = Mode::kAuto;
    std::string name;  ///< with kNamed
    /// With kAuto and kRequired: of the tools only these may be called; empty: all of them.
    std::vector<std::string> names = {};
};

struct ResponseFormat {
    enum class Kind : std::uint8_t { kText, kJsonObject, kJsonSchema };
    Kind kind = Kind::kText;
    std::string name;
    std::string description;
    std::string schema;  ///< JSON text
    std::optional<bool> is_strict;
    std::optional<Opaque> own_schema;  ///< like Tool::own_parameters
};

/// How much the model should think. `effort` in OpenAI's words (none minimal low medium high xhigh
/// max); `budget_tokens` in Anthropic's.
struct Reasoning {
    std::string effort;
    std::optional<std::int64_t> budget_tokens;
    std::optional<bool> is_enabled;  ///< thinking switched on or off without a measure
    std::string summary;             ///< auto, concise, detailed
};

/// A number as the client spelled it (`0.7`, `1e-2`): no rounding on the way through.
using NumberText = std::string;

/// What becomes one vector: its parts, in order, or the ids of its tokens.
struct EmbedInput {
    std::vector<std::variant<Text, Media>> parts;
    std::vector<std::int64_t> tokens;  ///< instead of parts
    std::string title;                 ///< of the document that it is from
};

/// Texts and images to vectors.
struct Embed {
    std::vector<EmbedInput> inputs;  ///< in the order of their vectors; at least one
    EmbedPurpose purpose = EmbedPurpose::kUnsaid;
    std::optional<std::int64_t> dimensions;
    /// In which forms the vectors are to come, of which float is the default.
    std::vector<VectorForm> forms;
    std::string truncate;  ///< what to do with an input too long: `none`, `start`, `end`
    std::optional<bool> normalize;
};

/// Work besides conversations that is billed by the piece, or by tokens of a prompt that only its
/// own dialect reads: completions, rankings, images, speech.
struct Piecework {
    std::int64_t prompt_bytes = 0;   ///< of everything that becomes tokens as text
    std::int64_t prompt_tokens = 0;  ///< where the prompt is tokens already
    std::int64_t prompts = 1;        ///< read apart from each other
    std::int64_t images_in = 0;
    std::int64_t audio_seconds_max = 0;
    std::int64_t file_ids = 0;        ///< stored files, which nothing bounds
    std::int64_t images = 0;          ///< to be made
    std::int64_t partial_images = 0;  ///< shown on the way to each
    std::int64_t characters = 0;      ///< to be spoken
    std::int64_t searches = 0;        ///< as Cohere counts them: up to 100 documents each
};

/// A request without any dialect.
struct Request {
    Task task = Task::kConverse;
    /// What a task has that is no conversation; counting tokens has the conversation itself.
    std::variant<std::monostate, Embed, Piecework> work;
    std::string origin;  ///< the dialect it came in
    /// Where a dialect is an envelope around the formats of many models (bedrock-invoke): which of
    /// them the body had, for its reply. Empty elsewhere.
    std::string family;
    std::string model;
    std::vector<Item> items;
    std::vector<Tool> tools;
    std::optional<ToolChoice> tool_choice;
    std::optional<bool> parallel_tool_calls;

    std::optional<std::int64_t> output_tokens_max;
    std::optional<NumberText> temperature;
    std::optional<NumberText> top_p;
    std::optional<std::int64_t> top_k;
    std::optional<NumberText> frequency_penalty;
    std::optional<NumberText> presence_penalty;
    std::optional<std::int64_t> seed;
    std::string logit_bias;  ///< JSON object text, empty when absent
    std::optional<bool> logprobs;
    std::optional<std::int64_t> top_logprobs;
    std::optional<std::int64_t> choices;  ///< OpenAI's `n`
    std::vector<std::string> stop;
    std::optional<ResponseFormat> format;
    std::optional<Reasoning> reasoning;
    std::string verbosity;
    std::string service_tier;
    std::string user;  ///< `user`, `safety_identifier`, `metadata.user_id`
    std::string prompt_cache_key;
    std::string metadata;  ///< JSON object text, empty when absent
    std::optional<bool> store;

    /// Thoughts are to come with what their maker wants back, and the client will give it back;
    /// makers who do so unasked need not be told.
    bool wants_signatures = false;
    bool is_stream = false;
    bool wants_usage = false;  ///< the client asked for usage in the stream
    /// Something in it was made here for its client's sake: another maker's proof, sealed, or the
    /// id of an item that had none. It is not for a supplier of the client's dialect as it came.
    bool holds_sealed = false;
    bool uses_functions =
        false;  ///< the client speaks OpenAI's old `functions` and wants `function_call` back

    std::vector<Extra> extras;
};

}  // namespace entrepot::canon
