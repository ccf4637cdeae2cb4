#include "ledger/flat_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "ledger/exchange_hash.h"

namespace entrepot::ledger {
namespace {

/// Few places for many keys: every erase has cells to move.
struct Crowded {
    std::size_t operator()(std::uint32_t key) const { return key % 5 * 13; }
};

TEST(FlatIndex, FindsWhatAMapFindsAlsoWhenCrowded) {
    FlatIndex<std::uint32_t, Crowded> index;
    std::map<std::uint32_t, std::uint32_t> expected;
    std::mt19937 random(11);
    for (int i = 0; i < 50'000; ++i) {
        const std::uint32_t key = random() % 300;
        if (random() % 2 == 0) {
            index.put(key, key + 1);
            expected[key] = key + 1;
        } else {
            index.erase(key);
            expected.erase(key);
        }
        const std::uint32_t probe = random() % 300;
        const auto found = expected.find(probe);
        ASSERT_EQ(index.find(probe), found == expected.end() ? index.kAbsent : found->second);
        ASSERT_EQ(index.size(), expected.size());
    }
}

// Ids that differ in a few bits anywhere must not crowd: the table's places are the hash's low
// bits.
TEST(ExchangeHash, SpreadsIdsThatDifferInAFewBits) {
    for (std::size_t byte = 0; byte < 15; ++byte) {
        std::set<std::size_t> places;
        for (std::uint32_t n = 0; n < 65'536; ++n) {
            ExchangeId id;
            id.bytes[byte] = static_cast<std::uint8_t>(n);
            id.bytes[byte + 1] = static_cast<std::uint8_t>(n >> 8);
            places.insert(ExchangeHash{}(id) % 131'072);
        }
        EXPECT_GT(places.size(), 35'000) << "bytes " << byte;  // chance alone gives 51 600
    }
}

}  // namespace
}  // namespace entrepot::ledger
