#include "dialect/openai_small/usage.h"

#include <algorithm>
#include <charconv>

namespace entrepot::dialect::openai_small {
namespace {

using canon::Meter;
using canon::Usage;
using json::Value;

constexpr std::int64_t kCountMax = std::int64_t{1} << 50;

std::int64_t count(const Value& value) {
    return std::clamp<std::int64_t>(value.as_int().value_or(0), 0, kCountMax);
}

/// Seconds begun, as they are billed; 0 for what is no number of them.
std::int64_t seconds(const Value& value) {
    if (!value.is_number()) return 0;
    if (const auto whole = value.as_int()) return std::clamp<std::int64_t>(*whole, 0, kCountMax);
    const std::string_view text = value.raw();
    const std::size_t point = text.find('.');
    std::int64_t begun = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), begun);
    if (parsed.ec != std::errc() || begun < 0 || begun > kCountMax) return 0;
    if (text.find_first_of("eE") != std::string_view::npos) return begun + 1;
    const bool has_more = point != std::string_view::npos &&
        text.find_first_not_of('0', point + 1) != std::string_view::npos;
    return begun + (has_more ? 1 : 0);
}

/// Input and output with the shares of their modalities: `input_tokens_details` of images,
/// `input_token_details` of sounds.
std::optional<Usage> of_tokens(const Value& stated, Meter modality_in, Meter modality_out) {
    if (!stated["input_tokens"].as_int() && !stated["output_tokens"].as_int()) return std::nullopt;
    const Value& plural = stated["input_tokens_details"];
    const Value& in = plural.is_object() ? plural : stated["input_token_details"];
    const std::string_view share = modality_in == Meter::kImageIn ? "image_tokens" : "audio_tokens";
    Usage usage;
    const std::int64_t input = count(stated["input_tokens"]);
    usage[modality_in] = std::min(input, count(in[share]));
    // Cached tokens of a modality have no meter of their own: text is taken to be cached first.
    usage[Meter::kCacheRead] = std::min(input - usage[modality_in], count(in["cached_tokens"]));
    usage[Meter::kInput] = input - usage[modality_in] - usage[Meter::kCacheRead];
    const std::int64_t output = count(stated["output_tokens"]);
    const Value& out = stated["output_tokens_details"];
    if (modality_out == Meter::kOutput) {
        usage[Meter::kOutput] = output;
    } else {
        const std::int64_t text = std::min(output, count(out["text_tokens"]));
        usage[Meter::kOutput] = text;
        usage[modality_out] = output - text;
    }
    return usage;
}

std::optional<Usage> of_completion(const Value& stated) {
    if (!stated["prompt_tokens"].as_int() && !stated["completion_tokens"].as_int())
        return std::nullopt;
    Usage usage;
    const std::int64_t prompt = count(stated["prompt_tokens"]);
    usage[Meter::kCacheRead] =
        std::min(prompt, count(stated["prompt_tokens_details"]["cached_tokens"]));
    usage[Meter::kInput] = prompt - usage[Meter::kCacheRead];
    usage[Meter::kOutput] = count(stated["completion_tokens"]);
    usage[Meter::kReasoning] = std::min(
        usage[Meter::kOutput], count(stated["completion_tokens_details"]["reasoning_tokens"]));
    return usage;
}

/// OpenAI states tokens or seconds, Mistral both and in the words of a conversation, some servers
/// how long the sound was.
std::optional<Usage> of_transcription(const Value& reply) {
    const Value& stated = reply["usage"];
    auto usage = of_tokens(stated, Meter::kAudioIn, Meter::kOutput);
    if (!usage) usage = of_completion(stated);
    std::int64_t lasted = seconds(stated["seconds"]);
    if (lasted == 0) lasted = seconds(stated["prompt_audio_seconds"]);
    if (lasted == 0) lasted = seconds(reply["duration"]);
    if (lasted > 0) {
        if (!usage) usage.emplace();
        (*usage)[Meter::kAudioSeconds] = lasted;
    }
    return usage;
}

}  // namespace

std::optional<Usage> usage_of(Endpoint endpoint, const Value& reply) {
    switch (endpoint) {
        case Endpoint::kCompletions: return of_completion(reply["usage"]);
        case Endpoint::kModerations: return std::nullopt;
        case Endpoint::kImages:
        case Endpoint::kImageEdits: {
            auto usage = of_tokens(reply["usage"], Meter::kImageIn, Meter::kImageOut);
            const auto images = static_cast<std::int64_t>(reply["data"].items().size());
            const bool is_one = reply["type"].string().ends_with(".completed");  // of a stream
            if (images > 0 || is_one) {
                if (!usage) usage.emplace();
                (*usage)[Meter::kImages] = std::max<std::int64_t>(images, 1);
            }
            return usage;
        }
        case Endpoint::kSpeech: return of_tokens(reply["usage"], Meter::kAudioIn, Meter::kAudioOut);
        case Endpoint::kTranscriptions:
        case Endpoint::kTranslations: return of_transcription(reply);
    }
    return std::nullopt;
}

}  // namespace entrepot::dialect::openai_small
