#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace entrepot::json {

/// One walk over a JSON text by hand, strict and without building anything: the native lane's eyes,
/// and what `Document` is built with. Against simdjson's on-demand parser it has no first pass over
/// the whole text, which is what a prompt of 64 KB or an event of 300 bytes costs. Accepts what
/// simdjson's accepts (tests and a fuzzer hold the two together).
///
/// A call that meets malformed text fails the cursor: from then on every question answers "no more"
/// and `status()` says where. So a walk needs no checks on the way, one at its end.
class Cursor {
public:
    explicit Cursor(std::string_view text, Numbers numbers = Numbers::kStrict)
        : begin_(text.data()),
          at_(text.data()),
          end_(text.data() + text.size()),
          may_be_padded_(numbers == Numbers::kPadded) {}

    /// The kind of the value that comes next; kNull when the cursor failed.
    [[nodiscard]] Kind peek();
    /// Steps into the object that comes next.
    bool enter_object() { return open('{'); }
    bool enter_array() { return open('['); }
    /// Steps to the next member of the entered object: its value comes next. False behind the last.
    bool next_member();
    /// The last member's key as spelled; `key_has_escapes` tells that it is spelled with any.
    [[nodiscard]] std::string_view key() const { return key_; }
    [[nodiscard]] bool key_has_escapes() const { return key_has_escapes_; }
    /// Steps to the next item of the entered array. False behind the last.
    bool next_item();

    /// Reads the value that comes next, whatever it is: its bytes.
    std::string_view skip();
    /// Reads a string: the bytes between its quotes, as spelled.
    std::string_view string();
    [[nodiscard]] bool string_has_escapes() const { return string_has_escapes_; }
    /// Reads a number, as spelled.
    std::string_view number();
    bool boolean();
    void null();

    /// Whether nothing but white space is left, and all of the text was UTF-8. Fails otherwise.
    bool at_end();
    /// Whether what was read so far is UTF-8.
    [[nodiscard]] bool is_utf8_so_far() const;
    [[nodiscard]] bool has_failed() const { return problem_ != nullptr; }
    /// Errors: kBadRequest with the place.
    [[nodiscard]] Status status() const;
    /// Fails the cursor here, for a reason that outlives it.
    bool refuse(const char* problem) {
        if (problem_ == nullptr) problem_ = problem;
        return false;
    }
    /// Bytes before the cursor.
    [[nodiscard]] std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }
    /// Passes white space; then `offset()` is where the next value begins.
    void pass_space() {
        if (at_ < end_ && *at_ > ' ') return;  // most JSON on the wire has none
        while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }

private:
    static constexpr unsigned kDepthMax = 200;  // as Document::parse

    bool open(char bracket);
    std::string_view quoted();
    std::string_view quoted_slowly();
    bool word(std::string_view text);
    const char* pass_escape(const char* backslash);

    const char* begin_;
    const char* at_;
    const char* end_;
    const char* problem_ = nullptr;
    std::string_view key_;
    unsigned depth_ = 0;
    bool key_has_escapes_ = false;
    bool string_has_escapes_ = false;
    bool after_value_ = false;  // in a container, a value stands before the cursor
    bool may_be_padded_ = false;
    bool has_high_bytes_ = false;
};

/// Appends the text that `spelled` (the inside of a string a cursor accepted) stands for. Half a
/// surrogate pair becomes U+FFFD.
void append_unescaped(std::string& out, std::string_view spelled);
/// The same into `out`, which has room for `spelled.size()` bytes: how many the text has. Nothing:
/// half a surrogate pair is in it, which no text can hold.
[[nodiscard]] std::optional<std::size_t> unescape(std::string_view spelled, char* out);

}  // namespace entrepot::json

#include "json/cursor_inline.h"  // IWYU pragma: export
