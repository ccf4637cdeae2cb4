#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::anthropic_messages {

/// `anthropic-messages`, both ways. What it carries, emulates, names and refuses: the folder's
/// README.
[[nodiscard]] const Dialect& dialect();

/// `vertex-anthropic`: the same as Google sells it, with the model in the path.
[[nodiscard]] const Dialect& vertex();

}  // namespace entrepot::dialect::anthropic_messages
