#include "canon/audio_length.h"

#include <gtest/gtest.h>

#include <string>

namespace entrepot::canon {
namespace {

std::string little(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
    return out;
}
std::string big(std::uint64_t value, int bytes) {
    std::string out = little(value, bytes);
    return {out.rbegin(), out.rend()};
}
std::string repeat(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

struct Wav {
    int tag = 1, channels = 1, rate = 16'000, bytes_per_second = 32'000, block = 2, bits = 16;
    std::string more = {};
};
std::string wav(const Wav& of, std::size_t bytes) {
    const std::string format = little(of.tag, 2) + little(of.channels, 2) + little(of.rate, 4) +
        little(of.bytes_per_second, 4) + little(of.block, 2) + little(of.bits, 2) + of.more;
    const std::string head = "RIFF" + little(0, 4) + "WAVE" + "LIST" + little(3, 4) + "abc" +
        std::string(1, '\0') + "fmt " + little(format.size(), 4) + format + "data" + little(0, 4);
    return head + std::string(bytes - std::min(bytes, head.size()), '\0');
}

TEST(AudioLength, AWavLastsAsLongAsItsSamplesDo) {
    EXPECT_EQ(audio_seconds_max(wav({}, 160'000)), 5);
    EXPECT_EQ(audio_seconds_max(wav({}, 160'001)), 6);
    EXPECT_EQ(audio_seconds_max(wav({}, 0)), 1);
    EXPECT_EQ(audio_seconds_max(wav({.bytes_per_second = 99'999'999}, 160'000)), 5);
    EXPECT_EQ(audio_seconds_max(wav({.block = 0, .bits = 64}, 1'280'000)), 40) << "as it states";
    const Wav law{.tag = 7, .rate = 8'000, .bytes_per_second = 8'000, .block = 1, .bits = 64};
    EXPECT_EQ(audio_seconds_max(wav(law, 80'000)), 10);
    const Wav extensible{.tag = 0xfffe, .more = little(22, 2) + little(0, 6) + little(1, 2)};
    EXPECT_EQ(audio_seconds_max(wav(extensible, 160'000)), 5);
}

// Its rate is free text where the samples are packed.
TEST(AudioLength, APackedWavIsBoundByItsBytes) {
    for (const auto& [tag, seconds] : {std::pair{2, 4}, std::pair{0x11, 8}, std::pair{0x31, 10},
             std::pair{0x22, 32}, std::pair{0xfffe, 32}}) {
        const Wav packed{
            .tag = tag, .rate = 8'000, .bytes_per_second = 1 << 30, .block = 65, .bits = 0};
        EXPECT_EQ(audio_seconds_max(wav(packed, 16'000)), seconds) << tag;
    }
    EXPECT_EQ(audio_seconds_max(wav({.bytes_per_second = 1 << 30, .bits = 0}, 16'000)), 32);
    const Wav slow{.tag = 0x22, .rate = 80, .bytes_per_second = 1 << 30, .block = 65, .bits = 4};
    EXPECT_EQ(audio_seconds_max(wav(slow, 16'000)), 1'600);
}

std::string flac_head(std::uint64_t rate, std::uint64_t samples) {
    return "fLaC" + big(0x00000022, 4) + std::string(10, '\0') + big(rate << 44 | samples, 8) +
        std::string(16, '\0');
}
/// 4096 samples; `rate_code` 5: at 16 kHz.
std::string flac_frame(int rate_code = 5) {
    std::string frame = "\xff\xf8";
    frame += static_cast<char>(0xc0 | rate_code);
    frame += std::string("\x08\0", 2);
    unsigned crc = 0;
    for (const char byte : frame)
        for (int bit = 7; bit >= 0; --bit) {
            const unsigned in = (static_cast<unsigned char>(byte) >> bit & 1) ^ (crc >> 7);
            crc = ((crc << 1) & 0xff) ^ (in != 0 ? 0x07 : 0);
        }
    frame += static_cast<char>(crc);
    return frame + "samples";
}

TEST(AudioLength, AFlacLastsAsLongAsItsFramesWhateverItsHeaderSays) {
    const std::string frames = repeat(flac_frame(), 125);  // 32 s
    EXPECT_EQ(audio_seconds_max(flac_head(16'000, 512'000) + frames), 32);
    EXPECT_EQ(audio_seconds_max(flac_head(16'000, 1) + frames), 32);
    EXPECT_EQ(audio_seconds_max(flac_head(16'000, 0) + frames), 32);
    EXPECT_EQ(audio_seconds_max(flac_head(655'350, 1) + frames), 32);
    EXPECT_EQ(audio_seconds_max(flac_head(16'000, 1) + repeat(flac_frame(0), 125)), 32);
    EXPECT_EQ(audio_seconds_max(flac_head(16'000, 16'000 * 90) + frames), 90);
    EXPECT_EQ(audio_seconds_max("ID3" + std::string(7, '\0') + flac_head(16'000, 1) + frames), 32);
    EXPECT_EQ(audio_seconds_max(flac_head(16'000, 1) + std::string(9'950, 'x')), 20) << "no frame";
}

std::string page(std::string_view packets, int count, int flags = 0) {
    std::string out = "OggS" + std::string(1, '\0') + static_cast<char>(flags) + little(1, 8) +
        std::string(12, '\0') + static_cast<char>(count);
    for (int i = 0; i < count; ++i)
        out += static_cast<char>(packets.size() / static_cast<std::size_t>(count));
    return out.append(packets);
}

TEST(AudioLength, AnOggLastsAsLongAsItsPackets) {
    const std::string head =
        page("OpusHead" + std::string(11, '\0'), 1, 2) + page("OpusTags" + std::string(8, '\0'), 1);
    // 20 ms, two of 10 ms, and three of 40 ms in one packet.
    const std::string packets = std::string("\x78-") + std::string("\x71-") + "\x13\x03";
    const std::string sound = repeat(page(packets, 3), 100);
    EXPECT_EQ(audio_seconds_max(head + sound), 16);
    EXPECT_EQ(audio_seconds_max(head + sound + "OggS" + std::string(10, '\0')), 16);
    const std::string tags = repeat(page("OpusTags", 1), 100);  // each a sound of 120 ms
    EXPECT_EQ(audio_seconds_max(head + tags), 12);
    EXPECT_EQ(audio_seconds_max(head + repeat(page("OpusTags", 1, 2), 100)), 12);
}

TEST(AudioLength, AVorbisLastsNoLongerThanItsPacketsCan) {
    const std::string vorbis = "\x01vorbis" + little(0, 4) + little(1, 1) + little(16'000, 4) +
        std::string(12, '\0') + '\xb8' + '\x01';  // blocks of 256 and 2048
    const std::string head = page(vorbis, 1, 2) + page("\x03vorbis-\x05vorbis-", 2);
    const std::string others = repeat(page("ab", 1), 1'000);  // no packets of sound
    EXPECT_EQ(audio_seconds_max(head + others + repeat(page("ba", 1), 1'000)), 64);
}

TEST(AudioLength, AnOggOfSomethingElseIsBoundByItsBytes) {
    const std::string speex = page("Speex   " + std::string(72, '\0'), 1, 2);
    EXPECT_EQ(audio_seconds_max(speex + std::string(10'000 - speex.size(), 'x')), 20);
    const std::string flac = page(
                                 "\x7f"
                                 "FLAC" +
                                     little(0, 4) + flac_head(16'000, 1),
                                 1, 2) +
        repeat(page(flac_frame(0), 1), 125);
    EXPECT_EQ(audio_seconds_max(flac), 32);
    // Pages over pages take as long to read as they please: they have no bound.
    EXPECT_GT(audio_seconds_max(repeat("OggS", 10'000)), 1'000'000'000);
}

TEST(AudioLength, WithoutAStatementTheBytesBoundIt) {
    EXPECT_EQ(audio_seconds_max("ID3" + std::string(9'997, 'x')), 10);
    EXPECT_EQ(audio_seconds_max("\xff\xfb" + std::string(9'998, 'x')), 10);
    EXPECT_EQ(audio_seconds_max(std::string(10'000, 'x')), 20);
    EXPECT_EQ(audio_seconds_max(""), 1);
}

TEST(AudioLength, HeadersThatEndEarlyFallBackToTheBytes) {
    EXPECT_EQ(audio_seconds_max("RIFF0000WAVEfmt " + little(16, 4) + std::string(980, '\0')), 2);
    EXPECT_EQ(audio_seconds_max("RIFF0000WAVEfmt "), 1);
    EXPECT_EQ(audio_seconds_max("fLaC"), 1);
    EXPECT_EQ(audio_seconds_max("OggS"), 1);
    EXPECT_EQ(audio_seconds_max("RIFF0000WAVEjunk\xff\xff\xff\xff"), 1);
}

}  // namespace
}  // namespace entrepot::canon
