#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "catalog/region.h"
#include "pricing/price.h"

namespace entrepot::routing {

/// Sizes an offer enforces, in tokens; 0: unknown.
struct Limits {
    std::int64_t context_tokens = 0;
    std::int64_t output_tokens_max = 0;
    /// The configuration set `output_tokens_max` below what the supplier enforces by itself.
    bool must_state_output_cap = false;
};

/// How many tokens an offer may make of a request, at most.
struct Expansion {
    std::int64_t tokens_per_kilobyte =
        1000;  ///< 1000: one token per byte, which no byte-level tokenizer exceeds
    std::int64_t per_request = 64;
    std::int64_t per_message = 16;  ///< role and turn markers
    std::int64_t per_tool = 64;     ///< the template around one tool's JSON
    std::int64_t any_tools = 1024;  ///< the hidden system prompt that tools bring
    std::int64_t per_image = 12'000;
    std::int64_t per_audio_second = 40;
    std::int64_t per_image_made = 0;       ///< of the answer; 0: not known
    std::int64_t per_partial_image = 100;  ///< documented by OpenAI
};

/// The documented overheads of a supplier kind and model family.
[[nodiscard]] Expansion expansion_of(catalog::CloudKind kind, std::string_view provider_model_id);

/// What of a request decides its greatest possible size.
struct RequestShape {
    std::int64_t prompt_bytes =
        0;  ///< of text, tools and schemas; escaped JSON may be counted as it stands
    std::int32_t messages = 0;
    std::int32_t prompts = 1;  ///< read apart from each other, each in a window of its own
    /// A prompt that is too long is refused. Else it is cut, and what is billed of it is not said.
    bool fits_or_fails = true;
    std::int32_t tools = 0;
    std::int32_t images = 0;
    std::int64_t audio_seconds_max = 0;
    std::optional<std::int64_t> output_cap;  ///< of the request, per choice; must not be negative
    std::int64_t choices = 1;                ///< `n`, >= 1
    std::int64_t searches_max = 0;
    bool is_piecework = false;        ///< canon::is_piecework of the task
    std::int64_t images_made = 0;     ///< the images that the answer is
    std::int64_t partial_images = 0;  ///< shown on the way to each of them
    std::int64_t characters = 0;      ///< to be spoken
    std::uint8_t tiers = 1;  ///< pricing::Bounds::tier_bit of each tier the supplier may serve at
    bool has_file_id = false;
    bool has_unknown_part = false;  ///< it may be anything
    bool has_document_url = false;
    bool has_stored_state = false;
    bool has_documents = false;  ///< inline documents (PDF): pages become images
    bool may_answer_audio = false;
    bool may_answer_images = false;
};

enum class OnUnbounded : std::uint8_t { kRefuse, kClamp };

/// The hold bound of one attempt.
struct Bound {
    pricing::Bounds bounds;
    bool is_clamped = false;  ///< a part was bounded by the context window
    /// > 0: the bound rests on this cap per choice, which the request does not state: the offer's
    /// own. Send it where the supplier would not enforce it by itself.
    std::int64_t inject_output_cap = 0;
};

/// What a request may consume at most at an offer with these limits. Errors: kUnbounded, naming the
/// field and the remedy, when something has no bound (a file id, a document by URL, stored state,
/// no output cap anywhere) and the policy refuses or no context window is known to clamp to;
/// kInvalidField for a negative cap.
[[nodiscard]] Result<Bound> bound_of(const RequestShape& shape, const Limits& limits,
    const Expansion& expansion, OnUnbounded policy);

}  // namespace entrepot::routing
