#pragma once

#include <cstdint>
#include <map>
#include <memory>
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
    ProjectId project;  ///< may be empty
    OrgId org;
    std::uint32_t index =
        0;  ///< dense, 0 .. KeyIndex::size()-1: the place of per-key state in arrays
    Scope scope;
    Policy policy;
    Limits limits;  ///< its own
    /// Of its project, team and org, shared by all keys below them; null: they have none.
    std::shared_ptr<const LimitChain> limits_above;
    std::optional<Instant> expires;
    bool disabled = false;
    std::map<std::string, std::string> tags;
    std::map<std::string, std::string> tag_headers;  ///< tag to request header, lower case
    std::string end_user_header;                     ///< lower case; empty: not told apart
    bool end_user_in_body = false;  ///< the request's own field says who, where no header does
    bool needs_end_user = false;

    [[nodiscard]] bool is_limited() const { return limits_above != nullptr || limits != Limits{}; }
};

}  // namespace entrepot::auth
