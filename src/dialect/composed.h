#pragma once

#include "dialect/dialect.h"

// Dialects that are made of others. Folders of dialects never meet; here are those who name several
// of them and hand them to each other.
namespace entrepot::dialect {

/// `bedrock-invoke`: AWS's envelope around the formats of the makers it sells.
[[nodiscard]] const Dialect& invoke_dialect();

}  // namespace entrepot::dialect
