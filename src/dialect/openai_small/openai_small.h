#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dialect/dialect.h"

// OpenAI's small endpoints: completions of a text, moderations, images, speech and transcriptions.
// Who speaks one of them is served by who speaks the same, so requests are read for what they may
// cost and replies for what they did, and both pass as they came. Their errors are those of chat
// completions, which who puts the dialects together hands in.
namespace entrepot::dialect::openai_small {

enum class Endpoint : std::uint8_t {
    kCompletions,
    kModerations,
    kImages,
    kImageEdits,
    kSpeech,
    kTranscriptions,
    kTranslations,
};
inline constexpr unsigned kEndpointCount = 7;

/// `openai-completions`, `openai-images`, ...
[[nodiscard]] std::string_view name_of(Endpoint endpoint);
[[nodiscard]] canon::Task task_of(Endpoint endpoint);

/// What is asked, as far as it may cost something, and every other field as it came
/// (`canon::Request::extras`); forms keep their fields to themselves. Errors: kBadRequest,
/// kInvalidField.
[[nodiscard]] Result<canon::Request> decode_request(
    Endpoint endpoint, const json::Document& body, const RequestContext& context);

/// The same body again, with the target's model, its cap and the wish for usage in a stream.
/// Errors: kUnsupported for a request of another endpoint, or of a form.
[[nodiscard]] Result<EncodedRequest> encode_request(
    Endpoint endpoint, const canon::Request& request, const EncodeTarget& target);

/// Dialect::usage_of_tail, of images: their tokens. How many there are stands before it.
[[nodiscard]] std::optional<canon::Usage> usage_of_images_tail(std::string_view tail);

/// A form with the field `model` set. Errors: kBadRequest.
[[nodiscard]] Result<std::string> rename_model(
    std::string_view body, std::string_view content_type, std::string_view model);

[[nodiscard]] std::unique_ptr<ReplyDecoder> reply_decoder(
    Endpoint endpoint, ReplyForm form, const Dialect& errors);
[[nodiscard]] std::unique_ptr<ReplyEncoder> reply_encoder(
    Endpoint endpoint, ReplyForm form, const ReplyContext& context, const Dialect& errors);

}  // namespace entrepot::dialect::openai_small
