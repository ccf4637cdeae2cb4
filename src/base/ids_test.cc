#include "base/ids.h"

#include <gtest/gtest.h>

#include <limits>

namespace entrepot {
namespace {

TEST(ExchangeId, ItsTimeIsWhenItWasMadeToTheMillisecond) {
    const Instant made{1'795'402'869'123'456'789};
    const ExchangeId id = ExchangeId::make(made, {1, 2});
    EXPECT_EQ(id.time(), Instant{1'795'402'869'123'000'000});
    const auto read = ExchangeId::parse(id.to_string());
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, id);
}

// Found by a fuzzer: 48 bits of milliseconds reach beyond what 63 bits of nanoseconds can say.
TEST(ExchangeId, ATimeBeyondNanosecondsIsTheLastOne) {
    const auto id = ExchangeId::parse("ffffffff-ffff-7000-8000-000000000000");
    ASSERT_TRUE(id);
    EXPECT_GT(id->time().ns, std::numeric_limits<std::int64_t>::max() - 1'000'000);
}

}  // namespace
}  // namespace entrepot
