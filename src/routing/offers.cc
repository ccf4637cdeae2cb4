#include "routing/offers.h"

#include <algorithm>

#include "base/text.h"

namespace entrepot::routing {
namespace {

/// FNV-1a: the same in every build, so that what was learned of an offer survives a reload.
std::uint64_t stable_hash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3ULL;
    }
    return hash;
}

bool matches(std::string_view pattern, std::string_view name) {
    if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
    return pattern == name;
}

}  // namespace

std::string_view feature_name(Feature feature) {
    switch (feature) {
        case Feature::kTools: return "tools";
        case Feature::kImages: return "images";
        case Feature::kAudioIn: return "audio input";
        case Feature::kAudioOut: return "audio output";
        case Feature::kDocuments: return "documents";
        case Feature::kStructuredOutput: return "structured output";
        case Feature::kReasoning: return "reasoning";
        case Feature::kStreaming: return "streaming";
        case Feature::kLogprobs: return "logprobs";
        case Feature::kChoices: return "more than one choice";
    }
    return "unknown";
}

OfferTable::OfferTable(std::vector<Offer> offers) : offers_(std::move(offers)) {
    for (std::uint32_t i = 0; i < offers_.size(); ++i) {
        offers_[i].stable_key = stable_hash(offers_[i].id.view());
        by_model_[offers_[i].model.str()].push_back(i);
    }
    models_.reserve(by_model_.size());
    for (const auto& [model, indexes] : by_model_) models_.push_back(model);
    std::ranges::sort(models_);
}

std::span<const std::uint32_t> OfferTable::of_model(std::string_view model) const {
    const auto at = by_model_.find(model);
    if (at == by_model_.end()) return {};
    return at->second;
}

std::string_view OfferTable::nearest_model(std::string_view model) const {
    return nearest(model, models_);
}

void Reach::restrict_clouds(const std::vector<std::string>& clouds) {
    if (clouds.empty() || std::ranges::find(clouds, "*") != clouds.end()) return;
    clouds_.push_back(clouds);
}

void Reach::restrict_regions(const std::vector<std::string>& regions) {
    catalog::RegionRule rule(regions);
    if (!rule.allows_everything()) regions_.push_back(std::move(rule));
}

bool Reach::allows_cloud(std::string_view cloud) const {
    return std::ranges::all_of(clouds_, [&](const std::vector<std::string>& level) {
        return std::ranges::any_of(
            level, [&](const std::string& pattern) { return matches(pattern, cloud); });
    });
}

bool Reach::allows_region(const catalog::Residency& residency) const {
    return std::ranges::all_of(
        regions_, [&](const catalog::RegionRule& rule) { return rule.allows(residency); });
}

}  // namespace entrepot::routing
