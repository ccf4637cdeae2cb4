#pragma once

#include <string_view>

namespace entrepot::dialect::anthropic_messages {

/// The dialect's name, and the origin of what it leaves opaque and of its signatures.
inline constexpr std::string_view kName = "anthropic-messages";

}  // namespace entrepot::dialect::anthropic_messages
