#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

/// ASCII case-insensitive equality: header names, schemes.
[[nodiscard]] bool equals_ignoring_case_of_one_size(std::string_view a, std::string_view b);
[[nodiscard]] inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && equals_ignoring_case_of_one_size(a, b);
}
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// The candidate closest to `word` by edits (insert, delete, replace, swap), or empty when none is
/// close enough to be worth offering (more than a third of the word's letters, at least two). For
/// "did you mean".
[[nodiscard]] std::string_view nearest(
    std::string_view word, std::span<const std::string> candidates);

/// The text on one line and short enough for a message: control characters escaped, cut after
/// `bytes_max` with an ellipsis, never inside a UTF-8 character.
[[nodiscard]] std::string excerpt(std::string_view text, std::size_t bytes_max = 80);

/// Standard base64 with padding. Decoding is strict: no white space, correct padding; false on any
/// error.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] bool base64_decode(std::string_view text, std::string& out);

/// Percent-encodes everything but the unreserved characters A-Z a-z 0-9 - . _ ~.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// What is no escape stays as it is.
[[nodiscard]] std::string percent_decode(std::string_view text);

[[nodiscard]] std::string hex_encode(std::string_view bytes);

}  // namespace entrepot
