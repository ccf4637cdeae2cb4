#include "json/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "json/special.h"

namespace entrepot::json {
namespace {

constexpr std::size_t kShort = 60;
constexpr char kNothing = '\0';

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    // One growth for a long text and what closes the document behind it.
    if (const std::size_t needed = out.size() + text.size() + 2; needed > out.capacity())
        out.reserve(std::max(needed + text.size() / 16 + 64, 2 * out.capacity()));
    out += '"';
    const char* plain = text.data();  // start of the run not yet copied
    const char* const end = plain + text.size();
    bool has_high_bytes = false;  // they pass as they are
    for (;;) {
        const char* const at = find_special(plain, end, has_high_bytes);
        out.append(plain, at);
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
    bool has_high_bytes = false;
    const char* const end = text.data() + text.size();
    if (text.size() > kShort || find_special(text.data(), end, has_high_bytes) != end)
        [[unlikely]] {
        comma();
        append_quoted(out_, text);
        if (behind != kNothing) out_ += behind;
        return;
    }
    // In one piece: a reply has dozens of keys and words, and little else.
    char piece[kShort + 4];
    char* at = piece;
    if (needs_comma()) *at++ = ',';
    *at++ = '"';
    std::memcpy(at, text.data(), text.size());
    at += text.size();
    *at++ = '"';
    if (behind != kNothing) *at++ = behind;
    out_.append(piece, static_cast<std::size_t>(at - piece));
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
