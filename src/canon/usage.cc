#include "canon/usage.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::canon {

std::string_view meter_name(Meter meter) {
    static constexpr std::array<std::string_view, kMeterCount> kNames{"input", "cache_read",
        "cache_write", "cache_write_long", "audio_in", "audio_cache_read", "image_in", "output",
        "audio_out", "image_out", "reasoning", "requests", "images", "audio_seconds", "characters",
        "searches", "tool_calls"};
    return kNames[static_cast<std::size_t>(meter)];
}

std::int64_t Usage::prompt_tokens() const {
    std::int64_t sum = 0;
    for (auto m = static_cast<std::size_t>(Meter::kInput);
        m <= static_cast<std::size_t>(Meter::kImageIn); ++m)
        sum += counts[m];
    return sum;
}

std::int64_t Usage::answer_tokens() const {
    return (*this)[Meter::kOutput] + (*this)[Meter::kAudioOut] + (*this)[Meter::kImageOut];
}

bool Usage::is_zero() const {
    return std::ranges::all_of(counts, [](std::int64_t count) { return count == 0; });
}

Usage operator+(const Usage& a, const Usage& b) {
    Usage sum;
    for (std::size_t m = 0; m < kMeterCount; ++m) sum.counts[m] = a.counts[m] + b.counts[m];
    return sum;
}

std::string to_json(const Usage& usage) {
    std::string out = "{";
    for (std::size_t m = 0; m < kMeterCount; ++m) {
        if (usage.counts[m] == 0) continue;
        if (out.size() > 1) out += ',';
        out += fmt::format("\"{}\":{}", meter_name(static_cast<Meter>(m)), usage.counts[m]);
    }
    return out + "}";
}

}  // namespace entrepot::canon
