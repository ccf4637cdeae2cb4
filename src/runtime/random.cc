#include "runtime/random.h"

#include <sys/random.h>

#include "base/check.h"
#include "base/money.h"

namespace entrepot {

Random::Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {  // splitmix64, as the generator's authors advise
        seed += 0x9e3779b97f4a7c15U;
        std::uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        word = z ^ (z >> 31);
    }
}

Random Random::seeded() {
    std::uint64_t seed = 0;
    ENTREPOT_CHECK(::getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed));
    return Random(seed);
}

std::uint64_t Random::below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<Uint128>((*this)()) * bound) >> 64);
}

}  // namespace entrepot
