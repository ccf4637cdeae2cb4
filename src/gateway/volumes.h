#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gateway/state.h"
#include "pricing/price.h"

namespace entrepot::gateway {

/// What was bought under volume steps, by counter and calendar period (UTC) of the dispatch. Lives
/// with the books on their core, so that no two exchanges see the same units left of a step; what
/// it holds can always be counted again from the lines of the books.
class Volumes {
public:
    /// Counts the periods that run at `at` anew, from the books: at the start, and when contracts
    /// may have changed. Errors: kIo, kOverflow.
    [[nodiscard]] Status load(const State& state, store::Books& books, Instant at);
    /// What PriceOptions::running takes for a dispatch at that time; until the next call. Counts a
    /// period that is not known yet, such as the one before, from the books. Errors: as of `load`.
    [[nodiscard]] Result<std::span<const Int128>> running(
        const State& state, store::Books& books, Instant dispatch);
    /// Whether the periods of that dispatch are counted already.
    [[nodiscard]] bool knows(const State& state, Instant dispatch) const;
    /// Takes in what was booked in a period that is known.
    void add(const State& state, Instant dispatch, const pricing::ChargeLine& line);

private:
    /// So many periods of one counter are remembered.
    static constexpr std::size_t kPeriodsMax = 4;
    using Key = std::pair<std::string, std::int64_t>;  // counter, where its period begins
    [[nodiscard]] static Key key_of(const VolumeCounter& counter, Instant at);
    void forget_old(const std::string& counter);

    std::map<Key, Int128> counted_;
    std::vector<Int128> scratch_;
};

}  // namespace entrepot::gateway
