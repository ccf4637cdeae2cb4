#pragma once

#include <string>

#include "base/result.h"
#include "json/value.h"

namespace entrepot::dialect::gemini {

/// Google's `Schema` (types in capitals or as numbers, `nullable`, whole numbers as strings) as
/// JSON Schema, which is what canon carries. What is JSON Schema already stays as it is.
/// Errors: kInvalidField, naming `path`, when it is no object.
[[nodiscard]] Result<std::string> json_schema_of(
    const json::Value& schema, const std::string& path);

}  // namespace entrepot::dialect::gemini
