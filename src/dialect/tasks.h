#pragma once

#include <span>

#include "dialect/dialect.h"

namespace entrepot::dialect {

/// Dialects of tasks besides conversations whose errors are those of their maker's conversations.
[[nodiscard]] const Dialect& openai_embeddings_dialect();
/// OpenAI's completions, moderations, images, speech and transcriptions (openai_small/).
[[nodiscard]] std::span<const Dialect* const> openai_small_dialects();
[[nodiscard]] const Dialect& rerank_dialect();
[[nodiscard]] const Dialect& rerank_v2_dialect();

}  // namespace entrepot::dialect
