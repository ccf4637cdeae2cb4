#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/text.h"
#include "json/value.h"

namespace entrepot::dialect {

/// A field that is not what it has to be; nothing `seen` is one that is missing.
[[nodiscard]] inline std::unexpected<Error> wrong(
    std::string_view field, std::string_view seen, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::string(field),
        seen.empty() ? fmt::format("'{}' is missing; it must be {}", field, accepted)
                     : fmt::format("'{}' must be {}, not {}", field, accepted, excerpt(seen, 60)));
}
[[nodiscard]] inline std::unexpected<Error> wrong(
    std::string_view field, const json::Value& seen, std::string_view accepted) {
    return wrong(field, seen.is_null() ? std::string_view() : seen.raw(), accepted);
}

}  // namespace entrepot::dialect
