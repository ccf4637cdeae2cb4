#pragma once

#include <string>
#include <string_view>

namespace entrepot::reports {

/// Appends a cell for people's spreadsheets: as RFC 4180 has it, and what would be taken for a
/// formula gets a `'` in front.
void append_safe_cell(std::string& out, std::string_view text);

}  // namespace entrepot::reports
