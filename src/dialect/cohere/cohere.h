#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::cohere {

/// Cohere's Chat, version 2: spoken to the supplier. `decode_request` and `reply_encoder` are there
/// so that every recording can be read and written back; no client is served in it.
[[nodiscard]] const Dialect& dialect();

}  // namespace entrepot::dialect::cohere
