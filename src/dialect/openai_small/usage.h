#pragma once

#include <optional>
#include <string_view>

#include "canon/usage.h"
#include "dialect/openai_small/openai_small.h"
#include "json/value.h"

namespace entrepot::dialect::openai_small {

/// What a whole reply, or the event of a stream that ends one, states that it used. Nothing: it
/// states nothing.
[[nodiscard]] std::optional<canon::Usage> usage_of(Endpoint endpoint, const json::Value& reply);

}  // namespace entrepot::dialect::openai_small
