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

/// Whether a tool that only its own supplier runs may stay behind by name: the model is free not to
/// call it, and has the client's own tools to work with. Agents offer a search beside their tools
/// in every request.
[[nodiscard]] inline bool is_dispensable(const canon::Request& request, const canon::Tool& tool) {
    using Mode = canon::ToolChoice::Mode;
    const bool is_free = !request.tool_choice ||
        ((request.tool_choice->mode == Mode::kAuto || request.tool_choice->mode == Mode::kNone) &&
            request.tool_choice->names.empty());
    return is_free && tool.server &&
        std::ranges::any_of(request.tools, [](const canon::Tool& other) { return !other.server; });
}

}  // namespace entrepot::dialect
