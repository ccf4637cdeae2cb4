#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/load.h"
#include "store/settings.h"

namespace entrepot::control {

/// The kind under which the store keeps entries of a section: `team` for `teams`.
[[nodiscard]] std::string_view kind_of_section(std::string_view section);

/// The orgs, teams, projects, models and contracts that live in the store. Errors: kIo.
[[nodiscard]] Result<std::vector<config::StoredEntry>> load_entries(
    const store::SettingsStore& store);

/// The file's settings with those beside them. Errors: kIo, kBadConfiguration with every problem.
[[nodiscard]] Result<config::Settings> with_stored_entries(
    const store::SettingsStore& store, const config::Settings& of_file);

}  // namespace entrepot::control
