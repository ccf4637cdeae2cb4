#include "base/text.h"

#include <gtest/gtest.h>

namespace entrepot {
namespace {

TEST(Text, AnExcerptIsUtf8WhateverItWasTakenFrom) {
    EXPECT_EQ(excerpt("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
        "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(excerpt("a\xff\xfe\x62"), "a\\xff\\xfe\x62") << "bytes of no character";
    EXPECT_EQ(excerpt("\xc0\xaf|\xe0\x9f\xbf|\xf0\x8f\xbf\xbf"),
        R"(\xc0\xaf|\xe0\x9f\xbf|\xf0\x8f\xbf\xbf)")
        << "longer than need be";
    EXPECT_EQ(excerpt("\xed\xa0\x80 \xf4\x90\x80\x80"), R"(\xed\xa0\x80 \xf4\x90\x80\x80)");
    EXPECT_EQ(excerpt("x\xe2\x82"), R"(x\xe2\x82)") << "cut in the middle";
    EXPECT_EQ(excerpt("\xe2\x82\xac\xe2\x82\xac", 4), "\xe2\x82\xac…");
    EXPECT_EQ(excerpt("a\nb\x7f"), R"(a\x0ab\x7f)");
}

}  // namespace
}  // namespace entrepot
