#include "json/cursor.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace entrepot::json {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_special(char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; }

/// The first quote, backslash or control character at or after `at`. Notes bytes of 0x80 and above
/// before it (now and then also some behind it, which costs a look and no more).
const char* find_special(const char* at, const char* end, bool& has_high_bytes) {
#if defined(__AVX2__)
    const __m256i quote = _mm256_set1_epi8('"');
    const __m256i backslash = _mm256_set1_epi8('\\');
    const __m256i last_control = _mm256_set1_epi8(0x1f);
    while (end - at >= 32) {
        const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
        const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(block, last_control), block);
        const __m256i either =
            _mm256_or_si256(_mm256_cmpeq_epi8(block, quote), _mm256_cmpeq_epi8(block, backslash));
        const auto found =
            static_cast<unsigned>(_mm256_movemask_epi8(_mm256_or_si256(either, control)));
        if (_mm256_movemask_epi8(block) != 0) has_high_bytes = true;
        if (found != 0) return at + std::countr_zero(found);
        at += 32;
    }
#endif
    for (; at < end; ++at) {
        if (is_special(*at)) return at;
        if (static_cast<unsigned char>(*at) >= 0x80) has_high_bytes = true;
    }
    return end;
}

constexpr std::uint8_t kNoKind = 255;

/// The kind of the value that begins with that byte, or kNoKind.
constexpr std::array<std::uint8_t, 256> kKindOf = [] {
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

}  // namespace

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

Kind Cursor::peek() {
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

bool Cursor::open(char bracket) {
    pass_space();
    if (problem_ != nullptr) return false;
    if (at_ == end_ || *at_ != bracket) return refuse("a container was expected");
    if (++depth_ > kDepthMax) return refuse("it is nested too deeply");
    ++at_;
    after_value_ = false;
    return true;
}

bool Cursor::next_member() {
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

bool Cursor::next_item() {
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

const char* Cursor::pass_escape(const char* backslash) {
    const char* at = backslash + 1;
    if (at == end_) return nullptr;
    switch (*at) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't': return at + 1;
        case 'u': break;
        default: return nullptr;
    }
    if (end_ - at < 5) return nullptr;
    for (int i = 1; i <= 4; ++i)
        if (hex_digit(at[i]) < 0) return nullptr;
    return at + 5;
}

std::string_view Cursor::string() {
    pass_space();
    if (problem_ != nullptr) return {};
    if (at_ == end_ || *at_ != '"') {
        refuse("a string was expected");
        return {};
    }
    return quoted();
}

std::string_view Cursor::quoted_slowly() {
    const char* const begin = ++at_;
    string_has_escapes_ = false;
    while (true) {
        at_ = find_special(at_, end_, has_high_bytes_);
        if (at_ == end_) {
            refuse("a string is not closed");
            return {};
        }
        if (*at_ == '"') break;
        if (*at_ != '\\') {
            refuse("a control character stands in a string");
            return {};
        }
        const char* behind = pass_escape(at_);
        if (behind == nullptr) {
            refuse("an escape in a string is invalid");
            return {};
        }
        string_has_escapes_ = true;
        at_ = behind;
    }
    const std::string_view inside(begin, static_cast<std::size_t>(at_ - begin));
    ++at_;
    after_value_ = true;
    return inside;
}

std::string_view Cursor::number() {
    pass_space();
    if (problem_ != nullptr) return {};
    const char* const begin = at_;
    const auto digits = [this] {
        const char* from = at_;
        while (at_ < end_ && is_digit(*at_)) ++at_;
        return at_ - from;
    };
    if (at_ < end_ && *at_ == '-') ++at_;
    const char* const whole = at_;
    const auto count = digits();
    bool is_good = count > 0 && (may_be_padded_ || count == 1 || *whole != '0');
    if (at_ < end_ && *at_ == '.') {
        ++at_;
        is_good = digits() > 0 && is_good;
    }
    if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
        ++at_;
        if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
        is_good = digits() > 0 && is_good;
    }
    if (!is_good) {
        refuse("a number is malformed");
        return {};
    }
    after_value_ = true;
    return {begin, static_cast<std::size_t>(at_ - begin)};
}

bool Cursor::word(std::string_view text) {
    if (problem_ != nullptr) return false;
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(text))
        return refuse("a value was expected");
    at_ += text.size();
    after_value_ = true;
    return true;
}

bool Cursor::boolean() {
    pass_space();
    if (at_ < end_ && *at_ == 't') return word("true");
    word("false");
    return false;
}

void Cursor::null() {
    pass_space();
    word("null");
}

std::string_view Cursor::skip() {
    const Kind kind = peek();
    if (problem_ != nullptr) return {};
    const char* const begin = at_;
    if (kind != Kind::kObject && kind != Kind::kArray) {
        switch (kind) {
            case Kind::kString: quoted(); break;
            case Kind::kNumber: number(); break;
            case Kind::kBool: boolean(); break;
            default: null(); break;
        }
        if (problem_ != nullptr) return {};
        return {begin, static_cast<std::size_t>(at_ - begin)};
    }
    // Bit d of `objects`: the container at depth d below this value is an object.
    std::uint64_t objects[4] = {};
    unsigned depth = 0;
    const auto is_object = [&](unsigned d) { return (objects[d / 64] >> (d % 64) & 1) != 0; };
    Kind next = kind;
    while (true) {
        switch (next) {
            case Kind::kObject:
            case Kind::kArray: {
                if (!open(next == Kind::kObject ? '{' : '[')) return {};
                ++depth;
                const std::uint64_t bit = std::uint64_t{1} << (depth % 64);
                if (next == Kind::kObject)
                    objects[depth / 64] |= bit;
                else
                    objects[depth / 64] &= ~bit;
                break;
            }
            case Kind::kString: quoted(); break;
            case Kind::kNumber: number(); break;
            case Kind::kBool: boolean(); break;
            case Kind::kNull: null(); break;
        }
        while (depth > 0 && !(is_object(depth) ? next_member() : next_item())) {
            if (problem_ != nullptr) return {};
            --depth;
        }
        if (problem_ != nullptr) return {};
        if (depth == 0) return {begin, static_cast<std::size_t>(at_ - begin)};
        next = peek();
        if (problem_ != nullptr) return {};
    }
}

bool Cursor::at_end() {
    pass_space();
    if (problem_ != nullptr) return false;
    if (at_ != end_) return refuse("something stands behind the value");
    if (has_high_bytes_ &&
        !simdjson::validate_utf8(begin_, static_cast<std::size_t>(end_ - begin_)))
        return refuse("the text is not UTF-8");
    return true;
}

bool Cursor::is_utf8_so_far() const {
    return !has_high_bytes_ || simdjson::validate_utf8(begin_, offset());
}

Status Cursor::status() const {
    if (problem_ == nullptr) return {};
    const auto before = std::string_view(begin_, static_cast<std::size_t>(at_ - begin_));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t newline = before.rfind('\n');
    const std::size_t column =
        before.size() - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    return fail(ErrorCode::kBadRequest,
        fmt::format("the JSON is malformed near line {} column {} (byte {}): {}", line, column,
            before.size(), problem_));
}

void append_unescaped(std::string& out, std::string_view spelled) {
    const auto unit_at = [&](std::size_t i) -> std::int32_t {  // of `\uXXXX` at i, or -1
        if (i + 6 > spelled.size() || spelled[i] != '\\' || spelled[i + 1] != 'u') return -1;
        std::int32_t unit = 0;
        for (std::size_t d = i + 2; d < i + 6; ++d) unit = unit << 4 | hex_digit(spelled[d]);
        return unit;
    };
    const auto put = [&](std::int32_t point) {
        const auto byte = [&](std::int32_t value) { out += static_cast<char>(value); };
        if (point < 0x80) {
            byte(point);
        } else if (point < 0x800) {
            byte(0xC0 | point >> 6);
            byte(0x80 | (point & 0x3F));
        } else if (point < 0x10000) {
            byte(0xE0 | point >> 12);
            byte(0x80 | (point >> 6 & 0x3F));
            byte(0x80 | (point & 0x3F));
        } else {
            byte(0xF0 | point >> 18);
            byte(0x80 | (point >> 12 & 0x3F));
            byte(0x80 | (point >> 6 & 0x3F));
            byte(0x80 | (point & 0x3F));
        }
    };
    for (std::size_t i = 0; i < spelled.size();) {
        const std::size_t plain = std::min(spelled.find('\\', i), spelled.size());
        out.append(spelled, i, plain - i);
        i = plain;
        if (i + 1 >= spelled.size()) break;
        switch (spelled[i + 1]) {
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u': {
                std::int32_t point = unit_at(i);
                i += 6;
                const bool is_high = point >= 0xD800 && point < 0xDC00;
                const std::int32_t low = is_high ? unit_at(i) : -1;
                if (low >= 0xDC00 && low < 0xE000) {
                    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
                    i += 6;
                } else if (point < 0 || (point >= 0xD800 && point < 0xE000)) {
                    point = 0xFFFD;
                }
                put(point);
                continue;
            }
            default: out += spelled[i + 1];
        }
        i += 2;
    }
}

}  // namespace entrepot::json
