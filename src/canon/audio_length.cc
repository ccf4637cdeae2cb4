#include "canon/audio_length.h"

#include <algorithm>

namespace entrepot::canon {
namespace {

// Bytes a second. MP3 knows no rate below 8 kbit/s; AAC and Opus in MP4 and WebM are hardly heard
// below 4 kbit/s; of what is not known, the same.
constexpr std::int64_t kMp3Slowest = 1000;
constexpr std::int64_t kOtherSlowest = 500;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::uint64_t little(std::string_view bytes) {
    std::uint64_t value = 0;
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte)
        value = value << 8 | static_cast<unsigned char>(*byte);
    return value;
}
std::uint64_t big(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

/// 0: the header does not say.
std::int64_t wav_seconds(std::string_view file) {
    // `fmt ` may follow other chunks, and says how many bytes a second is.
    for (std::size_t at = 12; at + 8 <= file.size();) {
        const std::string_view id = file.substr(at, 4);
        const std::uint64_t size = little(file.substr(at + 4, 4));
        if (id == "fmt " && size >= 16 && at + 24 <= file.size()) {
            // Decoders go by the samples; what the header adds up to may be another number.
            const std::uint64_t samples = little(file.substr(at + 12, 4)) *
                little(file.substr(at + 10, 2)) * little(file.substr(at + 22, 2)) / 8;
            const std::uint64_t stated = little(file.substr(at + 16, 4));
            const std::uint64_t rate =
                samples > 0 && stated > 0 ? std::min(samples, stated) : samples + stated;
            if (rate == 0 || rate >> 40 != 0) return 0;
            return ceil_div(
                static_cast<std::int64_t>(file.size()), static_cast<std::int64_t>(rate));
        }
        if (size > file.size()) return 0;
        at += 8 + static_cast<std::size_t>(size) + (size & 1);
    }
    return 0;
}

std::int64_t flac_seconds(std::string_view file) {
    if (file.size() < 26) return 0;
    const std::uint64_t packed = big(file.substr(18, 8));  // of STREAMINFO: rate, ..., samples
    const auto rate = static_cast<std::int64_t>(packed >> 44);
    const auto samples = static_cast<std::int64_t>(packed & 0xf'ffff'ffff);
    return rate == 0 || samples == 0 ? 0 : ceil_div(samples, rate);
}

std::int64_t ogg_seconds(std::string_view file) {
    std::int64_t rate = 0;
    const std::string_view first = file.substr(0, 128);
    if (first.find("OpusHead") != std::string_view::npos) rate = 48'000;
    if (const auto at = first.find("\x01vorbis");
        at != std::string_view::npos && at + 16 <= first.size())
        rate = static_cast<std::int64_t>(little(first.substr(at + 12, 4)));
    const std::size_t last = file.rfind("OggS");
    if (rate == 0 || last + 14 > file.size()) return 0;
    const std::uint64_t samples = little(file.substr(last + 6, 8));
    if (samples == 0 || samples >> 62 != 0) return 0;
    return ceil_div(static_cast<std::int64_t>(samples), rate);
}

}  // namespace

std::int64_t audio_seconds_max(std::string_view file) {
    const auto bytes = static_cast<std::int64_t>(file.size());
    std::int64_t stated = 0;
    std::int64_t slowest = kOtherSlowest;
    if (file.starts_with("RIFF") && file.size() >= 12 && file.substr(8, 4) == "WAVE") {
        stated = wav_seconds(file);
    } else if (file.starts_with("fLaC")) {
        stated = flac_seconds(file);
    } else if (file.starts_with("OggS")) {
        stated = ogg_seconds(file);
    } else if (file.starts_with("ID3") ||
        (bytes > 1 && file[0] == '\xff' && (static_cast<unsigned char>(file[1]) & 0xe6) == 0xe2)) {
        slowest = kMp3Slowest;
    }
    return std::max<std::int64_t>(stated > 0 ? stated : ceil_div(bytes, slowest), 1);
}

}  // namespace entrepot::canon
