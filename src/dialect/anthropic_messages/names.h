#pragma once

#include <cstdint>
#include <string_view>

namespace entrepot::dialect::anthropic_messages {

/// The dialect's name, and the origin of what it leaves opaque and of its signatures.
inline constexpr std::string_view kName = "anthropic-messages";

inline constexpr std::string_view kVertexName = "vertex-anthropic";

/// Whose endpoint speaks the dialect. Google's names the model in the path and a version of its own
/// in the body; what its replies sign and leave opaque is the maker's all the same.
enum class Seller : std::uint8_t { kMaker, kVertex };
inline constexpr std::string_view kVersionField = "anthropic_version";
inline constexpr std::string_view kVertexVersion = "vertex-2023-10-16";

/// Where a request names the betas it uses: a header here, a field of the body at the clouds.
inline constexpr std::string_view kBetaHeader = "anthropic-beta";
inline constexpr std::string_view kBetaField = "anthropic_beta";

}  // namespace entrepot::dialect::anthropic_messages
