#include "routing/memory.h"

#include <algorithm>
#include <bit>

namespace entrepot::routing {
namespace {

constexpr std::size_t kWays = 4;

std::uint64_t scramble(std::uint64_t key) {
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdULL;
    key ^= key >> 33;
    return key == 0 ? 1 : key;  // 0 marks an empty slot
}

}  // namespace

OutputLengths::OutputLengths(std::size_t slots_max)
    : slots_(std::bit_floor(std::max<std::size_t>(slots_max, 2))) {}

void OutputLengths::learn(std::uint64_t key, std::int64_t output_tokens) {
    const std::uint64_t id = scramble(key);
    const std::size_t at = id & (slots_.size() - 1) & ~std::size_t{1};
    Slot* slot = &slots_[at];
    if (slots_[at + 1].key == id) {
        slot = &slots_[at + 1];
    } else if (slot->key != id) {
        if (slots_[at + 1].seen < slot->seen) slot = &slots_[at + 1];
        *slot = {id, 0, 0};
    }
    const std::int64_t sample = std::clamp<std::int64_t>(output_tokens, 0, 1'000'000'000) * 16;
    // The first answers weigh fully, later ones a sixteenth.
    if (slot->seen < 16) ++slot->seen;
    slot->mean_x16 += (sample - slot->mean_x16) / slot->seen;
}

std::int64_t OutputLengths::expect(std::uint64_t key, std::int64_t fallback) const {
    const std::uint64_t id = scramble(key);
    const std::size_t at = id & (slots_.size() - 1) & ~std::size_t{1};
    for (const std::size_t i : {at, at + 1})
        if (slots_[i].key == id) return (slots_[i].mean_x16 + 8) / 16;
    return fallback;
}

WarmCaches::WarmCaches(std::size_t entries_max)
    : slots_(std::bit_floor(std::max(entries_max, kWays))) {}

void WarmCaches::learn(std::uint64_t prefix_hash, std::uint64_t offer_key,
    std::int64_t cached_tokens, nanoseconds lifetime, MonotonicTime now) {
    const std::uint64_t key = scramble(prefix_hash ^ scramble(offer_key));
    const std::size_t set = key & (slots_.size() - 1) & ~(kWays - 1);
    Slot* slot = nullptr;
    for (std::size_t i = set; i < set + kWays && slot == nullptr; ++i)
        if (slots_[i].key == key) slot = &slots_[i];
    if (slot == nullptr) {
        slot = &slots_[set];
        for (std::size_t i = set; i < set + kWays; ++i)
            if (slots_[i].used < slot->used) slot = &slots_[i];
    }
    *slot = {key, now + lifetime, now, std::max<std::int64_t>(cached_tokens, 0)};
}

std::int64_t WarmCaches::expect(
    std::uint64_t prefix_hash, std::uint64_t offer_key, MonotonicTime now) const {
    const std::uint64_t key = scramble(prefix_hash ^ scramble(offer_key));
    const std::size_t set = key & (slots_.size() - 1) & ~(kWays - 1);
    for (std::size_t i = set; i < set + kWays; ++i)
        if (slots_[i].key == key) return now < slots_[i].until ? slots_[i].tokens : 0;
    return 0;
}

}  // namespace entrepot::routing
