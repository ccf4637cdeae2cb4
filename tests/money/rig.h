#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string_view>

namespace entrepot::rig {

/// Whether the whole length was asked for (ENTREPOT_MONEY=full) rather than a sample.
inline bool is_full() {
    const char* const given = std::getenv("ENTREPOT_MONEY");
    return given != nullptr && std::string_view(given) == "full";
}

/// ENTREPOT_SEED, or one that nobody chose. Printed: the same seed gives the same run.
inline std::uint64_t seed_of(std::string_view what) {
    std::uint64_t seed = 0;
    if (const char* const given = std::getenv("ENTREPOT_SEED")) {
        const std::string_view text(given);
        std::from_chars(text.data(), text.data() + text.size(), seed);
    } else {
        seed = std::random_device{}();
    }
    fmt::print("{}: ENTREPOT_SEED={}\n", what, seed);
    return seed;
}

/// Random numbers that are the same on every machine: the standard's distributions are not.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t word() { return engine_(); }
    /// In [0, end).
    std::uint64_t below(std::uint64_t end) { return end == 0 ? 0 : engine_() % end; }
    /// In [low, high].
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    /// Any magnitude up to 2^bits is as likely as any other.
    std::int64_t spread(unsigned bits) {
        return static_cast<std::int64_t>(engine_() >> 1 >> (63 - below(bits + 1)));
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace entrepot::rig
