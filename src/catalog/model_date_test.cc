#include "catalog/model_date.h"

#include <gtest/gtest.h>

namespace entrepot::catalog {
namespace {

TEST(ModelDate, ASnapshotsDayIsReadFromItsId) {
    EXPECT_EQ(date_in_id("gpt-4o-2024-11-20"), 1'732'060'800);
    EXPECT_EQ(date_in_id("claude-sonnet-4-5-20250929"), 1'759'104'000);
    EXPECT_EQ(date_in_id("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), 1'759'104'000);
    EXPECT_EQ(date_in_id("claude-sonnet-4-5@20250929"), 1'759'104'000);
}

TEST(ModelDate, NothingIsMadeUp) {
    for (const std::string_view id :
        {"gpt-4o", "claude-sonnet-4-5", "gpt-4-0613", "", "gemini-2.5-flash-preview-09-2025",
            "model-2025", "model-20251399", "model-202509291", "x-2025-13-01"})
        EXPECT_FALSE(date_in_id(id)) << id;
}

}  // namespace
}  // namespace entrepot::catalog
