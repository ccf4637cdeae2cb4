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
    Writer& key(std::string_view name);
    Writer& string(std::string_view text);
    Writer& number(std::int64_t value);
    Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
    Writer& null() { return raw("null"); }
    /// A value that is JSON already.
    Writer& raw(std::string_view json);

    Writer& member(std::string_view name, std::string_view text) { return key(name).string(text); }
    Writer& member(std::string_view name, const char* text) { return key(name).string(text); }
    Writer& member(std::string_view name, std::int64_t value) { return key(name).number(value); }
    Writer& member_bool(std::string_view name, bool value) { return key(name).boolean(value); }
    Writer& member_raw(std::string_view name, std::string_view json) { return key(name).raw(json); }
    Writer& member_null(std::string_view name) { return key(name).null(); }

private:
    // Out of line: inlined into long chains of members, g++ 12 needs gigabytes to optimise them.
    Writer& open(char bracket);
    Writer& close(char bracket);
    bool needs_comma();
    void comma();
    void put(std::string_view text, char behind);  // NUL: nothing stands behind it
    void put_slowly(std::string_view text, char behind);

    std::string& out_;
    std::uint64_t has_items_ = 0;  // bit d: something was written at depth d
    unsigned depth_ = 0;
    bool after_key_ = false;
};

}  // namespace entrepot::json
