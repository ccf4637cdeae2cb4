#include <algorithm>
#include <array>
#include <utility>

#include "auth/policy.h"
#include "base/text.h"

// Which group of law a supplier's region belongs to. Azure names its regions freely, so they are
// listed; AWS, Google and Oracle begin with a continent, so only their exceptions are. A region
// that is in neither has no group, and then only `*` or its own name reaches it: a new region is
// refused until it is known, never admitted by guess.

namespace entrepot::auth {
namespace {

struct Named {
    std::string_view region;
    std::string_view group;
};

// Exact names: Azure's, and those of the others whose prefix would mislead.
constexpr auto kNamed = std::to_array<Named>({
    // Azure, members of the European Union
    {"austriaeast", "eu"},
    {"belgiumcentral", "eu"},
    {"denmarkeast", "eu"},
    {"finlandcentral", "eu"},
    {"francecentral", "eu"},
    {"francesouth", "eu"},
    {"germanynorth", "eu"},
    {"germanywestcentral", "eu"},
    {"greececentral", "eu"},
    {"italynorth", "eu"},
    {"northeurope", "eu"},
    {"polandcentral", "eu"},
    {"spaincentral", "eu"},
    {"swedencentral", "eu"},
    {"swedensouth", "eu"},
    {"westeurope", "eu"},
    // Azure, elsewhere in Europe
    {"norwayeast", "eea"},
    {"norwaywest", "eea"},
    {"switzerlandnorth", "ch"},
    {"switzerlandwest", "ch"},
    {"uksouth", "uk"},
    {"ukwest", "uk"},
    // Azure, the Americas
    {"centralus", "us"},
    {"eastus", "us"},
    {"eastus2", "us"},
    {"northcentralus", "us"},
    {"southcentralus", "us"},
    {"westcentralus", "us"},
    {"westus", "us"},
    {"westus2", "us"},
    {"westus3", "us"},
    {"usgovarizona", "us-gov"},
    {"usgovtexas", "us-gov"},
    {"usgovvirginia", "us-gov"},
    {"canadacentral", "ca"},
    {"canadaeast", "ca"},
    {"brazilsouth", "sa"},
    {"brazilsoutheast", "sa"},
    {"chilecentral", "sa"},
    {"mexicocentral", "mx"},
    // Azure, Asia and the Pacific, Africa, the Middle East
    {"australiacentral", "apac"},
    {"australiaeast", "apac"},
    {"australiasoutheast", "apac"},
    {"centralindia", "apac"},
    {"southindia", "apac"},
    {"westindia", "apac"},
    {"jioindiawest", "apac"},
    {"jioindiacentral", "apac"},
    {"eastasia", "apac"},
    {"southeastasia", "apac"},
    {"indonesiacentral", "apac"},
    {"japaneast", "apac"},
    {"japanwest", "apac"},
    {"koreacentral", "apac"},
    {"koreasouth", "apac"},
    {"malaysiawest", "apac"},
    {"newzealandnorth", "apac"},
    {"southafricanorth", "af"},
    {"southafricawest", "af"},
    {"israelcentral", "me"},
    {"qatarcentral", "me"},
    {"uaecentral", "me"},
    {"uaenorth", "me"},
    // AWS: London and Zurich are no members
    {"eu-west-2", "uk"},
    {"eu-central-2", "ch"},
    {"mx-central-1", "mx"},
    // Google: London and Zurich
    {"europe-west2", "uk"},
    {"europe-west6", "ch"},
    {"northamerica-northeast1", "ca"},
    {"northamerica-northeast2", "ca"},
    {"northamerica-south1", "mx"},
    // Oracle: countries behind the continent's prefix
    {"uk-london-1", "uk"},
    {"uk-cardiff-1", "uk"},
    {"eu-zurich-1", "ch"},
    {"eu-jovanovac-1", "rs"},
    {"sa-santiago-1", "sa"},
    {"sa-bogota-1", "sa"},
    {"mx-queretaro-1", "mx"},
    {"mx-monterrey-1", "mx"},
});

// Longest first where one begins another.
constexpr auto kPrefixes = std::to_array<Named>({
    {"us-gov-", "us-gov"},
    {"us-", "us"},
    {"eusc-", "eu"},
    {"eu-", "eu"},
    {"europe-", "eu"},
    {"ca-", "ca"},
    {"sa-", "sa"},
    {"southamerica-", "sa"},
    {"ap-", "apac"},
    {"asia-", "apac"},
    {"australia-", "apac"},
    {"me-", "me"},
    {"il-", "me"},
    {"af-", "af"},
    {"africa-", "af"},
    {"cn-", "cn"},
});

}  // namespace

const std::vector<std::string>& region_groups() {
    static const std::vector<std::string> groups{
        "af", "apac", "ca", "ch", "cn", "eea", "eu", "me", "mx", "rs", "sa", "uk", "us", "us-gov"};
    return groups;
}

std::string_view region_group(std::string_view region) {
    for (const std::string& group : region_groups())
        if (region == group) return group;
    for (const Named& named : kNamed)
        if (region == named.region) return named.group;
    for (const Named& prefix : kPrefixes)
        if (region.starts_with(prefix.region)) return prefix.group;
    return {};
}

bool is_region_name(std::string_view name) {
    return name == "*" || name == "global" || !region_group(name).empty();
}

RegionSet::RegionSet(std::vector<std::string> names) : names_(std::move(names)) {
    for (std::string& name : names_) name = to_lower(name);
    all_ = std::ranges::find(names_, "*") != names_.end();
}

RegionSet RegionSet::all() { return RegionSet({"*"}); }

namespace {

// `eea` is the Union and Norway: whoever may go there may go to the Union too.
bool name_covers(std::string_view allowed, std::string_view name, std::string_view group) {
    if (allowed == name) return true;
    if (group.empty()) return false;
    return allowed == group || (allowed == "eea" && group == "eu");
}

}  // namespace

bool RegionSet::allows(std::string_view region) const {
    if (all_) return true;
    if (region.empty()) return false;  // unknown: it could be anywhere
    const std::string wanted = to_lower(region);
    const std::string_view group = region_group(wanted);
    return std::ranges::any_of(
        names_, [&](const std::string& name) { return name_covers(name, wanted, group); });
}

bool RegionSet::covers_name(std::string_view name) const { return all_ || allows(name); }

bool RegionSet::covers(const RegionSet& other) const {
    if (all_) return true;
    if (other.all_) return false;
    return std::ranges::all_of(
        other.names_, [&](const std::string& name) { return covers_name(name); });
}

}  // namespace entrepot::auth
