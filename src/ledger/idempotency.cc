#include "ledger/idempotency.h"

#include <algorithm>
#include <functional>

namespace entrepot::ledger {
namespace {

/// Stale ages are swept out when they outnumber the others and this.
constexpr std::size_t kStaleMin = 1024;

}  // namespace

const IdempotencyEntry* IdempotencyIndex::find(const Fingerprint& key) const {
    const std::uint32_t at = by_key_.find(key);
    return at == by_key_.kAbsent ? nullptr : &slots_[at].entry;
}

bool IdempotencyIndex::has_room(NameId client_key, Instant at) const {
    const auto count = counts_.find(client_key);
    if (size() < kIdempotencyMax &&
        (count == counts_.end() || count->second < kIdempotencyPerKeyMax))
        return true;
    // Taking one makes room of all that is too old.
    if (ages_.empty()) return false;
    const auto& [claimed, slot] = ages_.front();
    const Slot& oldest = slots_[slot];
    return oldest.is_used && oldest.entry.claimed.ns == claimed && oldest.entry.is_over_at(at);
}

void IdempotencyIndex::touch(std::uint32_t at) {
    if (std::exchange(slots_[at].is_changed, true)) return;
    changed_.push_back(at);
}

void IdempotencyIndex::add(const IdempotencyEntry& entry) {
    std::uint32_t at;
    if (free_.empty()) {
        at = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        at = free_.back();
        free_.pop_back();
    }
    slots_[at].entry = entry;
    slots_[at].is_used = true;
    by_key_.put(entry.idempotency.key, at);
    ++counts_[entry.client_key];
    ages_.emplace_back(entry.claimed.ns, at);
    std::ranges::push_heap(ages_, std::greater<>());
    if (ages_.size() <= 2 * size() + kStaleMin) return;
    ages_.clear();
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
        if (slots_[slot].is_used) ages_.emplace_back(slots_[slot].entry.claimed.ns, slot);
    std::ranges::make_heap(ages_, std::greater<>());
}

void IdempotencyIndex::put(const IdempotencyEntry& entry) {
    if (const std::uint32_t at = by_key_.find(entry.idempotency.key); at != by_key_.kAbsent)
        forget(at);
    expire(entry.claimed);
    add(entry);
    touch(by_key_.find(entry.idempotency.key));
}

void IdempotencyIndex::forget(std::uint32_t at) {
    Slot& slot = slots_[at];
    by_key_.erase(slot.entry.idempotency.key);
    gone_.push_back(slot.entry.idempotency.key);
    if (const auto count = counts_.find(slot.entry.client_key); --count->second == 0)
        counts_.erase(count);
    slot.is_used = false;
    free_.push_back(at);
}

void IdempotencyIndex::end(const Fingerprint& key, const ExchangeClose& facts, bool is_kept) {
    const std::uint32_t at = by_key_.find(key);
    if (at == by_key_.kAbsent || slots_[at].entry.exchange != facts.exchange) return;
    if (!is_kept) return forget(at);
    slots_[at].entry.is_open = false;
    slots_[at].entry.status = facts.status;
    touch(at);
}

void IdempotencyIndex::expire(Instant now) {
    std::vector<Age> open;  // what works for days in the background
    while (!ages_.empty()) {
        const auto [claimed, at] = ages_.front();
        const IdempotencyEntry& entry = slots_[at].entry;
        const bool is_stale = !slots_[at].is_used || entry.claimed.ns != claimed;
        if (!is_stale && now < entry.claimed + kIdempotencyLife) break;
        if (!is_stale && entry.is_open)
            open.push_back(ages_.front());
        else if (!is_stale)
            forget(at);
        std::ranges::pop_heap(ages_, std::greater<>());
        ages_.pop_back();
    }
    for (const Age& age : open) {
        ages_.push_back(age);
        std::ranges::push_heap(ages_, std::greater<>());
    }
}

std::vector<IdempotencyEntry> IdempotencyIndex::entries() const {
    std::vector<IdempotencyEntry> all;
    for (const Slot& slot : slots_)
        if (slot.is_used) all.push_back(slot.entry);
    std::ranges::sort(all, {}, [](const IdempotencyEntry& entry) { return entry.idempotency.key; });
    return all;
}

void IdempotencyIndex::take_changes(
    std::vector<IdempotencyEntry>& changed, std::vector<Fingerprint>& gone) {
    for (const std::uint32_t at : changed_) {
        slots_[at].is_changed = false;
        if (slots_[at].is_used) changed.push_back(slots_[at].entry);
    }
    changed_.clear();
    gone = std::exchange(gone_, {});
}

void IdempotencyIndex::load(const std::vector<IdempotencyEntry>& entries) {
    for (const IdempotencyEntry& entry : entries) add(entry);
}

}  // namespace entrepot::ledger
