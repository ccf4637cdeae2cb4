#include "base/query.h"

#include <gtest/gtest.h>

namespace entrepot {
namespace {

TEST(Query, AValueIsFoundByItsWholeNameAndDecoded) {
    EXPECT_EQ(query_value("pageSize=5&pageToken=a%2Fb+c%2B", "pageToken"), "a/b c+");
    EXPECT_EQ(query_value("xlimit=1&limit=2&limit=3", "limit"), "2");
    EXPECT_EQ(query_value("beta&key=", "beta"), "");
    EXPECT_EQ(query_value("after%5Fid=m", "after_id"), "m");
}

TEST(Query, WhatIsNotThereIsNotEmptyButNothing) {
    EXPECT_FALSE(query_value("", "limit"));
    EXPECT_FALSE(query_value("limits=1", "limit"));
}

}  // namespace
}  // namespace entrepot
