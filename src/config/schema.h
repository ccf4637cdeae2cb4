#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "config/reader.h"
#include "config/settings.h"

namespace entrepot::config {

/// The root of the table from which the parser and docs/reference/configuration.md both come.
[[nodiscard]] const Section<Settings>& root_section();

/// One row of the reference.
struct FieldRow {
    std::string_view name, form, absent, help;
};
/// One section of the reference.
struct SectionRows {
    std::string_view title, help;
    std::vector<FieldRow> fields;
};
/// Every section, in the order in which people read them.
[[nodiscard]] std::vector<SectionRows> reference_sections();

/// Checks across entries: names that refer to nothing, keys wider than their team, secrets used
/// twice; fills in the regions of offers.
void resolve(Reader& reader, Settings& settings);

/// What a cloud's credentials lack, or have too much; takes what the file leaves to the platform
/// from its variables.
void resolve_credentials(Reader& reader, CloudSettings& cloud);

/// The part of `resolve` that concerns keys.
void resolve_keys(Reader& reader, Settings& settings);

/// How many of each the file has; what was added stands behind them.
struct EntryCounts {
    std::size_t models = 0, orgs = 0, teams = 0, projects = 0, contracts = 0;
    [[nodiscard]] static EntryCounts of(const Settings& settings);
};

/// The part of `resolve` that concerns what was added to a file's settings: its names are new, and
/// it is checked as if it stood in the file.
void resolve_entries(Reader& reader, Settings& settings, const EntryCounts& of_file);

/// `http://` or `https://`, a host, an optional port and path; nothing else. Returns what is wrong,
/// or empty.
[[nodiscard]] std::string endpoint_fault(std::string_view url, bool path_allowed);

}  // namespace entrepot::config
