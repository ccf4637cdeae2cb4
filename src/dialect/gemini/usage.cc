#include <algorithm>
#include <array>

#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Meter;
using json::Value;

constexpr std::array<std::string_view, 6> kModalities{
    "MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"};
constexpr std::array<std::string_view, 3> kServiceTiers{"standard", "flex", "priority"};

/// A count that is there; a negative one is no reason to compute with it.
std::optional<std::int64_t> count(const Value& metadata, std::string_view name) {
    const Value& value = get(metadata, name);
    if (!value.is_number()) return std::nullopt;
    return std::max<std::int64_t>(value.as_int().value_or(0), 0);
}

/// Whether the last account that Google stated is the whole of what was reported.
bool says_all(const canon::UsageReported& report) {
    if (!report.stated || report.stated->origin != kOrigin) return false;
    const auto parsed = json::Document::parse(report.stated->json);
    UsageReader reader;
    if (!parsed || !reader.lay_over(parsed->root())) return false;
    canon::Usage counted = report.usage;
    counted[Meter::kSearches] = counted[Meter::kToolCalls] = 0;
    return reader.usage() == counted;
}

void write_detail(json::Writer& writer, std::string_view modality, std::int64_t tokens) {
    if (tokens == 0) return;
    writer.begin_object().member("modality", modality).member("tokenCount", tokens).end_object();
}

}  // namespace

UsageReader::Modalities UsageReader::modalities_of(const Value& details) {
    Modalities sums;
    for (const Value& detail : details.items()) {
        const std::string modality = enum_word(get(detail, "modality"), kModalities);
        const std::int64_t tokens = count(detail, "tokenCount").value_or(0);
        if (modality == "AUDIO") sums.audio += tokens;
        if (modality == "IMAGE") sums.image += tokens;
    }
    return sums;
}

bool UsageReader::lay_over(const Value& metadata) {
    bool has_count = false;
    // What its own total covers is the whole account; what was said before, in streams that count
    // step by step, is not added to it.
    const auto total = count(metadata, "totalTokenCount");
    std::int64_t own_sum = 0;
    for (const std::string_view name : {"promptTokenCount", "candidatesTokenCount",
             "thoughtsTokenCount", "toolUsePromptTokenCount"})
        own_sum += count(metadata, name).value_or(0);
    if (total && *total == own_sum && own_sum > 0) {
        std::string tier = std::move(tier_);
        *this = UsageReader();
        tier_ = std::move(tier);
        candidates_ = 0;
    }
    const auto take = [&](std::string_view name, auto& into) {
        if (const auto stated = count(metadata, name)) {
            into = *stated;
            has_count = true;
        }
    };
    take("promptTokenCount", prompt_);
    take("cachedContentTokenCount", cached_);
    take("candidatesTokenCount", candidates_);
    take("responseTokenCount", candidates_);  // what Vertex called it once
    take("thoughtsTokenCount", thoughts_);
    take("toolUsePromptTokenCount", tool_use_);
    take("totalTokenCount", total_);
    const auto split = [&](std::string_view name, Modalities& into) {
        if (const Value* details = find(metadata, name)) into = modalities_of(*details);
    };
    split("promptTokensDetails", prompt_of_);
    split("promptTokenDetails", prompt_of_);  // so spelled of embeddings
    split("cacheTokensDetails", cached_of_);
    split("toolUsePromptTokensDetails", tool_use_of_);
    split("candidatesTokensDetails", candidates_of_);
    for (const std::string_view name : {"trafficType", "serviceTier"})
        if (const Value& word = get(metadata, name); word.is_string()) tier_ = word.string();
    return has_count;
}

canon::Usage UsageReader::usage() const {
    canon::Usage out;
    // What the cache held is inside of the prompt; what tools added to the prompt is beside it.
    const std::int64_t cached = std::min(cached_, prompt_);
    const std::int64_t fresh = prompt_ - cached;
    const std::int64_t cached_audio = std::min(cached_of_.audio, cached);
    // The details name only what they like, and the same thing by two names: they are believed as
    // far as the counts go.
    const std::int64_t audio =
        std::clamp<std::int64_t>(prompt_of_.audio - cached_of_.audio, 0, fresh);
    const std::int64_t image =
        std::clamp<std::int64_t>(prompt_of_.image - cached_of_.image, 0, fresh - audio);
    const std::int64_t tool_audio = std::min(tool_use_of_.audio, tool_use_);
    const std::int64_t tool_image = std::min(tool_use_of_.image, tool_use_ - tool_audio);
    out[Meter::kInput] = fresh - audio - image + tool_use_ - tool_audio - tool_image;
    out[Meter::kAudioIn] = audio + tool_audio;
    out[Meter::kImageIn] = image + tool_image;
    out[Meter::kAudioCacheRead] = cached_audio;
    out[Meter::kCacheRead] = cached - cached_audio;
    // Where the answer was never counted the total still has it.
    const std::int64_t answer =
        candidates_.value_or(std::max<std::int64_t>(total_ - prompt_ - thoughts_ - tool_use_, 0));
    out[Meter::kAudioOut] = std::min(candidates_of_.audio, answer);
    out[Meter::kImageOut] = std::min(candidates_of_.image, answer - out[Meter::kAudioOut]);
    out[Meter::kOutput] = answer - out[Meter::kAudioOut] - out[Meter::kImageOut] + thoughts_;
    out[Meter::kReasoning] = thoughts_;
    return out;
}

void write_usage(json::Writer& writer, const canon::UsageReported& report, Service service) {
    if (says_all(report)) {
        writer.raw(report.stated->json);
        return;
    }
    const canon::Usage& usage = report.usage;
    const std::string_view tier = report.service_tier;
    const std::int64_t prompt = usage.prompt_tokens();
    const std::int64_t cached = usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead];
    const std::int64_t thoughts = std::min(usage[Meter::kReasoning], usage[Meter::kOutput]);
    const std::int64_t answer = usage.answer_tokens() - thoughts;
    const auto member = [&](std::string_view name, std::int64_t tokens) {
        if (tokens != 0) writer.member(name, tokens);
    };
    writer.begin_object();
    member("promptTokenCount", prompt);
    member("candidatesTokenCount", answer);
    member("totalTokenCount", prompt + answer + thoughts);
    member("cachedContentTokenCount", cached);
    member("thoughtsTokenCount", thoughts);
    const auto details = [&](std::string_view name, std::int64_t all, std::int64_t audio,
                             std::int64_t image) {
        if (all == 0) return;
        writer.key(name).begin_array();
        write_detail(writer, "TEXT", all - audio - image);
        write_detail(writer, "IMAGE", image);
        write_detail(writer, "AUDIO", audio);
        writer.end_array();
    };
    details("promptTokensDetails", prompt, usage[Meter::kAudioIn] + usage[Meter::kAudioCacheRead],
        usage[Meter::kImageIn]);
    details("cacheTokensDetails", cached, usage[Meter::kAudioCacheRead], 0);
    details("candidatesTokensDetails", answer, usage[Meter::kAudioOut], usage[Meter::kImageOut]);
    const bool is_traffic = tier.starts_with("ON_DEMAND") || tier.starts_with("PROVISIONED");
    // Each service has its own words, which its clients read as an enum.
    if (service == Service::kVertex ? is_traffic
                                    : std::ranges::find(kServiceTiers, tier) != kServiceTiers.end())
        writer.member(is_traffic ? "trafficType" : "serviceTier", tier);
    writer.end_object();
}

}  // namespace entrepot::dialect::gemini
