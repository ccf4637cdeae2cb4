#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "auth/policy.h"
#include "base/ids.h"
#include "base/time.h"

namespace entrepot::auth {

/// What a key may reach: the team's sets and the key's, and a request must pass both.
struct Scope {
    NameSet models, clouds;
    RegionSet regions;
    NameSet team_models, team_clouds;
    RegionSet team_regions;

    [[nodiscard]] bool allows_model(std::string_view model) const {
        return models.allows(model) && team_models.allows(model);
    }
    [[nodiscard]] bool allows_cloud(std::string_view cloud) const {
        return clouds.allows(cloud) && team_clouds.allows(cloud);
    }
    [[nodiscard]] bool allows_region(std::string_view region) const {
        return regions.allows(region) && team_regions.allows(region);
    }
};

/// Who a request comes from and what it may do. Immutable, and lives as long as the `KeyIndex` that
/// holds it.
struct Principal {
    KeyId key;
    TeamId team;
    OrgId org;
    std::uint32_t index =
        0;  ///< dense, 0 .. KeyIndex::size()-1: the place of per-key state in arrays
    Scope scope;
    Policy policy;
    Limits limits;
    std::optional<Instant> expires;
    bool disabled = false;
    std::map<std::string, std::string> tags;
};

}  // namespace entrepot::auth
