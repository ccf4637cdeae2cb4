#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/flat_index.h"
#include "ledger/types.h"

namespace entrepot::ledger {

/// An idempotency key and the exchange that has it.
struct IdempotencyEntry {
    Idempotency idempotency;
    ExchangeId exchange;
    NameId client_key = NameId::kNone;
    Instant claimed;           ///< the dispatch of its first attempt
    bool is_open = true;       ///< the exchange is under way
    std::uint16_t status = 0;  ///< once it is over: what its client was sent; 0: nothing
    [[nodiscard]] bool is_over_at(Instant at) const {
        return !is_open && at >= claimed + kIdempotencyLife;
    }
    friend bool operator==(const IdempotencyEntry&, const IdempotencyEntry&) = default;
};

/// The idempotency keys that are remembered: those of open exchanges, and for kIdempotencyLife
/// those of exchanges that may have been billed. Part of the ledger's state machine: it changes
/// with the records alone.
class IdempotencyIndex {
public:
    /// Null when nobody has the key.
    [[nodiscard]] const IdempotencyEntry* find(const Fingerprint& key) const;
    /// Whether that client key may have one more at `at`.
    [[nodiscard]] bool has_room(NameId client_key, Instant at) const;
    /// Takes an entry, in the place of one with its key that is over; forgets what is too old
    /// at `entry.claimed`.
    void put(const IdempotencyEntry& entry);
    /// The exchange is over. `is_kept`: it may have been billed, so that the key stays taken.
    void end(const Fingerprint& key, const ExchangeClose& facts, bool is_kept);
    /// Forgets what is over and too old.
    void expire(Instant now);

    [[nodiscard]] std::size_t size() const { return by_key_.size(); }
    /// All of them, by key.
    [[nodiscard]] std::vector<IdempotencyEntry> entries() const;
    /// What came or changed, and which keys went, since the last call.
    void take_changes(std::vector<IdempotencyEntry>& changed, std::vector<Fingerprint>& gone);
    /// Nothing of it counts as a change.
    void load(const std::vector<IdempotencyEntry>& entries);

private:
    struct KeyHash {
        std::size_t operator()(const Fingerprint& key) const {
            std::uint64_t low = 0;
            std::memcpy(&low, key.data(), sizeof low);  // of a SHA-256: well mixed
            return low;
        }
    };
    struct Slot {
        IdempotencyEntry entry;
        bool is_used = false;
        bool is_changed = false;
    };
    using Age = std::pair<std::int64_t, std::uint32_t>;  ///< claimed, slot

    void add(const IdempotencyEntry& entry);
    void forget(std::uint32_t at);
    void touch(std::uint32_t at);

    FlatIndex<Fingerprint, KeyHash> by_key_;
    std::deque<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::vector<Age> ages_;  ///< a heap, the oldest first; of forgotten ones too
    std::unordered_map<NameId, std::uint32_t> counts_;
    std::vector<std::uint32_t> changed_;
    std::vector<Fingerprint> gone_;
};

}  // namespace entrepot::ledger
