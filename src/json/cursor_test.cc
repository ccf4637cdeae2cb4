#include "json/cursor.h"

#include <gtest/gtest.h>

#include <string>

#include "json/oracle.h"
#include "json/value.h"

namespace entrepot::json {
namespace {

bool reads_whole(std::string_view text) {
    Cursor cursor(text);
    (void)cursor.skip();
    return cursor.at_end();
}

// Strings around blocks of 32 and of 128 bytes take different ways; each byte that can end one
// early is put at every place.
TEST(Cursor, AcceptsWhatTheParserAcceptsWhereverAByteStands) {
    for (std::size_t length = 0; length < 300; length += length < 70 ? 1 : 59) {
        for (std::size_t at = 0; at < length; ++at) {
            for (const std::string_view piece : {"\"", "\\", "\\n", "\\u00e9", "\\ux", "\n", "\x01",
                     "\xC3\xA9", "\xC3", "\xFF", "\x7F"}) {
                const std::string inside =
                    std::string(at, 'a') + std::string(piece) + std::string(length - at, 'b');
                for (const std::string& text : {"\"" + inside + "\"", "{\"" + inside + "\":[1]}",
                         "[\"" + inside + "\" , \"x\"]"}) {
                    const oracle::Verdict verdict = oracle::read(text);
                    ASSERT_EQ(reads_whole(text), verdict.is_json) << text;
                    const auto document = Document::parse(text);
                    ASSERT_EQ(document.has_value(), verdict.is_json) << text;
                    if (!document) continue;
                    std::string told;
                    oracle::tell(document->root(), told);
                    ASSERT_EQ(told, verdict.told) << text;
                }
            }
        }
    }
}

TEST(Cursor, GivesAStringAsSpelledAndTellsEscapes) {
    for (const std::size_t length : {0, 1, 30, 31, 32, 33, 64, 100}) {
        const std::string plain(length, 'a');
        const std::string text = "[\"" + plain + "\",\"" + plain + "\\n\"]";
        Cursor cursor(text);
        ASSERT_TRUE(cursor.enter_array() && cursor.next_item());
        EXPECT_EQ(cursor.string(), plain);
        EXPECT_FALSE(cursor.string_has_escapes());
        ASSERT_TRUE(cursor.next_item());
        EXPECT_EQ(cursor.string(), plain + "\\n");
        EXPECT_TRUE(cursor.string_has_escapes());
        EXPECT_FALSE(cursor.next_item());
        EXPECT_TRUE(cursor.at_end());
    }
}

TEST(Cursor, KnowsBeforeTheEndWhetherWhatItReadIsUtf8) {
    const std::string good = "\"gr\xC3\xBC\xC3\x9F\" \xFF";
    Cursor cursor(good);
    EXPECT_EQ(cursor.string().size(), 6u);
    EXPECT_TRUE(cursor.is_utf8_so_far());
    const std::string bad =
        "\"gr\xC3\" and more than a block of bytes behind it, all of them plain";
    Cursor other(bad);
    EXPECT_EQ(other.string().size(), 3u);
    EXPECT_FALSE(other.is_utf8_so_far());
}

}  // namespace
}  // namespace entrepot::json
