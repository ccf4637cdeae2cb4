#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

/// The decoded value of the first `name=value` of a query (without its `?`); nothing: none there.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace entrepot
