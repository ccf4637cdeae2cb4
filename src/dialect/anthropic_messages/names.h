#pragma once

#include <string_view>

namespace entrepot::dialect::anthropic_messages {

/// The dialect's name, and the origin of what it leaves opaque and of its signatures.
inline constexpr std::string_view kName = "anthropic-messages";

/// Where a request names the betas it uses: a header here, a field of the body at the clouds.
inline constexpr std::string_view kBetaHeader = "anthropic-beta";
inline constexpr std::string_view kBetaField = "anthropic_beta";

}  // namespace entrepot::dialect::anthropic_messages
