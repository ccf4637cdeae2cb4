#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "canon/request.h"

namespace entrepot::canon {

/// What planning and holding need to know of a request, in whatever dialect it came. Reuse one
/// value for many requests: its strings keep their capacity.
struct RequestFacts {
    Task task = Task::kConverse;
    std::string model;             ///< the name the client used
    std::string user;              ///< the client's own user; empty when absent
    std::string service_tier;      ///< as sent; empty when absent
    std::string prompt_cache_key;  ///< as sent; empty when absent

    bool is_stream = false;
    bool wants_stream_usage = false;  ///< the client wants usage in its stream
    /// The cap on the answer that the supplier will enforce per choice, as far as one is stated.
    std::optional<std::int64_t> output_cap;
    std::int64_t choices = 1;

    /// Prompts that are read apart from each other: embeddings take many at once.
    std::uint32_t prompts = 1;
    Piecework pieces;  ///< zeros for what is none
    std::uint32_t messages = 0;
    std::uint32_t tools = 0;
    std::uint32_t images = 0;
    std::uint32_t audio_parts = 0;
    std::uint32_t documents = 0;  ///< with their data inside
    /// What is named and not sent, so that nothing bounds it: stored files, URLs of documents,
    /// state that the supplier keeps.
    std::uint32_t file_ids = 0;
    std::uint32_t unknown_parts = 0;  ///< parts of a kind we do not know: no bound

    /// Bytes that can become prompt tokens as text, without the base64 of images, sounds and
    /// documents. An upper bound of the unescaped text.
    std::int64_t prompt_bytes = 0;
    std::int64_t prompt_tokens = 0;     ///< where the prompt is tokens already; 0: it is not
    std::int64_t image_data_bytes = 0;  ///< base64 characters, likewise below
    std::int64_t audio_data_bytes = 0;
    std::int64_t document_data_bytes = 0;
    std::int64_t prediction_bytes = 0;  ///< of a predicted output: rejected ones are billed

    bool needs_json_object = false;
    bool needs_json_schema = false;
    bool needs_logprobs = false;
    bool needs_audio_output = false;
    bool needs_reasoning = false;
    bool is_stored = false;  ///< the supplier is to keep the answer
    /// The field that lets the supplier do what is billed apart as often as it likes (web
    /// searches); empty: none. Static text.
    std::string_view open_ended_field;
    /// The field that names what a supplier keeps (a stored conversation, a cache); empty: none.
    /// Static text.
    std::string_view stateful_field;

    /// For warm prompt caches; 0 where there is nothing long enough to be cached by any supplier
    /// (below 3 KB). A conversation's next turn has this turn's `prompt_hash` as `parent_hash`.
    std::uint64_t prompt_hash = 0;   ///< tools and all of the conversation
    std::uint64_t parent_hash = 0;   ///< tools and what stood before the last answer
    std::uint64_t opening_hash = 0;  ///< tools and the leading instructions

    [[nodiscard]] bool needs_tools() const { return tools != 0; }
    [[nodiscard]] bool needs_images() const { return images != 0; }
    [[nodiscard]] bool needs_audio() const { return audio_parts != 0 || needs_audio_output; }
    [[nodiscard]] bool needs_documents() const { return documents != 0 || file_ids != 0; }
    [[nodiscard]] bool needs_structured_output() const {
        return needs_json_object || needs_json_schema;
    }

    void clear();
};

/// The facts of a request that was read whole. `body_bytes`: of the body it was read from, which
/// bounds what of it can be text; `stateful`: fields of the dialect that name what a supplier
/// keeps.
void read_facts(const Request& request, std::size_t body_bytes,
    std::span<const std::string_view> stateful, RequestFacts& facts);

/// The hashes of a conversation's prefixes, for whoever has a choice to make by them.
void hash_prompt(const Request& request, RequestFacts& facts);

/// Whether the supplier runs that tool, as often as it likes and billed apart.
[[nodiscard]] bool is_open_ended(const Tool& tool);

/// Providers cache prefixes of 1024 tokens and more; 3 KB is less than any such prefix.
inline constexpr std::size_t kCachedPrefixBytesMin = 3072;

}  // namespace entrepot::canon
