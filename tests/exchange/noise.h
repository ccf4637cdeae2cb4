#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::exchange {

/// What a network, a broken server or an attacker makes of recorded bytes. Deterministic by seed.
class Noise {
public:
    explicit Noise(std::uint64_t seed) : random_(seed) {}

    /// A number below `end` (> 0).
    [[nodiscard]] std::size_t below(std::size_t end) { return random_() % end; }

    /// `bytes` changed in one to four places: bits flipped, bytes overwritten, a piece cut out,
    /// said again and again or taken from `other`, the end cut off, numbers grown huge, brackets
    /// nested deep, words of the format put where they do not belong.
    [[nodiscard]] std::string mutated(std::string_view bytes, std::string_view other);
    /// The same to what the frames of an AWS event stream hold, in frames whose checksums are
    /// right; `in_chunks`: to the JSON inside of InvokeModel's chunks. Bytes that are no frames are
    /// mutated as they are.
    [[nodiscard]] std::string mutated_frames(
        std::string_view bytes, std::string_view other, bool in_chunks);
    /// Bytes of no meaning at all.
    [[nodiscard]] std::string random_bytes(std::size_t size);

private:
    void mutate_once(std::string& bytes, std::string_view other);
    void grow_number(std::string& bytes);
    [[nodiscard]] std::string_view slice(std::string_view of, std::size_t size_max);

    std::mt19937_64 random_;
};

}  // namespace entrepot::exchange
