#include "routing/inline_list.h"

#include <gtest/gtest.h>

namespace entrepot::routing {
namespace {

using List = InlineList<int, 2>;

std::vector<int> values(const List& list) { return {list.begin(), list.end()}; }

TEST(InlineList, KeepsItsValuesAcrossTheBorderOfItsRoom) {
    List list;
    for (int i = 1; i <= 4; ++i) list.emplace_back() = i;
    EXPECT_EQ(values(list), (std::vector{1, 2, 3, 4}));
    list.pop_back();
    EXPECT_EQ(values(list), (std::vector{1, 2, 3}));
    list.pop_back();
    EXPECT_EQ(values(list), (std::vector{1, 2}));
    list.push_back(7);
    EXPECT_EQ(values(list), (std::vector{1, 2, 7}));
}

TEST(InlineList, CopiesAndMovesItsValues) {
    for (const int count : {0, 1, 2, 3}) {
        List list;
        for (int i = 0; i < count; ++i) list.push_back(i);
        const List copy = list;
        EXPECT_EQ(values(copy), values(list));
        List moved = std::move(list);
        EXPECT_EQ(values(moved), values(copy));
        List assigned;
        assigned.push_back(99);
        assigned = copy;
        EXPECT_EQ(values(assigned), values(copy));
    }
}

}  // namespace
}  // namespace entrepot::routing
