#pragma once

#include <string_view>

namespace entrepot::catalog {

/// The bytes of data/catalog.tsv as it was when this binary was built.
[[nodiscard]] std::string_view embedded_data();

}  // namespace entrepot::catalog
