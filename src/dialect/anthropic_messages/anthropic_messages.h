#pragma once

#include "dialect/dialect.h"

namespace entrepot::dialect::anthropic_messages {

/// `anthropic-messages`, both ways. What it carries, emulates, names and refuses: the folder's
/// README.
[[nodiscard]] const Dialect& dialect();

}  // namespace entrepot::dialect::anthropic_messages
