#pragma once

// The steps of a cursor that every value takes: inline, because a walk is made of little else.
// Included by cursor.h alone.

#include <array>

#include "json/cursor.h"
#include "json/special.h"

namespace entrepot::json {

inline constexpr std::uint8_t kNoKind = 255;

/// The kind of the value that begins with that byte, or kNoKind.
inline constexpr std::array<std::uint8_t, 256> kKindOf = [] {
    std::array<std::uint8_t, 256> kinds{};
    kinds.fill(kNoKind);
    const auto set = [&](std::string_view bytes, Kind kind) {
        for (const char byte : bytes)
            kinds[static_cast<unsigned char>(byte)] = static_cast<std::uint8_t>(kind);
    };
    set("{", Kind::kObject);
    set("[", Kind::kArray);
    set("\"", Kind::kString);
    set("tf", Kind::kBool);
    set("n", Kind::kNull);
    set("-0123456789", Kind::kNumber);
    return kinds;
}();

/// The string whose quote comes next. Most are keys and words, shorter than one block.
inline std::string_view Cursor::quoted() {
#if defined(__AVX2__)
    const char* const begin = at_ + 1;
    if (end_ - begin >= 32) {
        const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(begin));
        const __m256i control =
            _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1f)), block);
        const __m256i either = _mm256_or_si256(_mm256_cmpeq_epi8(block, _mm256_set1_epi8('"')),
            _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\\')));
        const auto found =
            static_cast<unsigned>(_mm256_movemask_epi8(_mm256_or_si256(either, control)));
        const auto high = static_cast<unsigned>(_mm256_movemask_epi8(block));
        const auto length = static_cast<unsigned>(std::countr_zero(found));
        if (found != 0 && begin[length] == '"') {
            if ((high & ((1U << length) - 1)) != 0) has_high_bytes_ = true;
            string_has_escapes_ = false;
            after_value_ = true;
            at_ = begin + length + 1;
            return {begin, length};
        }
    }
#endif
    return quoted_slowly();
}

inline Kind Cursor::peek() {
    pass_space();
    if (problem_ != nullptr) return Kind::kNull;
    if (at_ == end_) {
        refuse("a value is missing at the end");
        return Kind::kNull;
    }
    const std::uint8_t kind = kKindOf[static_cast<unsigned char>(*at_)];
    if (kind != kNoKind) return static_cast<Kind>(kind);
    refuse("a value was expected");
    return Kind::kNull;
}

inline bool Cursor::open(char bracket) {
    pass_space();
    if (problem_ != nullptr) return false;
    if (at_ == end_ || *at_ != bracket) return refuse("a container was expected");
    if (++depth_ > kDepthMax) return refuse("it is nested too deeply");
    ++at_;
    after_value_ = false;
    return true;
}

inline bool Cursor::next_member() {
    pass_space();
    if (problem_ != nullptr) return false;
    if (at_ == end_) return refuse("an object is not closed");
    if (*at_ == '}') {
        ++at_;
        --depth_;
        after_value_ = true;
        return false;
    }
    if (after_value_) {
        if (*at_ != ',') return refuse("a comma or a closing brace was expected");
        ++at_;
        pass_space();
    }
    if (at_ == end_ || *at_ != '"') return refuse("a key was expected");
    key_ = quoted();
    key_has_escapes_ = string_has_escapes_;
    pass_space();
    if (problem_ != nullptr) return false;
    if (at_ == end_ || *at_ != ':') return refuse("a colon was expected");
    ++at_;
    return true;
}

inline bool Cursor::next_item() {
    pass_space();
    if (problem_ != nullptr) return false;
    if (at_ == end_) return refuse("an array is not closed");
    if (*at_ == ']') {
        ++at_;
        --depth_;
        after_value_ = true;
        return false;
    }
    if (after_value_) {
        if (*at_ != ',') return refuse("a comma or a closing bracket was expected");
        ++at_;
        pass_space();
        if (at_ < end_ && *at_ == ']') return refuse("a value was expected");
    }
    return true;
}

inline std::string_view Cursor::string() {
    pass_space();
    if (problem_ != nullptr) return {};
    if (at_ == end_ || *at_ != '"') {
        refuse("a string was expected");
        return {};
    }
    return quoted();
}

}  // namespace entrepot::json
