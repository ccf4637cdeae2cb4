#include "json/cursor.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstring>

namespace entrepot::json {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

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

namespace {

/// The unit of `\uXXXX` at `i`, or -1.
std::int32_t unit_at(std::string_view spelled, std::size_t i) {
    if (i + 6 > spelled.size() || spelled[i] != '\\' || spelled[i + 1] != 'u') return -1;
    std::int32_t unit = 0;
    for (std::size_t d = i + 2; d < i + 6; ++d) unit = unit << 4 | hex_digit(spelled[d]);
    return unit;
}

char* put_utf8(std::int32_t point, char* out) {
    const auto byte = [&](std::int32_t value) { *out++ = static_cast<char>(value); };
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
    return out;
}

/// Writes the text to `out`, which never needs more room than its spelling: the end of it. Sets
/// `is_whole` to false where half a surrogate pair had to become U+FFFD.
char* write_unescaped(std::string_view spelled, char* out, bool& is_whole) {
    for (std::size_t i = 0; i < spelled.size();) {
        const std::size_t plain = std::min(spelled.find('\\', i), spelled.size());
        std::memcpy(out, spelled.data() + i, plain - i);
        out += plain - i;
        i = plain;
        if (i + 1 >= spelled.size()) break;
        switch (spelled[i + 1]) {
            case 'b': *out++ = '\b'; break;
            case 'f': *out++ = '\f'; break;
            case 'n': *out++ = '\n'; break;
            case 'r': *out++ = '\r'; break;
            case 't': *out++ = '\t'; break;
            case 'u': {
                std::int32_t point = unit_at(spelled, i);
                i += 6;
                const bool is_high = point >= 0xD800 && point < 0xDC00;
                const std::int32_t low = is_high ? unit_at(spelled, i) : -1;
                if (low >= 0xDC00 && low < 0xE000) {
                    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
                    i += 6;
                } else if (point < 0 || (point >= 0xD800 && point < 0xE000)) {
                    point = 0xFFFD;
                    is_whole = false;
                }
                out = put_utf8(point, out);
                continue;
            }
            default: *out++ = spelled[i + 1];
        }
        i += 2;
    }
    return out;
}

}  // namespace

std::optional<std::size_t> unescape(std::string_view spelled, char* out) {
    bool is_whole = true;
    const char* const end = write_unescaped(spelled, out, is_whole);
    if (!is_whole) return std::nullopt;
    return static_cast<std::size_t>(end - out);
}

void append_unescaped(std::string& out, std::string_view spelled) {
    const std::size_t before = out.size();
    bool is_whole = true;
    out.resize_and_overwrite(before + spelled.size(), [&](char* data, std::size_t) {
        return static_cast<std::size_t>(write_unescaped(spelled, data + before, is_whole) - data);
    });
}

}  // namespace entrepot::json
