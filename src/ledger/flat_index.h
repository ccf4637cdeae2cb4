#pragma once

#include <cstdint>
#include <vector>

namespace entrepot::ledger {

/// A hash map from a small key to a 32-bit slot: open addressing, linear probing, no allocation but
/// for growth. `Hash` must mix well: its low bits choose the place.
template <typename Key, typename Hash>
class FlatIndex {
public:
    static constexpr std::uint32_t kAbsent = 0xffff'ffff;

    FlatIndex() : cells_(kCellsMin) {}

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::uint32_t find(const Key& key) const {
        for (std::size_t at = home(key);; at = next(at)) {
            const Cell& cell = cells_[at];
            if (cell.slot == kAbsent) return kAbsent;
            if (cell.key == key) return cell.slot;
        }
    }
    /// Sets the slot of a key, new or not.
    void put(const Key& key, std::uint32_t slot) {
        if ((size_ + 1) * 4 > cells_.size() * 3) grow();
        std::size_t at = home(key);
        while (cells_[at].slot != kAbsent && !(cells_[at].key == key)) at = next(at);
        if (cells_[at].slot == kAbsent) ++size_;
        cells_[at] = {key, slot};
    }
    void erase(const Key& key) {
        std::size_t hole = home(key);
        while (!(cells_[hole].slot != kAbsent && cells_[hole].key == key)) {
            if (cells_[hole].slot == kAbsent) return;
            hole = next(hole);
        }
        // Cells after the hole that would no longer be found move into it, so that no tombstone is
        // needed.
        for (std::size_t at = next(hole); cells_[at].slot != kAbsent; at = next(at)) {
            const std::size_t wanted = home(cells_[at].key);
            if (((at - wanted) & (cells_.size() - 1)) >= ((at - hole) & (cells_.size() - 1))) {
                cells_[hole] = cells_[at];
                hole = at;
            }
        }
        cells_[hole].slot = kAbsent;
        --size_;
    }
    void clear() {
        cells_.assign(kCellsMin, Cell{});
        size_ = 0;
    }

private:
    static constexpr std::size_t kCellsMin = 64;
    struct Cell {
        Key key{};
        std::uint32_t slot = kAbsent;
    };
    [[nodiscard]] std::size_t home(const Key& key) const {
        return Hash{}(key) & (cells_.size() - 1);
    }
    [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (cells_.size() - 1); }
    void grow() {
        std::vector<Cell> old(cells_.size() * 2);
        old.swap(cells_);
        for (const Cell& cell : old) {
            if (cell.slot == kAbsent) continue;
            std::size_t at = home(cell.key);
            while (cells_[at].slot != kAbsent) at = next(at);
            cells_[at] = cell;
        }
    }

    std::vector<Cell> cells_;
    std::size_t size_ = 0;
};

}  // namespace entrepot::ledger
