#pragma once

#include "dialect/openai_chat/native.h"
#include "routing/plan.h"

namespace entrepot::gateway {

/// What the router needs to know of a chat request: shape, needs, tier, the prefix that may be
/// warm. `model` views into `facts`; the caller adds what belongs to the key.
[[nodiscard]] routing::RequestFacts routing_facts(const canon::RequestFacts& facts);

}  // namespace entrepot::gateway
