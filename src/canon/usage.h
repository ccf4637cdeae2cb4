#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::canon {

/// What one attempt consumed, in the one normal form every dialect is brought to. Counts are tokens
/// unless the name says otherwise, and zero when absent. The input meters are disjoint and sum to
/// the prompt; `output` includes `reasoning`, its hidden part; `audio_out` and `image_out` are
/// disjoint from `output`.
enum class Meter : std::uint8_t {
    kInput,  ///< text neither read from nor written to a cache
    kCacheRead,
    kCacheWrite,      ///< the shorter lifetime sold
    kCacheWriteLong,  ///< the longer lifetime (1 h, 12 h)
    kAudioIn,
    kAudioCacheRead,
    kImageIn,
    kOutput,
    kAudioOut,
    kImageOut,
    kReasoning,  ///< a part of `output`, priced apart only where a rate says so
    // Beside tokens:
    kRequests,
    kImages,
    kAudioSeconds,
    kCharacters,
    kSearches,
    kToolCalls,
};
inline constexpr std::size_t kMeterCount = 17;

/// The name in JSON, reports and price books: `input`, `cache_read`, ...
[[nodiscard]] std::string_view meter_name(Meter meter);

struct Usage {
    std::array<std::int64_t, kMeterCount> counts{};

    [[nodiscard]] std::int64_t& operator[](Meter meter) {
        return counts[static_cast<std::size_t>(meter)];
    }
    [[nodiscard]] std::int64_t operator[](Meter meter) const {
        return counts[static_cast<std::size_t>(meter)];
    }
    /// Tokens of the whole prompt: the sum of the disjoint input meters.
    [[nodiscard]] std::int64_t prompt_tokens() const;
    /// Tokens of the whole answer: output, audio and image.
    [[nodiscard]] std::int64_t answer_tokens() const;
    [[nodiscard]] bool is_zero() const;
    friend bool operator==(const Usage&, const Usage&) = default;
};

/// Sum, meter by meter: several passes of one request.
[[nodiscard]] Usage operator+(const Usage& a, const Usage& b);

/// `{"input":12,"output":3}`: meters that are zero are absent, the order is that of `Meter`.
[[nodiscard]] std::string to_json(const Usage& usage);

}  // namespace entrepot::canon
