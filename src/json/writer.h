#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::json {

/// Appends `text` to `out` as a JSON string with its quotes. Bytes of 0x80 and above pass as they
/// are (UTF-8).
void append_quoted(std::string& out, std::string_view text);
[[nodiscard]] std::string quoted(std::string_view text);

/// Writes JSON onto the end of a string; commas and colons are its business. Nesting up to 64.
class Writer {
public:
    explicit Writer(std::string& out) : out_(out) {}

    Writer& begin_object() { return open('{'); }
    Writer& end_object() { return close('}'); }
    Writer& begin_array() { return open('['); }
    Writer& end_array() { return close(']'); }
    Writer& key(std::string_view name) {
        comma();
        append_quoted(out_, name);
        out_ += ':';
        after_key_ = true;
        return *this;
    }
    Writer& string(std::string_view text) {
        comma();
        append_quoted(out_, text);
        return *this;
    }
    Writer& number(std::int64_t value);
    Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
    Writer& null() { return raw("null"); }
    /// A value that is JSON already.
    Writer& raw(std::string_view json) {
        comma();
        out_ += json;
        return *this;
    }

    Writer& member(std::string_view name, std::string_view text) { return key(name).string(text); }
    Writer& member(std::string_view name, const char* text) { return key(name).string(text); }
    Writer& member(std::string_view name, std::int64_t value) { return key(name).number(value); }
    Writer& member_bool(std::string_view name, bool value) { return key(name).boolean(value); }
    Writer& member_raw(std::string_view name, std::string_view json) { return key(name).raw(json); }
    Writer& member_null(std::string_view name) { return key(name).null(); }

private:
    Writer& open(char bracket) {
        comma();
        out_ += bracket;
        ++depth_;
        has_items_ &= ~(std::uint64_t{1} << depth_);
        return *this;
    }
    Writer& close(char bracket) {
        --depth_;
        out_ += bracket;
        return *this;
    }
    void comma() {
        if (after_key_) {
            after_key_ = false;
            return;
        }
        const std::uint64_t bit = std::uint64_t{1} << depth_;
        if ((has_items_ & bit) != 0) out_ += ',';
        has_items_ |= bit;
    }

    std::string& out_;
    std::uint64_t has_items_ = 0;  // bit d: something was written at depth d
    unsigned depth_ = 0;
    bool after_key_ = false;
};

}  // namespace entrepot::json
