#include "catalog/region.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace entrepot::catalog {
namespace {

// One bit per jurisdiction. `kElsewhere` is every place without a bit of its own, so that `global`
// is wider than any sum of named zones.
constexpr std::uint32_t kEu = 1U << 0;
constexpr std::uint32_t kUk = 1U << 1;
constexpr std::uint32_t kCh = 1U << 2;
constexpr std::uint32_t kNo = 1U << 3;
constexpr std::uint32_t kUs = 1U << 4;
constexpr std::uint32_t kUsGov = 1U << 5;
constexpr std::uint32_t kCa = 1U << 6;
constexpr std::uint32_t kBr = 1U << 7;
constexpr std::uint32_t kMx = 1U << 8;
constexpr std::uint32_t kCl = 1U << 9;
constexpr std::uint32_t kJp = 1U << 10;
constexpr std::uint32_t kKr = 1U << 11;
constexpr std::uint32_t kIn = 1U << 12;
constexpr std::uint32_t kAu = 1U << 13;
constexpr std::uint32_t kNz = 1U << 14;
constexpr std::uint32_t kSg = 1U << 15;
constexpr std::uint32_t kId = 1U << 16;
constexpr std::uint32_t kMy = 1U << 17;
constexpr std::uint32_t kTh = 1U << 18;
constexpr std::uint32_t kHk = 1U << 19;
constexpr std::uint32_t kTw = 1U << 20;
constexpr std::uint32_t kIl = 1U << 21;
constexpr std::uint32_t kAe = 1U << 22;
constexpr std::uint32_t kSa = 1U << 23;
constexpr std::uint32_t kQa = 1U << 24;
constexpr std::uint32_t kBh = 1U << 25;
constexpr std::uint32_t kZa = 1U << 26;
constexpr std::uint32_t kCn = 1U << 27;
constexpr std::uint32_t kElsewhere = 1U << 31;
constexpr std::uint32_t kEurope = kEu | kUk | kCh | kNo;
constexpr std::uint32_t kApac = kJp | kKr | kIn | kAu | kNz | kSg | kId | kMy | kTh | kHk | kTw;
constexpr std::uint32_t kGlobal = 0xffffffffU;

struct Named {
    std::string_view name;
    std::uint32_t zones;
};

// Sorted by name (a test holds it). Sources: the regions' documentation of each cloud.
constexpr auto kRegions = std::to_array<Named>({
    // clang-format off
    {"ae", kAe}, {"af-south-1", kZa}, {"ap-east-1", kHk}, {"ap-east-2", kTw},
    {"ap-melbourne-1", kAu}, {"ap-mumbai-1", kIn}, {"ap-northeast-1", kJp},
    {"ap-northeast-2", kKr}, {"ap-northeast-3", kJp}, {"ap-osaka-1", kJp}, {"ap-seoul-1", kKr},
    {"ap-singapore-1", kSg}, {"ap-south-1", kIn}, {"ap-south-2", kIn}, {"ap-southeast-1", kSg},
    {"ap-southeast-2", kAu}, {"ap-southeast-3", kId}, {"ap-southeast-4", kAu},
    {"ap-southeast-5", kMy}, {"ap-southeast-6", kNz}, {"ap-southeast-7", kTh},
    {"ap-sydney-1", kAu}, {"ap-tokyo-1", kJp}, {"apac", kApac}, {"asia-east1", kTw},
    {"asia-east2", kHk}, {"asia-northeast1", kJp}, {"asia-northeast2", kJp},
    {"asia-northeast3", kKr}, {"asia-south1", kIn}, {"asia-south2", kIn},
    {"asia-southeast1", kSg}, {"asia-southeast2", kId}, {"au", kAu},
    {"australia-southeast1", kAu}, {"australia-southeast2", kAu}, {"australiacentral", kAu},
    {"australiaeast", kAu}, {"australiasoutheast", kAu}, {"austriaeast", kEu},
    {"belgiumcentral", kEu}, {"br", kBr}, {"brazilsouth", kBr}, {"brazilsoutheast", kBr},
    {"ca", kCa}, {"ca-central-1", kCa}, {"ca-montreal-1", kCa}, {"ca-toronto-1", kCa},
    {"ca-west-1", kCa}, {"canadacentral", kCa}, {"canadaeast", kCa}, {"centralindia", kIn},
    {"centralus", kUs}, {"ch", kCh}, {"chilecentral", kCl}, {"cn", kCn}, {"cn-north-1", kCn},
    {"cn-northwest-1", kCn}, {"datazone-eu", kEu}, {"datazone-us", kUs}, {"denmarkeast", kEu},
    {"eastasia", kHk}, {"eastus", kUs}, {"eastus2", kUs}, {"eu", kEu}, {"eu-amsterdam-1", kEu},
    {"eu-central-1", kEu}, {"eu-central-2", kCh}, {"eu-frankfurt-1", kEu},
    {"eu-jovanovac-1", kElsewhere}, {"eu-madrid-1", kEu},
    {"eu-marseille-1", kEu}, {"eu-milan-1", kEu}, {"eu-north-1", kEu}, {"eu-paris-1", kEu},
    {"eu-south-1", kEu}, {"eu-south-2", kEu}, {"eu-stockholm-1", kEu}, {"eu-west-1", kEu},
    {"eu-west-2", kUk}, {"eu-west-3", kEu}, {"eu-zurich-1", kCh}, {"europe", kEurope},
    {"europe-central2", kEu}, {"europe-north1", kEu}, {"europe-north2", kEu},
    {"europe-southwest1", kEu}, {"europe-west1", kEu}, {"europe-west10", kEu},
    {"europe-west12", kEu}, {"europe-west2", kUk}, {"europe-west3", kEu}, {"europe-west4", kEu},
    {"europe-west6", kCh}, {"europe-west8", kEu}, {"europe-west9", kEu}, {"eusc-de-east-1", kEu},
    {"finlandcentral", kEu}, {"francecentral", kEu}, {"francesouth", kEu}, {"germanynorth", kEu},
    {"germanywestcentral", kEu}, {"global", kGlobal}, {"greececentral", kEu},
    {"il-central-1", kIl}, {"in", kIn},
    {"indonesiacentral", kId}, {"israelcentral", kIl}, {"italynorth", kEu}, {"japaneast", kJp},
    {"japanwest", kJp}, {"jioindiacentral", kIn}, {"jioindiawest", kIn}, {"jp", kJp},
    {"koreacentral", kKr}, {"koreasouth", kKr}, {"kr", kKr}, {"malaysiawest", kMy},
    {"me-abudhabi-1", kAe}, {"me-central-1", kAe}, {"me-central1", kQa}, {"me-central2", kSa},
    {"me-dubai-1", kAe}, {"me-jeddah-1", kSa}, {"me-riyadh-1", kSa}, {"me-south-1", kBh},
    {"me-west1", kIl}, {"mexicocentral", kMx}, {"mx", kMx}, {"mx-central-1", kMx},
    {"mx-monterrey-1", kMx}, {"mx-queretaro-1", kMx},
    {"newzealandnorth", kNz}, {"no", kNo}, {"northamerica-northeast1", kCa},
    {"northamerica-northeast2", kCa}, {"northamerica-south1", kMx}, {"northcentralus", kUs},
    {"northeurope", kEu}, {"norwayeast", kNo}, {"norwaywest", kNo}, {"nz", kNz},
    {"polandcentral", kEu}, {"qatarcentral", kQa}, {"sa-bogota-1", kElsewhere},
    {"sa-east-1", kBr}, {"sa-santiago-1", kCl}, {"sa-saopaulo-1", kBr},
    {"sa-vinhedo-1", kBr}, {"sg", kSg}, {"southafricanorth", kZa}, {"southafricawest", kZa},
    {"southamerica-east1", kBr}, {"southamerica-west1", kCl}, {"southcentralus", kUs},
    {"southeastasia", kSg}, {"southindia", kIn}, {"spaincentral", kEu}, {"swedencentral", kEu},
    {"swedensouth", kEu}, {"switzerlandnorth", kCh}, {"switzerlandwest", kCh},
    {"taiwannorth", kTw}, {"uaecentral", kAe}, {"uaenorth", kAe}, {"uk", kUk},
    {"uk-cardiff-1", kUk}, {"uk-london-1", kUk}, {"uksouth", kUk}, {"ukwest", kUk}, {"us", kUs},
    {"us-ashburn-1", kUs}, {"us-central1", kUs}, {"us-chicago-1", kUs}, {"us-east-1", kUs},
    {"us-east-2", kUs}, {"us-east1", kUs}, {"us-east4", kUs}, {"us-east5", kUs},
    {"us-gov", kUsGov}, {"us-gov-east-1", kUsGov}, {"us-gov-west-1", kUsGov},
    {"us-phoenix-1", kUs}, {"us-sanjose-1", kUs}, {"us-south1", kUs}, {"us-west-1", kUs},
    {"us-west-2", kUs}, {"us-west1", kUs}, {"us-west2", kUs}, {"us-west3", kUs},
    {"us-west4", kUs}, {"usgovarizona", kUsGov}, {"usgovtexas", kUsGov},
    {"usgovvirginia", kUsGov}, {"westcentralus", kUs}, {"westeurope", kEu}, {"westindia", kIn},
    {"westus", kUs}, {"westus2", kUs}, {"westus3", kUs},
    // clang-format on
});
static_assert(std::ranges::is_sorted(kRegions, {}, &Named::name));
static_assert((kEurope & kElsewhere) == 0);

constexpr auto kKinds = std::to_array<std::string_view>({"openai", "azure", "anthropic", "bedrock",
    "vertex", "gemini", "oci", "openai_compatible", "cohere"});

constexpr auto kZones = std::to_array<std::string_view>(
    {"global", "europe", "eu", "uk", "ch", "no", "us", "us-gov", "ca", "br", "mx", "apac", "jp",
        "kr", "in", "au", "nz", "sg", "ae", "cn", "datazone-eu", "datazone-us"});

}  // namespace

std::string_view cloud_kind_name(CloudKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::span<const std::string_view> cloud_kind_names() { return kKinds; }

std::span<const std::string_view> zone_names() { return kZones; }

ZoneSet zones_of(std::string_view region) {
    const std::string name = to_lower(region);
    const auto* at = std::ranges::lower_bound(kRegions, std::string_view(name), {}, &Named::name);
    return at != kRegions.end() && at->name == name ? ZoneSet{at->zones} : ZoneSet{};
}

std::string_view profile_zone(std::string_view model_id) {
    // An inference profile's ARN ends in its id.
    if (const auto slash = model_id.rfind('/'); slash != std::string_view::npos)
        model_id.remove_prefix(slash + 1);
    for (const std::string_view zone :
        {"global", "us-gov", "us", "eu", "apac", "jp", "au", "in", "ca", "sa", "af", "me", "mx"})
        if (model_id.size() > zone.size() + 1 && model_id.starts_with(zone) &&
            model_id[zone.size()] == '.')
            return zone;
    return {};
}

Residency residency_of(
    CloudKind kind, std::string_view region, std::string_view provider_model_id) {
    if (kind == CloudKind::kBedrock) {
        // What an application profile points to is known to AWS alone.
        if (provider_model_id.find("application-inference-profile/") != std::string_view::npos)
            return {};
        // A profile may run the request anywhere in its zone, whichever region it is called in.
        const std::string_view zone = profile_zone(provider_model_id);
        if (!zone.empty()) return {std::string(zone), zones_of(zone)};
    }
    const bool is_global_by_default =
        kind == CloudKind::kOpenai || kind == CloudKind::kAnthropic || kind == CloudKind::kGemini;
    if (region.empty() && is_global_by_default) return {"global", zones_of("global")};
    return {to_lower(region), zones_of(region)};
}

RegionRule::RegionRule(const std::vector<std::string>& names) {
    everything_ = names.empty() || std::ranges::find(names, "*") != names.end();
    if (everything_) return;
    for (const std::string& name : names) {
        const std::string lower = to_lower(name);
        exact_.push_back(lower);
        // Only the name of a zone opens a zone: `eu-west-1` admits Ireland, not the European Union.
        if (std::ranges::find(kZones, lower) != kZones.end()) zones_ = zones_ | zones_of(lower);
    }
}

bool RegionRule::allows(const Residency& residency) const {
    if (everything_) return true;
    if (residency.zones.within(zones_)) return true;
    return !residency.region.empty() && std::ranges::find(exact_, residency.region) != exact_.end();
}

bool RegionRule::covers(std::string_view name) const {
    return allows({to_lower(name), zones_of(name)});
}

}  // namespace entrepot::catalog
