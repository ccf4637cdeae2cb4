#include <gtest/gtest.h>

#include "canon/reply.h"

namespace entrepot::canon {
namespace {

TEST(Canon, AWholeReplyIsTheFoldOfItsEvents) {
    Reply reply;
    reply.add(Started{"id", "m", 7});
    reply.add(PartStarted{.choice = 0, .part = 0, .kind = PartKind::kText});
    reply.add(PartDelta{0, 0, "Hel"});
    reply.add(PartStarted{
        .choice = 0, .part = 1, .kind = PartKind::kToolCall, .call_id = "c1", .name = "f"});
    reply.add(PartDelta{0, 1, "{}"});
    reply.add(PartDelta{0, 0, "lo"});
    reply.add(Finished{0, StopReason::kToolCalls, "tool_use", ""});
    Usage usage;
    usage[Meter::kInput] = 3;
    reply.add(UsageReported{usage});
    reply.add(Ended{});
    ASSERT_EQ(reply.choices.size(), 1u);
    EXPECT_EQ(reply.choices[0].parts[0].text, "Hello");
    EXPECT_EQ(reply.choices[0].parts[1].text, "{}");
    EXPECT_EQ(reply.usage, usage);
    EXPECT_TRUE(reply.has_ended);
}

TEST(Canon, AStatusWithoutWordsStillSaysWhatWentWrong) {
    EXPECT_EQ(kind_of_status(429), FailureKind::kRateLimited);
    EXPECT_EQ(kind_of_status(529), FailureKind::kOverloaded);
    EXPECT_EQ(kind_of_status(501), FailureKind::kUnsupported);
    EXPECT_EQ(kind_of_status(504), FailureKind::kTimeout);
    EXPECT_EQ(kind_of_status(418), FailureKind::kInvalidRequest) << "any other of the 400s";
    EXPECT_EQ(kind_of_status(599), FailureKind::kServer);
}

TEST(Canon, UsageNamesItsMetersAndLeavesOutZeros) {
    Usage usage;
    usage[Meter::kInput] = 3;
    usage[Meter::kCacheWriteLong] = 2;
    usage[Meter::kOutput] = 1;
    EXPECT_EQ(to_json(usage), R"({"input":3,"cache_write_long":2,"output":1})");
    EXPECT_EQ(usage.prompt_tokens(), 5);
}

}  // namespace
}  // namespace entrepot::canon
