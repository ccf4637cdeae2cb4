#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::gemini {

/// Google's embeddings: `embedContent` (one), `batchEmbedContents` (many), and `predict` as Vertex
/// AI has it for models that make vectors. All are asked of a model in the path.
[[nodiscard]] const Dialect& embed();
[[nodiscard]] const Dialect& embed_batch();
[[nodiscard]] const Dialect& embed_predict();

}  // namespace entrepot::dialect::gemini
