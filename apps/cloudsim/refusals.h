#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cloudsim/cloud.h"

namespace entrepot::cloudsim {

/// Whether some cloud refuses by that name (`rate_limit`, `context`, ...).
[[nodiscard]] bool is_refusal(std::string_view name);

/// That refusal as a cloud of the kind words it; nothing where it has no such. `retry_after_s` is
/// stated where the kind states one, 0 nowhere.
[[nodiscard]] std::optional<Refusal> refusal_of(
    std::string_view kind, std::string_view name, std::int64_t retry_after_s);

}  // namespace entrepot::cloudsim
