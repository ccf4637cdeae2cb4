#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "canon/embed.h"

namespace entrepot::canon {

/// A JSON array of numbers as float32, little-endian, in base64; nothing for what is none.
[[nodiscard]] std::optional<std::string> base64_of_numbers(std::string_view array);
/// The other way; each number in the fewest digits that read back as itself. Nothing for what is
/// no base64 of whole, finite float32s.
[[nodiscard]] std::optional<std::string> numbers_of_base64(std::string_view base64);

/// The vector's numbers as a JSON array, or as base64 text without quotes; nothing where the one
/// cannot be made of the other.
[[nodiscard]] std::optional<std::string> as_numbers(const Vector& vector);
[[nodiscard]] std::optional<std::string> as_base64(const Vector& vector);

}  // namespace entrepot::canon
