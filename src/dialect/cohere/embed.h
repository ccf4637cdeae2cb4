#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::cohere {

/// Cohere's embed, version 2. Bodies of version 1 and of Bedrock, which name no model, are read as
/// well. `canon::Request::family` is `floats` where the client gets one list of vectors, `types`
/// where they come by their forms.
[[nodiscard]] const Dialect& embed();

}  // namespace entrepot::dialect::cohere
