#pragma once

#include <algorithm>

#include "canon/request.h"

namespace entrepot::dialect {

/// Whether the choice lets the model call the tool. For dialects that know no set of allowed tools:
/// there the others are not offered, which comes to the same.
[[nodiscard]] inline bool may_be_called(const canon::Request& request, const canon::Tool& tool) {
    if (!request.tool_choice || request.tool_choice->names.empty()) return true;
    const auto& names = request.tool_choice->names;
    return !tool.server && std::ranges::find(names, tool.name) != names.end();
}

}  // namespace entrepot::dialect
