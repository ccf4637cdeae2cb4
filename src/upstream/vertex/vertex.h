#pragma once

#include "upstream/supplier.h"

namespace entrepot::upstream {

/// Errors: kBadConfiguration.
[[nodiscard]] Result<std::unique_ptr<const Supplier>> make_vertex(
    const config::CloudSettings& cloud);

}  // namespace entrepot::upstream
