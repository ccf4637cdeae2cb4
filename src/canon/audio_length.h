#pragma once

#include <cstdint>
#include <string_view>

namespace entrepot::canon {

/// The most seconds, rounded up, that a sound file can last, whatever its headers say: counted in
/// its frames or packets (FLAC, Ogg), by its samples (WAV), else its bytes at the slowest rate that
/// is heard of. At least 1.
[[nodiscard]] std::int64_t audio_seconds_max(std::string_view file);

}  // namespace entrepot::canon
