#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace entrepot::routing {

/// How long answers tend to be, by any 64-bit key (a hash of model and client key): a smoothed
/// mean. Fixed size; a colliding key takes the slot of the less used. Owned by one core.
class OutputLengths {
public:
    explicit OutputLengths(std::size_t slots_max = 4096);
    void learn(std::uint64_t key, std::int64_t output_tokens);
    /// Expected output tokens, or `fallback` before anything was learned.
    [[nodiscard]] std::int64_t expect(std::uint64_t key, std::int64_t fallback) const;

private:
    struct Slot {
        std::uint64_t key = 0;
        std::int64_t mean_x16 = 0;  ///< sixteenths of a token, so that small answers move it
        std::uint32_t seen = 0;
    };
    std::vector<Slot> slots_;  ///< power of two, pairs of neighbours compete
};

/// Which prompt prefixes are probably still in which offer's prompt cache. Bounded: sets of four,
/// least recently used leaves. Owned by one core.
class WarmCaches {
public:
    explicit WarmCaches(std::size_t entries_max = 8192);
    /// A request with this prefix was answered there with `cached_tokens` read from or written to
    /// its cache.
    void learn(std::uint64_t prefix_hash, std::uint64_t offer_key, std::int64_t cached_tokens,
        nanoseconds lifetime, MonotonicTime now);
    /// Tokens that a request with this prefix will probably read from the cache; 0 when cold or
    /// over.
    [[nodiscard]] std::int64_t expect(
        std::uint64_t prefix_hash, std::uint64_t offer_key, MonotonicTime now) const;

private:
    struct Slot {
        std::uint64_t key = 0;
        MonotonicTime until{};
        MonotonicTime used{};
        std::int64_t tokens = 0;
    };
    std::vector<Slot> slots_;
};

}  // namespace entrepot::routing
