#include "json/writer.h"

#include <fmt/format.h>

namespace entrepot::json {

void append_quoted(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    std::size_t plain = 0;  // start of the run not yet copied
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') [[likely]]
            continue;
        out.append(text, plain, i - plain);
        plain = i + 1;
        switch (c) {
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
    out.append(text, plain);
    out += '"';
}

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

Writer& Writer::key(std::string_view name) {
    comma();
    append_quoted(out_, name);
    out_ += ':';
    after_key_ = true;
    return *this;
}

Writer& Writer::string(std::string_view text) {
    comma();
    append_quoted(out_, text);
    return *this;
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

void Writer::comma() {
    if (after_key_) {
        after_key_ = false;
        return;
    }
    const std::uint64_t bit = std::uint64_t{1} << depth_;
    if ((has_items_ & bit) != 0) out_ += ',';
    has_items_ |= bit;
}

Writer& Writer::number(std::int64_t value) {
    const fmt::format_int text(value);
    return raw({text.data(), text.size()});
}

}  // namespace entrepot::json
