#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::openai_chat {

/// `openai-chat`: chat completions, and the many servers that copy them.
[[nodiscard]] const Dialect& openai_chat();

/// `azure-openai`: the same body under Azure's name; its filter results ride along as asides.
[[nodiscard]] const Dialect& azure_openai();

}  // namespace entrepot::dialect::openai_chat
