#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::openai_responses {

/// OpenAI's Responses, also as Azure, xAI and others sell it.
[[nodiscard]] const Dialect& dialect();

}  // namespace entrepot::dialect::openai_responses
