#include "canon/vectors.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/text.h"

namespace entrepot::canon {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are little-endian on the wire");

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

void skip_space(std::string_view& text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
}

}  // namespace

std::optional<std::string> base64_of_numbers(std::string_view array) {
    skip_space(array);
    if (!array.starts_with('[')) return std::nullopt;
    array.remove_prefix(1);
    std::string bytes;
    bytes.reserve(array.size() / 2);
    skip_space(array);
    while (!array.starts_with(']')) {
        float number = 0;
        const auto [end, error] =
            std::from_chars(array.data(), array.data() + array.size(), number);
        if (error == std::errc::invalid_argument || !std::isfinite(number)) return std::nullopt;
        if (error == std::errc::result_out_of_range) {
            // Too small for float32 is nothing; too large is no number that it has.
            double wide = 0;
            const bool is_tiny =
                std::from_chars(array.data(), end, wide).ec == std::errc() && std::abs(wide) < 1;
            if (!is_tiny) return std::nullopt;
            number = 0;
        }
        array.remove_prefix(static_cast<std::size_t>(end - array.data()));
        const auto raw = std::bit_cast<std::array<char, sizeof number>>(number);
        bytes.append(raw.data(), raw.size());
        skip_space(array);
        if (array.starts_with(',')) {
            array.remove_prefix(1);
            skip_space(array);
            if (array.starts_with(']')) return std::nullopt;
        } else if (!array.starts_with(']')) {
            return std::nullopt;
        }
    }
    return base64_encode(bytes);
}

std::optional<std::string> numbers_of_base64(std::string_view base64) {
    std::string bytes;
    if (!base64_decode(base64, bytes) || bytes.size() % sizeof(float) != 0) return std::nullopt;
    std::string out = "[";
    out.reserve(bytes.size() * 3);
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
        float number = 0;
        std::memcpy(&number, bytes.data() + at, sizeof number);
        // Not so large where it is one: these are bytes of some other kind (a server's own int8).
        if (!(std::abs(number) < 1e6F)) return std::nullopt;
        std::array<char, 32> text;
        const auto written = std::to_chars(text.data(), text.data() + text.size(), number);
        if (at > 0) out += ',';
        out.append(text.data(), written.ptr);
    }
    out += ']';
    return out;
}

std::optional<std::string> as_numbers(const Vector& vector) {
    if (vector.form != VectorForm::kBase64) return vector.numbers;
    return numbers_of_base64(vector.numbers);
}

std::optional<std::string> as_base64(const Vector& vector) {
    if (vector.form == VectorForm::kBase64) return vector.numbers;
    return base64_of_numbers(vector.numbers);
}

}  // namespace entrepot::canon
