#include "reconcile/sku.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "base/text.h"
#include "catalog/catalog.h"
#include "reconcile/names.h"

namespace entrepot::reconcile {
namespace {

using Words = std::vector<std::string>;

bool has_any(const Words& words, std::initializer_list<std::string_view> wanted) {
    return std::ranges::any_of(words,
        [&](const std::string& word) { return std::ranges::find(wanted, word) != wanted.end(); });
}

bool holds(std::string_view text, std::string_view part) {
    return to_lower(text).find(part) != std::string::npos;
}

std::optional<Meter> meter_of(const Words& words) {
    if (has_any(words, {"storage", "hour", "hours", "training", "hosting"})) return std::nullopt;
    const bool is_cache = has_any(words, {"cache", "cached", "caching", "cachd", "cchd", "cch"});
    const bool is_audio = has_any(words, {"audio", "speech", "aud"});
    const bool is_image = has_any(words, {"image", "images", "img"});
    const bool is_output = has_any(words, {"output", "out", "outp", "opt", "response"});
    const bool is_input = has_any(words, {"input", "inp", "prompt"});
    if (is_cache && has_any(words, {"write", "writes", "creation", "wr"}))
        return has_any(words, {"1h", "12h"}) ? Meter::kCacheWriteLong : Meter::kCacheWrite;
    if (is_cache && !is_output && !has_any(words, {"no"}))
        return is_audio ? Meter::kAudioCacheRead : Meter::kCacheRead;
    if (is_output)
        return is_audio ? Meter::kAudioOut : is_image ? Meter::kImageOut : Meter::kOutput;
    if (is_input) return is_audio ? Meter::kAudioIn : is_image ? Meter::kImageIn : Meter::kInput;
    if (has_any(words, {"search", "searches", "websearch", "grounding"})) return Meter::kSearches;
    if (has_any(words, {"character", "characters"})) return Meter::kCharacters;
    return std::nullopt;
}

Tier tier_of(const Words& words) {
    if (has_any(words, {"batch", "batches"})) return Tier::kBatch;
    if (has_any(words, {"flex"})) return Tier::kFlex;
    if (has_any(words, {"priority"})) return Tier::kPriority;
    if (has_any(words, {"fast", "optimized"})) return Tier::kFast;
    return Tier::kStandard;
}

Sku sku_of(const Words& words) {
    Sku sku;
    sku.meter = meter_of(words);
    sku.tier = tier_of(words);
    sku.is_long = has_any(words, {"long", "lctx", "longco"});
    if (has_any(words, {"global", "glbl"})) sku.region = "global";
    return sku;
}

/// The letters that AWS writes before a usage type for the region.
std::string_view aws_region(std::string_view code) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 31> kCodes{
        {{"AFS1", "af-south-1"}, {"APN1", "ap-northeast-1"}, {"APN2", "ap-northeast-2"},
            {"APN3", "ap-northeast-3"}, {"APS1", "ap-southeast-1"}, {"APS2", "ap-southeast-2"},
            {"APS3", "ap-south-1"}, {"APS4", "ap-southeast-3"}, {"APS5", "ap-south-2"},
            {"APS6", "ap-southeast-4"}, {"APS7", "ap-southeast-5"}, {"CAN1", "ca-central-1"},
            {"CAN2", "ca-west-1"}, {"EU", "eu-west-1"}, {"EUW1", "eu-west-1"},
            {"EUC1", "eu-central-1"}, {"EUC2", "eu-central-2"}, {"EUN1", "eu-north-1"},
            {"EUS1", "eu-south-1"}, {"EUS2", "eu-south-2"}, {"EUW2", "eu-west-2"},
            {"EUW3", "eu-west-3"}, {"ILC1", "il-central-1"}, {"MEC1", "me-central-1"},
            {"MES1", "me-south-1"}, {"SAE1", "sa-east-1"}, {"UGE1", "us-gov-east-1"},
            {"UGW1", "us-gov-west-1"}, {"USE1", "us-east-1"}, {"USE2", "us-east-2"},
            {"USW2", "us-west-2"}}};
    if (code == "USW1") return "us-west-1";
    const auto at = std::ranges::find(kCodes, code, [](const auto& pair) { return pair.first; });
    return at == kCodes.end() ? std::string_view() : at->second;
}

/// Takes `USE1-` or `USE1_` off the front.
std::string_view take_region(std::string_view& text, char separator) {
    const auto end = text.find(separator);
    if (end == std::string_view::npos || end > 6) return {};
    const std::string_view code = text.substr(0, end);
    if (!std::ranges::all_of(
            code, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }))
        return {};
    text.remove_prefix(end + 1);
    return aws_region(code);
}

/// Where the words on tokens begin behind a model's name.
std::size_t tail_of(std::string_view usage_type) {
    std::size_t first = std::string_view::npos;
    for (const std::string_view mark :
        {"-mantle-", "-input-", "-output-", "-cache-", "-text-input", "-text-output",
            "-speech-input", "-speech-output", "-image-input", "-batch-input", "-batch-output"})
        first = std::min(first, usage_type.find(mark));
    return first;
}

/// Words that say how tokens are counted, and so are no part of a model's name.
bool is_grammar(std::string_view word) {
    static constexpr std::array<std::string_view, 49> kGrammar{"non-thinking", "non-cached", "text",
        "input", "output", "predictions", "prediction", "batch", "long", "short", "global", "ga",
        "token", "tokens", "count", "generate", "content", "thinking", "non", "caching", "cached",
        "cache", "read", "write", "hit", "audio", "video", "on", "off", "demand", "context",
        "window", "priority", "flex", "model", "api", "regional", "for", "per", "the", "request",
        "5m", "1h", "oracle", "cloud", "infrastructure", "oci", "generative", "ai"};
    return std::ranges::find(kGrammar, word) != kGrammar.end();
}

/// The model within a free text such as `Gemini 2.5 Flash GA Text Input - Predictions`.
std::string model_in(std::string_view text) {
    // An image model is named so; `Image Input` of another one is a kind of token.
    std::string name;
    std::string_view rest = text.substr(0, text.find('('));
    while (!rest.empty()) {
        const auto begin = rest.find_first_not_of(" ,-/|");
        if (begin == std::string_view::npos) break;
        rest.remove_prefix(begin);
        const auto end = std::min(rest.find_first_of(" ,/|"), rest.size());
        const std::string word = to_lower(rest.substr(0, end));
        rest.remove_prefix(end);
        const std::string_view next = trim(rest);
        const bool is_modality = word == "image" &&
            (holds(next.substr(0, 6), "input") || holds(next.substr(0, 6), "output"));
        if (!is_grammar(word) && !is_modality) name += (name.empty() ? "" : " ") + word;
    }
    return ModelNames::embedded().canonical(name);
}

bool is_consumption_unit(std::string_view text) {
    return holds(text, "consumption unit") || has_any(words_of(text), {"ccu", "ccus"});
}

}  // namespace

std::int64_t unit_of(std::string_view text) {
    const std::string lower = to_lower(trim(text));
    if (lower.find("hour") != std::string::npos || lower.find('/') != std::string::npos ||
        lower.find("gb") != std::string::npos || lower == "h" || lower == "mo" || lower.empty())
        return 0;
    if (lower.find("million") != std::string::npos) return 1'000'000;
    if (lower.find("thousand") != std::string::npos) return 1'000;
    std::string digits;
    std::size_t at = 0;
    for (; at < lower.size() && (lower[at] == ',' || (lower[at] >= '0' && lower[at] <= '9')); ++at)
        if (lower[at] != ',') digits += lower[at];
    std::int64_t count = 1;
    if (!digits.empty()) {
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), count);
        if (error != std::errc() || count < 1 || count > 1'000'000) return 0;
    }
    // `1K`, `1m tokens`, but not `1 minute`.
    if (at < lower.size() && !digits.empty() &&
        (at + 1 == lower.size() || lower[at + 1] < 'a' || lower[at + 1] > 'z')) {
        if (lower[at] == 'k') count *= 1'000;
        if (lower[at] == 'm') count *= 1'000'000;
    }
    if (lower.find("second") != std::string::npos || lower.find("minute") != std::string::npos)
        return 0;
    return count <= 1'000'000 && 1'000'000 % count == 0 ? count : 0;
}

Sku sku_of_words(std::string_view text) { return sku_of(words_of(text)); }

Sku aws_sku(const AwsNames& names) {
    std::string_view usage = names.usage_type;
    std::string_view region = take_region(usage, '-');
    const bool is_market = usage.starts_with("MP:");
    if (is_market) {
        usage.remove_prefix(3);
        if (const std::string_view inner = take_region(usage, '_'); region.empty()) region = inner;
    }
    const bool is_bedrock = holds(names.service, "bedrock") || holds(names.product, "bedrock") ||
        is_consumption_unit(names.usage_type);
    const std::size_t tail = is_market ? 0 : tail_of(usage);
    Sku sku = sku_of_words(tail == std::string_view::npos ? usage : usage.substr(tail));
    sku.is_model_use = is_bedrock;
    if (!is_bedrock) return sku;
    if (!names.region.empty()) region = names.region;
    if (region.empty()) region = "us-east-1";  // the one region without letters
    if (sku.region.empty()) sku.region = std::string(region);
    if (is_consumption_unit(names.usage_type) || is_consumption_unit(names.description)) {
        sku.is_consumption_unit = true;
        sku.meter.reset();
        return sku;
    }
    if (!is_market && tail != std::string_view::npos && tail > 0)
        sku.model = ModelNames::embedded().canonical(usage.substr(0, tail));
    else if (sku.meter)
        sku.model = ModelNames::embedded().canonical(
            names.product.substr(0, std::min(names.product.find(" ("), names.product.size())));
    sku.unit = unit_of(names.unit);
    // Marketplace lines count in "Units", which are a million tokens unless the line says else.
    if (is_market && sku.meter && (sku.unit <= 1 || equals_ignoring_case(names.unit, "units"))) {
        const bool is_thousand = holds(names.description, "1k ") ||
            holds(names.description, "1,000 ") || holds(names.description, "thousand");
        sku.unit = is_thousand ? 1'000 : 1'000'000;
    }
    return sku;
}

Sku azure_sku(const AzureNames& names) {
    Sku sku;
    sku.unit = unit_of(names.unit);
    sku.region = std::string(names.region);
    if (is_consumption_unit(names.meter) || is_consumption_unit(names.category)) {
        sku.is_consumption_unit = true;
        return sku;
    }
    if (const auto* meter = catalog::Catalog::embedded().find_meter("azure", names.meter)) {
        sku.model = std::string(meter->model);
        sku.meter = meter->meter;
        sku.tier = meter->tier;
        sku.is_long = meter->ctx_over > 0;
        if (sku.unit == 0) sku.unit = unit_of(meter->unit);
        // A global or zone deployment is billed under the place its resource lies in.
        if (meter->deployment != "regional") sku.region = std::string(meter->deployment);
        return sku;
    }
    const bool is_openai = holds(names.category, "openai") || holds(names.category, "foundry") ||
        holds(names.category, "cognitive") || holds(names.category, "models");
    sku.is_model_use = is_openai;
    return sku;
}

Sku google_sku(const GoogleNames& names) {
    Sku sku = sku_of_words(names.description);
    sku.is_model_use = holds(names.service, "vertex") || holds(names.service, "gemini") ||
        holds(names.service, "generative") || holds(names.service, "agent platform");
    if (!sku.is_model_use) return sku;
    sku.unit = unit_of(names.unit);
    if (sku.region.empty()) sku.region = std::string(names.region);
    if (sku.meter) sku.model = model_in(names.description);
    if (sku.unit == 0) sku.meter.reset();
    return sku;
}

Sku openai_sku(std::string_view line_item) {
    Sku sku;
    std::string_view text = line_item;
    std::string_view tier;
    if (const auto bar = text.find('|'); bar != std::string_view::npos) {
        tier = trim(text.substr(0, bar));
        text.remove_prefix(bar + 1);
    }
    text = trim(text);
    const auto comma = text.find(',');
    if (comma == std::string_view::npos) {
        sku.meter = meter_of(words_of(text));
        if (sku.meter != Meter::kSearches) sku.meter.reset();
        return sku;
    }
    std::string_view head = text.substr(0, comma);
    const auto space = head.find(' ');
    const std::string_view modality =
        space == std::string_view::npos ? std::string_view() : trim(head.substr(space));
    sku = sku_of_words(std::string(modality) + " " + std::string(text.substr(comma)));
    sku.region.clear();
    if (const auto named = catalog::parse_tier(tier)) sku.tier = named;
    sku.model = ModelNames::embedded().canonical(head.substr(0, space));
    return sku;
}

Sku anthropic_sku(std::string_view model, std::string_view token_type,
    std::string_view context_window, std::string_view tier) {
    Sku sku = sku_of_words(token_type);
    sku.tier.reset();
    if (const auto named = catalog::parse_tier(tier)) sku.tier = named;
    sku.is_long.reset();
    if (!context_window.empty() && context_window != "null")
        sku.is_long = context_window.starts_with("200k") || context_window.starts_with(">");
    sku.region.clear();
    if (!model.empty()) sku.model = ModelNames::embedded().canonical(model);
    return sku;
}

Sku plain_sku(std::string_view text, std::string_view unit) {
    Sku sku = sku_of_words(text);
    sku.unit = unit_of(unit);
    sku.tier.reset();
    sku.is_long.reset();
    if (sku.meter) sku.model = model_in(text);
    return sku;
}

}  // namespace entrepot::reconcile
