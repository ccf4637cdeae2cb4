#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::cli {

/// A cloud that `dev` may use.
struct DevCloud {
    std::string name, kind, endpoint, region, project, api_key, access_key_id, secret_access_key,
        session_token;
    std::string compartment = {}, service = {};
    std::vector<std::string> models;  ///< the cloud's own ids
};

struct DevOptions {
    std::vector<DevCloud> clouds;
    std::uint16_t port = 0;  ///< 0: the system chooses, for both planes
    std::string client_key;
    std::string budget_per_day;  ///< decimal, of the key
};

/// The configuration that `dev` runs with, as YAML: every model that any of the clouds sells,
/// multi-homed where more than one does. An offer whose price or size no catalogue knows gets
/// made-up ones, said so in a comment. Errors: kBadConfiguration.
[[nodiscard]] Result<std::string> dev_config(const DevOptions& options);

/// The suppliers whose keys are in the environment, for `--real`.
[[nodiscard]] std::vector<DevCloud> clouds_of_environment();

}  // namespace entrepot::cli
