#include "json/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "json/special.h"

namespace entrepot::json {
namespace {

constexpr std::size_t kShort = 60;
constexpr char kNothing = '\0';

template <typename Word>
Word load(const char* at) {
    Word word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

/// Copies a short text and says whether every byte of it may stand in a JSON string as it is. Whole
/// words, the last one over the one before: a call of `memcpy` costs more than the copy.
bool copy_plain(char* to, std::string_view text) {
    const char* const from = text.data();
    const std::size_t size = text.size();
    if (size >= 8) {
        std::uint64_t found = 0;
        const auto copy = [&](std::size_t at) {
            const auto word = load<std::uint64_t>(from + at);
            found |= specials_in(word);
            std::memcpy(to + at, &word, sizeof word);
        };
        for (std::size_t at = 0; at + 8 < size; at += 8) copy(at);
        copy(size - 8);
        return found == 0;
    }
    if (size >= 4) {
        const auto first = load<std::uint32_t>(from);
        const auto last = load<std::uint32_t>(from + size - 4);
        std::memcpy(to, &first, sizeof first);
        std::memcpy(to + size - 4, &last, sizeof last);
        return specials_in(first | std::uint64_t{last} << 32) == 0;
    }
    for (std::size_t i = 0; i < size; ++i) {
        if (is_special(from[i])) return false;
        to[i] = from[i];
    }
    return true;
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    // One growth for a long text and what closes the document behind it.
    if (const std::size_t needed = out.size() + text.size() + 2; needed > out.capacity())
        out.reserve(std::max(needed + text.size() / 16 + 64, 2 * out.capacity()));
    out += '"';
    const char* plain = text.data();  // start of the run not yet copied
    const char* const end = plain + text.size();
    for (;;) {
        const char* at = plain;
        const std::size_t before = out.size();
        out.resize_and_overwrite(
            before + static_cast<std::size_t>(end - plain), [&](char* bytes, std::size_t) {
                at = copy_to_special(bytes + before, plain, end);
                return before + static_cast<std::size_t>(at - plain);
            });
        if (at == end) break;
        plain = at + 1;
        switch (const auto c = static_cast<unsigned char>(*at)) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            case '\b': out += "\\b"; break;
            case '\f': out += "\\f"; break;
            default: out += {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
        }
    }
    out += '"';
}

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

inline bool Writer::needs_comma() {
    if (after_key_) {
        after_key_ = false;
        return false;
    }
    const std::uint64_t bit = std::uint64_t{1} << depth_;
    const bool has_items = (has_items_ & bit) != 0;
    has_items_ |= bit;
    return has_items;
}

inline void Writer::comma() {
    if (needs_comma()) out_ += ',';
}

Writer& Writer::key(std::string_view name) {
    put(name, ':');
    after_key_ = true;
    return *this;
}

Writer& Writer::string(std::string_view text) {
    put(text, kNothing);
    return *this;
}

void Writer::put(std::string_view text, char behind) {
    if (text.size() > kShort) [[unlikely]]
        return put_slowly(text, behind);
    // In one piece: a reply has dozens of keys and words, and little else.
    const bool has_comma = needs_comma();
    const std::size_t before = out_.size();
    bool is_plain = false;
    out_.resize_and_overwrite(before + text.size() + 4, [&](char* bytes, std::size_t) {
        char* at = bytes + before;
        if (has_comma) *at++ = ',';
        *at++ = '"';
        is_plain = copy_plain(at, text);
        if (!is_plain) return before;
        at += text.size();
        *at++ = '"';
        if (behind != kNothing) *at++ = behind;
        return static_cast<std::size_t>(at - bytes);
    });
    if (is_plain) [[likely]]
        return;
    if (has_comma) out_ += ',';
    append_quoted(out_, text);
    if (behind != kNothing) out_ += behind;
}

void Writer::put_slowly(std::string_view text, char behind) {
    comma();
    append_quoted(out_, text);
    if (behind != kNothing) out_ += behind;
}

Writer& Writer::raw(std::string_view json) {
    comma();
    out_ += json;
    return *this;
}

Writer& Writer::open(char bracket) {
    comma();
    out_ += bracket;
    ++depth_;
    has_items_ &= ~(std::uint64_t{1} << depth_);
    return *this;
}

Writer& Writer::close(char bracket) {
    --depth_;
    out_ += bracket;
    return *this;
}

Writer& Writer::number(std::int64_t value) {
    const fmt::format_int text(value);
    return raw({text.data(), text.size()});
}

}  // namespace entrepot::json
