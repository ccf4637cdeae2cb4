#pragma once

#include <array>
#include <cstdint>

namespace entrepot {

/// xoshiro256**: fast, for ids and choices among offers; not for secrets.
class Random {
public:
    using result_type = std::uint64_t;
    explicit Random(std::uint64_t seed);
    /// Seeded by the system.
    [[nodiscard]] static Random seeded();

    std::uint64_t operator()() {
        const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = rotate(state_[3], 45);
        return result;
    }
    /// Uniform in [0, bound); bound > 0. The bias is below 2^-32 for bounds below 2^32.
    std::uint64_t below(std::uint64_t bound);
    static constexpr std::uint64_t min() { return 0; }
    static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

private:
    static constexpr std::uint64_t rotate(std::uint64_t x, int by) {
        return x << by | x >> (64 - by);
    }
    std::array<std::uint64_t, 4> state_;
};

}  // namespace entrepot
