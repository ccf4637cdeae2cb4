#pragma once

#include <string_view>

#include "pricing/rate_card.h"

namespace entrepot::pricing {

// What the makers of rate cards share: from lists (rate_card.cc) and under contracts (terms.cc).

[[nodiscard]] constexpr std::size_t index_of(canon::Meter meter) {
    return static_cast<std::size_t>(meter);
}

/// The meter whose price stands in for a meter that has none of its own; itself where nothing does.
/// README, table.
[[nodiscard]] constexpr canon::Meter stand_in(canon::Meter meter) {
    using canon::Meter;
    switch (meter) {
        case Meter::kCacheRead: return Meter::kInput;
        case Meter::kCacheWrite: return Meter::kInput;
        case Meter::kCacheWriteLong: return Meter::kCacheWrite;
        case Meter::kAudioIn: return Meter::kInput;
        case Meter::kAudioCacheRead: return Meter::kAudioIn;
        case Meter::kImageIn: return Meter::kInput;
        case Meter::kAudioOut: return Meter::kOutput;
        case Meter::kImageOut: return Meter::kOutput;
        default: return meter;
    }
}

inline constexpr std::uint64_t kHashSeed = 0xcbf29ce484222325ULL;
/// FNV-1a.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t hash, std::string_view bytes) {
    for (const char c : bytes) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3ULL;
    }
    return hash;
}

/// `hash@date`.
[[nodiscard]] RateVersion version_name(std::uint64_t hash, Instant from);

}  // namespace entrepot::pricing
