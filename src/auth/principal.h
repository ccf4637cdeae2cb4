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

/// What a key may reach: the team's sets and the key's, and a request must pass both. Clouds and
/// regions are compiled into the router's `Reach`, which enforces them.
struct Scope {
    NameSet models, clouds;
    RegionSet regions;
    NameSet team_models, team_clouds;
    RegionSet team_regions;

    [[nodiscard]] bool allows_model(std::string_view model) const {
        return models.allows(model) && team_models.allows(model);
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
