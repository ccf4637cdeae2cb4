#pragma once

#include <span>

#include "dialect/dialect.h"

namespace entrepot::dialect {

/// Counting the tokens of a conversation, as each maker asks for it: anthropic-count-tokens,
/// openai-input-tokens (of Responses), gemini-count-tokens, vertex-count-tokens,
/// bedrock-count-tokens.
[[nodiscard]] std::span<const Dialect* const> count_tokens_dialects();

}  // namespace entrepot::dialect
