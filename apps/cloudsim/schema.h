#pragma once

#include <string>

#include "json/value.h"

namespace entrepot::cloudsim {

/// JSON text that satisfies `schema`: required properties (of all, when none is named required),
/// first of enums, const, defaults, lower bounds, `$ref` within the document, first of anyOf and
/// oneOf. A recursive schema is cut where properties are optional.
[[nodiscard]] std::string sample(const json::Value& schema);

}  // namespace entrepot::cloudsim
