#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace entrepot::json {

/// Whether the byte cannot stand in a JSON string as it is, or ends it.
inline bool is_special(char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

/// Eight bytes of text at once: not 0 when one of them is special; the lowest byte that is marked
/// (its high bit) is the first in memory of a little-endian machine.
inline std::uint64_t specials_in(std::uint64_t word) {
    // What is taken away borrows from above a byte that is found, so the lowest one found is right.
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    constexpr std::uint64_t kHigh = 0x80 * kOnes;
    const auto zeros = [](std::uint64_t w) { return (w - kOnes) & ~w & kHigh; };
    return ((word - 0x20 * kOnes) & ~word & kHigh) | zeros(word ^ ('"' * kOnes)) |
        zeros(word ^ ('\\' * kOnes));
}

#if defined(__AVX2__)
/// 32 bytes of text: those that are special are not 0.
inline __m256i specials_in(__m256i block) {
    const __m256i control =
        _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1f)), block);
    const __m256i quote = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('"'));
    const __m256i backslash = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\\'));
    return _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
}

inline __m256i load_block(const char* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
#endif

/// The first quote, backslash or control character at or after `at`. Notes bytes of 0x80 and above
/// before it (now and then also some behind it, which costs a look and no more).
inline const char* find_special(const char* at, const char* end, bool& has_high_bytes) {
#if defined(__AVX2__)
    __m256i seen = _mm256_setzero_si256();
    for (; end - at >= 128; at += 128) {
        const __m256i a = load_block(at), b = load_block(at + 32);
        const __m256i c = load_block(at + 64), d = load_block(at + 96);
        const __m256i found = _mm256_or_si256(_mm256_or_si256(specials_in(a), specials_in(b)),
            _mm256_or_si256(specials_in(c), specials_in(d)));
        if (_mm256_movemask_epi8(found) != 0) break;
        seen = _mm256_or_si256(seen, _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)));
    }
    for (; end - at >= 32; at += 32) {
        const __m256i block = load_block(at);
        seen = _mm256_or_si256(seen, block);
        const auto found = static_cast<unsigned>(_mm256_movemask_epi8(specials_in(block)));
        if (found == 0) continue;
        if (_mm256_movemask_epi8(seen) != 0) has_high_bytes = true;
        return at + std::countr_zero(found);
    }
    if (_mm256_movemask_epi8(seen) != 0) has_high_bytes = true;
#endif
    if constexpr (std::endian::native == std::endian::little) {
        while (end - at >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, at, sizeof word);
            const std::uint64_t found = specials_in(word);
            if ((word & 0x8080808080808080) != 0) has_high_bytes = true;
            if (found != 0) return at + std::countr_zero(found) / 8;
            at += 8;
        }
    }
    for (; at < end; ++at) {
        if (is_special(*at)) return at;
        if (static_cast<unsigned char>(*at) >= 0x80) has_high_bytes = true;
    }
    return end;
}

/// Copies text up to its first special byte, which is returned; `to` has room for all of it.
inline const char* copy_to_special(char* to, const char* at, const char* end) {
#if defined(__AVX2__)
    for (; end - at >= 64; at += 64, to += 64) {
        const __m256i a = load_block(at), b = load_block(at + 32);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 32), b);
        if (_mm256_movemask_epi8(_mm256_or_si256(specials_in(a), specials_in(b))) != 0) break;
    }
#endif
    bool has_high_bytes = false;
    const char* const found = find_special(at, end, has_high_bytes);
    std::memcpy(to, at, static_cast<std::size_t>(found - at));
    return found;
}

}  // namespace entrepot::json
