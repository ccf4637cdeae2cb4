#include "canon/audio_length.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

// A header says what its writer liked, and decoders play what is there: lengths are counted as a
// decoder would find them, and what only a header says can make them longer, never shorter.
namespace entrepot::canon {
namespace {

// Bytes a second. MP3 knows no rate below 8 kbit/s; AAC and Opus in MP4 and WebM are hardly heard
// below 4 kbit/s; of what is not known, the same.
constexpr std::int64_t kMp3Slowest = 1000;
constexpr std::int64_t kOtherSlowest = 500;

/// Stands for "as long as you like"; nobody's sound is longer.
constexpr std::int64_t kSecondsMax = std::int64_t{1} << 40;
constexpr std::int64_t kMicro = 1'000'000;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
std::int64_t bytes_of(std::string_view file) { return static_cast<std::int64_t>(file.size()); }
unsigned byte_at(std::string_view file, std::size_t at) {
    return at < file.size() ? static_cast<unsigned char>(file[at]) : 0;
}

std::int64_t little(std::string_view bytes) {
    std::int64_t value = 0;
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte)
        value = value << 8 | static_cast<unsigned char>(*byte);
    return value;
}
std::uint64_t big(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

/// Bytes a second of a WAV, by its chunk `fmt `; 0: they cannot be known from it.
std::int64_t wav_rate(std::string_view format) {
    constexpr std::int64_t kPcm = 1, kFloat = 3, kALaw = 6, kMuLaw = 7, kExtensible = 0xfffe;
    std::int64_t tag = little(format.substr(0, 2));
    if (tag == kExtensible) tag = format.size() >= 26 ? little(format.substr(24, 2)) : 0;
    const std::int64_t channels = little(format.substr(2, 2));
    const std::int64_t samples = little(format.substr(4, 4));
    const std::int64_t stated = little(format.substr(8, 4));
    const std::int64_t block = little(format.substr(12, 2));
    const bool is_law = tag == kALaw || tag == kMuLaw;
    const std::int64_t bits = is_law ? 8 : little(format.substr(14, 2));
    // The least bits of a sample, times ten: Microsoft's and IMA's ADPCM, GSM 6.10.
    constexpr std::array<std::pair<std::int64_t, std::int64_t>, 3> kPacked{
        {{2, 40}, {0x11, 20}, {0x31, 16}}};
    for (const auto& [packed, tenths] : kPacked)
        if (tag == packed) return samples * channels * tenths / 80;
    // No other codec packs a sample into less than a bit.
    if (!(tag == kPcm || tag == kFloat || is_law) || bits > 64)
        return std::min(kOtherSlowest, samples * channels / 8);
    // Decoders go by the samples; what the header adds up to may be another number.
    std::int64_t rate = samples * channels * bits / 8;
    if (block > 0) rate = std::min(rate, samples * block);
    return stated > 0 ? std::min(rate, stated) : rate;
}

/// 0: the header does not say.
std::int64_t wav_seconds(std::string_view file) {
    // `fmt ` may follow other chunks.
    for (std::size_t at = 12; at + 8 <= file.size();) {
        const std::string_view id = file.substr(at, 4);
        const auto size = static_cast<std::size_t>(little(file.substr(at + 4, 4)));
        if (id == "fmt " && size >= 16 && at + 24 <= file.size()) {
            const std::int64_t rate = wav_rate(file.substr(at + 8, size));
            return rate == 0 ? 0 : ceil_div(bytes_of(file), rate);
        }
        if (size > file.size()) return 0;
        at += 8 + size + (size & 1);
    }
    return 0;
}

/// What FLAC's frame headers are checked by.
constexpr std::array<std::uint8_t, 256> kCrc8 = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned i = 0; i < 256; ++i) {
        unsigned crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x80) != 0 ? 0x107 : 0);
        table[i] = static_cast<std::uint8_t>(crc);
    }
    return table;
}();
unsigned crc8(std::string_view bytes) {
    unsigned crc = 0;
    for (const char byte : bytes) crc = kCrc8[crc ^ static_cast<unsigned char>(byte)];
    return crc;
}

struct FlacFrame {
    std::int64_t samples = 0;
    std::int64_t rate = 0;  ///< 0: as the stream's
};

/// The frame that begins there (RFC 9639, section 9.1), if one does.
std::optional<FlacFrame> flac_frame(std::string_view bytes) {
    constexpr std::array<std::int64_t, 12> kRates{
        0, 88'200, 176'400, 192'000, 8'000, 16'000, 22'050, 24'000, 32'000, 44'100, 48'000, 96'000};
    if (bytes.size() < 6 || byte_at(bytes, 0) != 0xff || (byte_at(bytes, 1) & 0xfe) != 0xf8)
        return std::nullopt;
    const unsigned size_code = byte_at(bytes, 2) >> 4, rate_code = byte_at(bytes, 2) & 0xf;
    if (size_code == 0 || rate_code == 15 || (byte_at(bytes, 3) & 1) != 0) return std::nullopt;
    std::size_t at = 5;  // behind the first byte of the number, whose leading ones count it
    for (unsigned mask = 0x40; (byte_at(bytes, 4) & 0x80) != 0 && (byte_at(bytes, 4) & mask) != 0;
        mask >>= 1)
        ++at;
    const auto read = [&](std::size_t count) {
        const auto value =
            static_cast<std::int64_t>(big(bytes.substr(std::min(at, bytes.size()), count)));
        at += count;
        return value;
    };
    FlacFrame frame;
    if (size_code == 1)
        frame.samples = 192;
    else if (size_code <= 5)
        frame.samples = 144 << size_code;
    else if (size_code <= 7)
        frame.samples = 1 + read(size_code - 5);
    else
        frame.samples = std::int64_t{1} << size_code;
    if (rate_code < kRates.size())
        frame.rate = kRates[rate_code];
    else if (rate_code == 12)
        frame.rate = 1000 * read(1);
    else
        frame.rate = (rate_code == 14 ? 10 : 1) * read(2);
    if (rate_code >= kRates.size() && frame.rate == 0) return std::nullopt;
    if (at >= bytes.size() || crc8(bytes.substr(0, at)) != byte_at(bytes, at)) return std::nullopt;
    return frame;
}

/// Every frame that a decoder could find, wherever it looks; `rate`: of the stream.
std::int64_t flac_frames_seconds(std::string_view file, std::int64_t rate) {
    constexpr std::int64_t kRateUnsaid = 8'000;
    std::int64_t micros = 0;
    for (std::size_t at = 0; at + 1 < file.size(); ++at) {
        if (file[at] != '\xff' || (byte_at(file, at + 1) & 0xfe) != 0xf8) continue;
        const auto frame = flac_frame(file.substr(at));
        if (!frame) continue;
        const std::int64_t unsaid = rate > 0 ? rate : kRateUnsaid;
        const std::int64_t slower =
            frame->rate > 0 && rate > 0 ? std::min(rate, frame->rate) : frame->rate;
        micros += ceil_div(frame->samples * kMicro, slower > 0 ? slower : unsaid);
        if (micros > kSecondsMax * kMicro) return kSecondsMax;
    }
    return ceil_div(micros, kMicro);
}

std::int64_t flac_seconds(std::string_view file) {
    if (file.size() < 26) return 0;
    const std::uint64_t packed = big(file.substr(18, 8));  // of STREAMINFO: rate, ..., samples
    const auto rate = static_cast<std::int64_t>(packed >> 44);
    const auto samples = static_cast<std::int64_t>(packed & 0xf'ffff'ffff);
    const std::int64_t found = flac_frames_seconds(file, rate);
    return found == 0 || rate == 0 ? found : std::max(found, ceil_div(samples, rate));
}

/// Of an Opus packet, in its unit of 2.5 ms (RFC 6716, section 3.1).
std::int64_t opus_units(std::string_view packet) {
    constexpr std::int64_t kUnitsMax = 48;  // 120 ms
    constexpr std::array<std::int64_t, 4> kSilk{4, 8, 16, 24}, kCelt{1, 2, 4, 8};
    const unsigned toc = byte_at(packet, 0), config = toc >> 3;
    const std::int64_t frame = config < 12 ? kSilk[config & 3]
        : config < 16                      ? kSilk[config & 1]
                                           : kCelt[config & 3];
    if ((toc & 3) == 0) return frame;
    if ((toc & 3) < 3) return 2 * frame;
    if (packet.size() < 2) return kUnitsMax;
    return std::min(kUnitsMax, frame * (byte_at(packet, 1) & 0x3f));
}

/// What the packets of an Ogg file last. Every page that a decoder could find is looked at, also
/// one within another; what a page says of the time passed is not.
class OggLength {
public:
    explicit OggLength(std::string_view file) : segments_left_(file.size()) {
        for (std::size_t at = 0; at + 27 <= file.size() && segments_left_ > 0; ++at)
            if (file[at] == 'O' && file.substr(at, 4) == "OggS") take_page(file.substr(at));
        if (flac_rate_) seconds_ += flac_frames_seconds(file, *flac_rate_);
        if (has_opus_) seconds_ += ceil_div(opus_units_, 400);
        if (vorbis_rate_ > 0)
            seconds_ += ceil_div(vorbis_packets_ * (vorbis_block_ / 2), vorbis_rate_);
        if (has_other_) seconds_ = std::max(seconds_, ceil_div(bytes_of(file), kOtherSlowest));
        if (segments_left_ == 0) seconds_ = kSecondsMax;
    }
    /// 0: it holds nothing.
    std::int64_t seconds() const { return seconds_; }

private:
    void take_page(std::string_view page) {
        const std::size_t segments = byte_at(page, 26);
        // A file has more bytes than segments, unless its pages were laid over each other.
        segments_left_ -= std::min(segments_left_, segments);
        if (page.size() < 27 + segments || segments_left_ == 0) return;
        const bool is_first = (byte_at(page, 5) & 2) != 0;
        bool is_begin = (byte_at(page, 5) & 1) == 0;  // else a packet of the page before goes on
        std::size_t at = 27 + segments;
        for (std::size_t i = 0; i < segments && at < page.size(); ++i) {
            const std::size_t size = byte_at(page, 27 + i);
            if (is_begin && size > 0) take_packet(page.substr(at, size), is_first);
            is_begin = size < 255;
            at += size;
        }
    }

    void take_packet(std::string_view packet, bool is_first) {
        using namespace std::string_view_literals;
        if (packet.starts_with("\x01vorbis"sv) && packet.size() >= 29) {
            const std::int64_t rate = little(packet.substr(12, 4));
            vorbis_rate_ = vorbis_rate_ > 0 ? std::min(vorbis_rate_, rate) : rate;
            vorbis_block_ = std::max(vorbis_block_, std::int64_t{1} << (byte_at(packet, 28) >> 4));
            return;
        }
        if (packet.starts_with("\x7f"
                               "FLAC"sv) &&
            packet.size() >= 31) {
            const auto rate = static_cast<std::int64_t>(big(packet.substr(27, 4)) >> 12);
            flac_rate_ = flac_rate_ ? std::min(*flac_rate_, rate) : rate;
            return;
        }
        // Spared the count once: the packets of a sound may begin with anything.
        if (packet.starts_with("OpusHead") && !std::exchange(has_opus_, true)) return;
        if (packet.starts_with("OpusTags") && !std::exchange(has_tags_, true)) return;
        has_other_ = has_other_ || is_first;
        opus_units_ += opus_units(packet);
        if ((byte_at(packet, 0) & 1) == 0) ++vorbis_packets_;
    }

    std::size_t segments_left_;
    bool has_opus_ = false, has_tags_ = false, has_other_ = false;
    std::int64_t opus_units_ = 0;
    std::int64_t vorbis_packets_ = 0, vorbis_rate_ = 0, vorbis_block_ = 0;
    std::optional<std::int64_t> flac_rate_;
    std::int64_t seconds_ = 0;
};

/// What follows a tag that players skip.
std::string_view behind_id3(std::string_view file) {
    while (file.starts_with("ID3") && file.size() >= 10) {
        std::size_t size = 10;
        for (std::size_t i = 0, part = 0; i < 4; ++i) {
            part = part << 7 | (byte_at(file, 6 + i) & 0x7f);
            if (i == 3) size += part;
        }
        if ((byte_at(file, 5) & 0x10) != 0) size += 10;  // it has a footer
        file.remove_prefix(std::min(size, file.size()));
    }
    return file;
}

}  // namespace

std::int64_t audio_seconds_max(std::string_view file) {
    const std::string_view sound = behind_id3(file);
    std::int64_t found = 0;
    std::int64_t slowest = kOtherSlowest;
    if (sound.starts_with("RIFF") && sound.size() >= 12 && sound.substr(8, 4) == "WAVE")
        found = wav_seconds(sound);
    else if (sound.starts_with("fLaC"))
        found = flac_seconds(sound);
    else if (sound.starts_with("OggS"))
        found = OggLength(sound).seconds();
    else if (sound.size() != file.size() ||
        (byte_at(sound, 0) == 0xff && (byte_at(sound, 1) & 0xe6) == 0xe2))
        slowest = kMp3Slowest;
    if (found == 0) found = ceil_div(bytes_of(file), slowest);
    return std::clamp<std::int64_t>(found, 1, kSecondsMax);
}

}  // namespace entrepot::canon
