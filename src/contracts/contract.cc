#include "contracts/contract.h"

#include <algorithm>

namespace entrepot::contracts {

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::kOther: return "other";
        case Kind::kAzureMacc: return "azure_macc";
        case Kind::kAwsEdp: return "aws_edp";
        case Kind::kGoogleCommit: return "google_commit";
        case Kind::kOracleCredits: return "oracle_credits";
        case Kind::kOpenaiReserved: return "openai_reserved";
        case Kind::kAnthropicCcu: return "anthropic_ccu";
    }
    return "other";
}

std::string_view per_name(Per per) {
    switch (per) {
        case Per::kTerm: return "term";
        case Per::kYear: return "year";
        case Per::kQuarter: return "quarter";
        case Per::kMonth: return "month";
    }
    return "term";
}

std::string_view counts_on_name(CountsOn when) {
    return when == CountsOn::kUse ? "use" : "invoice";
}

bool matches(std::string_view pattern, std::string_view name) {
    if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
    return pattern == name;
}

bool takes(const std::vector<std::string>& patterns, std::string_view name) {
    return patterns.empty() ||
        std::ranges::any_of(patterns, [&](const auto& pattern) { return matches(pattern, name); });
}

namespace {

bool may_meet(std::string_view a, std::string_view b) {
    const bool a_open = a.ends_with('*');
    const bool b_open = b.ends_with('*');
    if (!a_open) return matches(b, a);
    if (!b_open) return matches(a, b);
    a.remove_suffix(1);
    b.remove_suffix(1);
    return a.starts_with(b) || b.starts_with(a);
}

}  // namespace

bool may_meet(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    if (a.empty() || b.empty()) return true;
    return std::ranges::any_of(a, [&](const std::string& x) {
        return std::ranges::any_of(b, [&](const std::string& y) { return may_meet(x, y); });
    });
}

bool Selector::takes(const Place& place) const {
    return contracts::takes(clouds, place.cloud) && contracts::takes(models, place.model) &&
        contracts::takes(offers, place.offer) && contracts::takes(regions, place.region);
}

bool Selector::meets(const Selector& other) const {
    return (tiers & other.tiers) != 0 && (meters & other.meters) != 0 &&
        may_meet(clouds, other.clouds) && may_meet(models, other.models) &&
        may_meet(offers, other.offers) && may_meet(regions, other.regions);
}

Selector Contract::scope() const {
    Selector scope;
    scope.clouds = clouds;
    scope.models = models;
    return scope;
}

bool Contract::covers(const Place& place) const {
    return takes(clouds, place.cloud) && takes(models, place.model);
}

}  // namespace entrepot::contracts
