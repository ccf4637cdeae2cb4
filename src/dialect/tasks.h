#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect {

/// Dialects of tasks besides conversations whose errors are those of their maker's conversations.
[[nodiscard]] const Dialect& openai_embeddings_dialect();

}  // namespace entrepot::dialect
