#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::catalog {

/// The code that speaks to a supplier, as `clouds.<name>.kind` names it.
enum class CloudKind : std::uint8_t {
    kOpenai,
    kAzure,
    kAnthropic,
    kBedrock,
    kVertex,
    kGemini,
    kOci,
    kOpenaiCompatible,
    kCohere,
};

[[nodiscard]] std::string_view cloud_kind_name(CloudKind kind);
/// All names, in the order of CloudKind.
[[nodiscard]] std::span<const std::string_view> cloud_kind_names();

/// A set of jurisdictions, one bit each; `all` means anywhere in the world. Empty means unknown.
struct ZoneSet {
    std::uint32_t bits = 0;
    [[nodiscard]] constexpr bool is_unknown() const { return bits == 0; }
    /// Every place of this set lies in `allowed`; never true for the unknown.
    [[nodiscard]] constexpr bool within(ZoneSet allowed) const {
        return bits != 0 && (bits & ~allowed.bits) == 0;
    }
    friend constexpr ZoneSet operator|(ZoneSet a, ZoneSet b) { return {a.bits | b.bits}; }
    friend constexpr bool operator==(ZoneSet, ZoneSet) = default;
};

/// The places a supplier's region or zone name stands for: `swedencentral`, `eu-west-1`, `eu`,
/// `datazone-eu`, `europe-west4`, `global`, `jp`. `eu` is the European Union alone: London, Zurich
/// and Oslo are not in it
/// (`europe` holds them too). Unknown names give the empty set.
[[nodiscard]] ZoneSet zones_of(std::string_view region);

/// The names of zones: what a rule opens as a whole (`eu`, `us`, `global`, ...). Any other name in
/// a rule is one region.
[[nodiscard]] std::span<const std::string_view> zone_names();

/// The zone of a Bedrock inference profile id or ARN (`us` of `us.anthropic.claude-...`), or empty
/// for a plain model id.
[[nodiscard]] std::string_view profile_zone(std::string_view model_id);

/// Where an offer's requests may be processed.
struct Residency {
    std::string
        region;  ///< a region or zone name as configured or as the model id says; empty: not stated
    ZoneSet zones;
};

/// Residency of an offer. A Bedrock inference profile (`eu.`, `us.`, `global.`) widens the cloud's
/// region to its zone; OpenAI and Anthropic without a region are `global`; other clouds without one
/// are unknown.
[[nodiscard]] Residency residency_of(
    CloudKind kind, std::string_view region, std::string_view provider_model_id);

/// `regions:` of a key or team, made ready for the request path.
class RegionRule {
public:
    RegionRule() = default;
    /// `names`: zones or exact regions; empty, or holding `*`, allows everything.
    explicit RegionRule(const std::vector<std::string>& names);
    [[nodiscard]] bool allows_everything() const { return everything_; }
    /// Denies by default: an offer whose region is unknown matches only a rule that names that very
    /// region, and a `global` offer only the rule `global`.
    [[nodiscard]] bool allows(const Residency& residency) const;
    /// Whether `name` (a zone or a region, not `*`) in another rule admits nothing beyond this one.
    [[nodiscard]] bool covers(std::string_view name) const;

private:
    bool everything_ = true;
    ZoneSet zones_;
    std::vector<std::string> exact_;
};

}  // namespace entrepot::catalog
