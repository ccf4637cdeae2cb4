#include "routing/bound.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace entrepot::routing {
namespace {

using catalog::CloudKind;

/// Above any request; keeps sums and products of sizes inside 63 bits.
constexpr std::int64_t kSizeMax = 1'000'000'000'000;

std::int64_t times(std::int64_t a, std::int64_t b) {
    std::int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? kSizeMax : std::min(product, kSizeMax);
}

std::unexpected<Error> unbounded(
    std::string_view field, std::string_view why, std::string_view remedy) {
    return fail_field(ErrorCode::kUnbounded, std::string(field),
        fmt::format("the cost of this request has no upper bound: {}. {}", why, remedy));
}

}  // namespace

Expansion expansion_of(CloudKind kind, std::string_view provider_model_id) {
    Expansion expansion;
    const std::string id = to_lower(provider_model_id);
    const auto names = [&](std::string_view part) { return id.find(part) != std::string::npos; };
    // At high quality a token for each 16 x 16 points and one for each row of them: at most 6,240
    // in the sizes that these take.
    if (names("gpt-image-1") || names("chatgpt-image")) expansion.per_image_made = 6'240;
    if (names("claude")) {
        // Width x height / 750, at most 1,600; from Claude Opus 4.7 on up to 4,784. Tools bring 264
        // to 804 tokens.
        expansion.per_image = 5'000;
    } else if (names("gpt-4o-mini")) {
        // 2,833 and 5,667 for each of up to eight tiles: its image tokens are scaled to cost what
        // GPT-4o's do.
        expansion.per_image = 48'200;
    } else if (names("gemini")) {
        expansion.per_image = 6'000;  // 258 a tile; larger at the highest media resolution
    } else if (kind == CloudKind::kBedrock && names("nova")) {
        expansion.per_image = 5'000;
    }
    return expansion;
}

Result<Bound> bound_of(const RequestShape& shape, const Limits& limits, const Expansion& expansion,
    OnUnbounded policy) {
    if (shape.output_cap && *shape.output_cap < 0)
        return fail_field(ErrorCode::kInvalidField, "max_tokens",
            fmt::format("max_tokens is {}; it must not be negative", *shape.output_cap));
    if (shape.choices < 1)
        return fail_field(ErrorCode::kInvalidField, "n",
            fmt::format("n is {}; it must be at least 1", shape.choices));
    Bound bound;
    const std::int64_t window = times(limits.context_tokens, std::max(shape.prompts, 1));
    const bool may_clamp = policy == OnUnbounded::kClamp && window > 0;

    // The prompt.
    std::int64_t prompt = times(shape.prompt_bytes, expansion.tokens_per_kilobyte) / 1000 + 1;
    prompt += expansion.per_request + times(shape.messages, expansion.per_message) +
        times(shape.images, expansion.per_image) +
        times(shape.audio_seconds_max, expansion.per_audio_second);
    if (shape.tools > 0) prompt += expansion.any_tools + times(shape.tools, expansion.per_tool);
    if (shape.has_file_id || shape.has_unknown_part || shape.has_document_url ||
        shape.has_stored_state) {
        if (!may_clamp) {
            const std::string_view what = shape.has_stored_state
                ? "it continues what the supplier has stored"
                : shape.has_file_id      ? "it names a file by id"
                : shape.has_document_url ? "it names a document by URL"
                                         : "it holds a content part of a type that is not known "
                                           "here, or the audio of an earlier answer by its id";
            return unbounded("messages", what,
                policy == OnUnbounded::kClamp
                    ? "State context_tokens of the offer, so that it can be bounded by that."
                    : "Send the content itself, or set the key's policy on_unbounded to clamp.");
        }
        prompt = window;
        bound.is_clamped = true;
    } else if (shape.has_documents) {
        // Pages become text and images that a compressed file does not bound; the window does.
        if (window == 0)
            return unbounded("messages",
                "a document has no bound but the context window, which is not known",
                "State context_tokens of the offer.");
        prompt = window;
    }
    // A supplier cannot read more than the model's window holds.
    if (window > 0 && shape.fits_or_fails) prompt = std::min(prompt, window);

    // The answer.
    std::int64_t output = 0;
    if (shape.images_made > 0 && expansion.per_image_made > 0) {
        output = times(shape.images_made, expansion.per_image_made);
    } else if (shape.output_cap) {
        output = *shape.output_cap;
    } else if (limits.output_tokens_max > 0) {
        output = times(limits.output_tokens_max, std::max<std::int64_t>(shape.images_made, 1));
        if (!shape.is_piecework) bound.inject_output_cap = output;
    } else if (shape.is_piecework) {
        bound.bounds.is_output_unbounded = true;
    } else if (may_clamp) {
        output = limits.context_tokens;
        bound.is_clamped = true;
    } else {
        return unbounded("max_tokens", "neither the request nor the offer caps the answer",
            "Send max_tokens, or state max_output_tokens of the offer.");
    }

    bound.bounds.prompt_tokens_max = std::min(prompt, kSizeMax);
    bound.bounds.output_tokens_max = times(output, shape.choices);
    bound.bounds.output_tokens_max +=
        times(times(shape.images_made, shape.partial_images), expansion.per_partial_image);
    bound.bounds.has_images = shape.images > 0 || shape.has_documents || shape.has_file_id ||
        shape.has_unknown_part || shape.has_document_url || shape.has_stored_state;
    bound.bounds.has_audio = shape.has_unknown_part || shape.audio_seconds_max > 0 ||
        shape.has_stored_state || shape.has_file_id;
    bound.bounds.may_answer_audio = shape.may_answer_audio;
    bound.bounds.may_answer_images = shape.may_answer_images;
    bound.bounds.images_max = shape.images_made > 0 ? shape.images_made : shape.images;
    bound.bounds.characters_max = shape.characters;
    bound.bounds.audio_seconds_max = shape.audio_seconds_max;
    bound.bounds.is_piecework = shape.is_piecework;
    bound.bounds.searches_max = shape.searches_max;
    bound.bounds.tiers = shape.tiers;
    return bound;
}

}  // namespace entrepot::routing
