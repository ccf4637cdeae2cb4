#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace entrepot::reconcile {

/// Hashes that were seen, up to a number: sixteen bytes for each.
class Seen {
public:
    explicit Seen(std::size_t max) : max_(max) {}

    /// Whether `hash` is new. A full table says so of every hash it does not hold.
    bool add(std::uint64_t hash) {
        if (hash == 0) hash = 1;  // 0 is a free place
        if (count_ * 2 >= places_.size() && count_ < max_) grow();
        std::uint64_t& place = find(hash);
        if (place == hash) return false;
        is_full_ = count_ >= max_;
        if (!is_full_) {
            place = hash;
            ++count_;
        }
        return true;
    }
    /// Whether hashes were left out.
    [[nodiscard]] bool is_full() const { return is_full_; }

private:
    std::uint64_t& find(std::uint64_t hash) {
        std::size_t at = hash & (places_.size() - 1);
        while (places_[at] != 0 && places_[at] != hash) at = (at + 1) & (places_.size() - 1);
        return places_[at];
    }
    void grow() {
        std::vector<std::uint64_t> old(places_.empty() ? 1024 : places_.size() * 2);
        old.swap(places_);
        for (const std::uint64_t hash : old)
            if (hash != 0) find(hash) = hash;
    }

    std::vector<std::uint64_t> places_;  // a power of two of them, at most half taken
    std::size_t count_ = 0;
    std::size_t max_;
    bool is_full_ = false;
};

}  // namespace entrepot::reconcile
