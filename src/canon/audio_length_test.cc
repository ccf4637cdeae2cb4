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

TEST(AudioLength, AWavLastsAsLongAsItsRateSays) {
    const std::string head = "RIFF" + little(0, 4) + "WAVE" + "LIST" + little(3, 4) + "abc" +
        std::string(1, '\0') + "fmt " + little(16, 4) + little(1, 2) + little(1, 2) +
        little(16'000, 4) + little(32'000, 4) + little(2, 2) + little(16, 2) + "data" +
        little(0, 4);
    EXPECT_EQ(audio_seconds_max(head + std::string(160'000 - head.size(), '\0')), 5);
    EXPECT_EQ(audio_seconds_max(head + std::string(160'001 - head.size(), '\0')), 6);
    EXPECT_EQ(audio_seconds_max(head), 1);
}

TEST(AudioLength, AFlacAndAnOggSayHowManySamplesTheyHold) {
    const std::string flac = "fLaC" + big(0x00000022, 4) + std::string(10, '\0') +
        big(std::uint64_t{16'000} << 44 | std::uint64_t{16'000 * 90}, 8);
    EXPECT_EQ(audio_seconds_max(flac), 90);
    const std::string page = "OggS" + std::string(24, '\0') + "OpusHead" + std::string(20, '\0');
    EXPECT_EQ(
        audio_seconds_max(page + "OggS" + std::string(2, '\0') + little(48'000 * 7 + 1, 8)), 8);
}

TEST(AudioLength, WithoutAStatementTheBytesBoundIt) {
    EXPECT_EQ(audio_seconds_max("ID3" + std::string(9'997, 'x')), 10);
    EXPECT_EQ(audio_seconds_max("\xff\xfb" + std::string(9'998, 'x')), 10);
    EXPECT_EQ(audio_seconds_max(std::string(10'000, 'x')), 20);
    EXPECT_EQ(audio_seconds_max(""), 1);
}

TEST(AudioLength, HeadersThatLieOrEndEarlyFallBackToTheBytes) {
    EXPECT_EQ(audio_seconds_max("RIFF0000WAVEfmt " + little(16, 4) + std::string(980, '\0')), 2);
    EXPECT_EQ(audio_seconds_max("RIFF0000WAVEfmt "), 1);
    EXPECT_EQ(audio_seconds_max("fLaC"), 1);
    EXPECT_EQ(audio_seconds_max("OggS"), 1);
    EXPECT_EQ(audio_seconds_max("RIFF0000WAVEjunk\xff\xff\xff\xff"), 1);
}

}  // namespace
}  // namespace entrepot::canon
