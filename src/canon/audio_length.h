#pragma once

#include <cstdint>
#include <string_view>

namespace entrepot::canon {

/// The most seconds, rounded up, that a sound file can last: as its own header states (WAV, FLAC,
/// Ogg), else its bytes at the slowest rate that its format knows. At least 1.
[[nodiscard]] std::int64_t audio_seconds_max(std::string_view file);

}  // namespace entrepot::canon
