#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot::catalog {

/// The day that a model's id names its snapshot by, in Unix seconds: `-2024-11-20`, `-20250929`,
/// `@20250929`. Nothing: it names none.
[[nodiscard]] std::optional<std::int64_t> date_in_id(std::string_view model_id);

}  // namespace entrepot::catalog
