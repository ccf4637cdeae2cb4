#include "control/stored_entries.h"

#include <fmt/format.h>

namespace entrepot::control {

std::string_view kind_of_section(std::string_view section) {
    return section.substr(0, section.size() - 1);
}

Result<std::vector<config::StoredEntry>> load_entries(const store::SettingsStore& store) {
    std::vector<config::StoredEntry> entries;
    for (const std::string_view section : config::kStoredSections) {
        ENTREPOT_TRY(std::vector<store::Setting> rows, store.list(kind_of_section(section)));
        for (store::Setting& row : rows)
            entries.push_back({std::string(section), std::move(row.name), std::move(row.json)});
    }
    return entries;
}

Result<config::Settings> with_stored_entries(
    const store::SettingsStore& store, const config::Settings& of_file) {
    ENTREPOT_TRY(const std::vector<config::StoredEntry> entries, load_entries(store));
    auto whole = config::with_entries(of_file, entries);
    if (whole) return whole;
    return fail(whole.error().code,
        fmt::format("what the store adds to the configuration does not fit it:\n{}",
            whole.error().message));
}

}  // namespace entrepot::control
