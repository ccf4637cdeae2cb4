#include "base/ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace entrepot {

ExchangeId ExchangeId::make(Instant now, std::array<std::uint64_t, 2> random) {
    ExchangeId id;
    const auto ms = static_cast<std::uint64_t>(now.ns / 1'000'000);
    for (std::size_t i = 0; i < 6; ++i)
        id.bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
    for (std::size_t i = 0; i < 8; ++i)
        id.bytes[8 + i] = static_cast<std::uint8_t>(random[0] >> (8 * i));
    id.bytes[6] = static_cast<std::uint8_t>(0x70 | (random[1] & 0x0f));
    id.bytes[7] = static_cast<std::uint8_t>(random[1] >> 8);
    id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

Result<ExchangeId> ExchangeId::parse(std::string_view text) {
    const auto bad = [&] {
        return fail(
            ErrorCode::kInvalidField, fmt::format("'{}' is not an exchange id (a UUID)", text));
    };
    if (text.size() != 36) return bad();
    ExchangeId id;
    std::size_t nibble = 0;
    for (std::size_t i = 0; i < 36; ++i) {
        const char c = text[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return bad();
            continue;
        }
        int value = 0;
        if (c >= '0' && c <= '9')
            value = c - '0';
        else if (c >= 'a' && c <= 'f')
            value = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            value = c - 'A' + 10;
        else
            return bad();
        id.bytes[nibble / 2] = static_cast<std::uint8_t>(id.bytes[nibble / 2] << 4 | value);
        ++nibble;
    }
    return id;
}

void ExchangeId::write(char* out) const {
    static constexpr auto kPairs = [] {
        constexpr char kHex[] = "0123456789abcdef";
        std::array<char, 512> pairs{};
        for (std::size_t i = 0; i < 256; ++i) {
            pairs[2 * i] = kHex[i >> 4];
            pairs[2 * i + 1] = kHex[i & 15];
        }
        return pairs;
    }();
    constexpr std::array<std::uint8_t, 16> kPlaces{
        0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    for (std::size_t i = 0; i < 16; ++i)
        std::memcpy(out + kPlaces[i], kPairs.data() + std::size_t{2} * bytes[i], 2);
    out[8] = out[13] = out[18] = out[23] = '-';
}

std::string ExchangeId::to_string() const {
    std::string text(36, '\0');
    write(text.data());
    return text;
}

Instant ExchangeId::time() const {
    std::uint64_t ms = 0;
    for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | bytes[i];
    // An id that we did not make may name a time beyond 2262, where nanoseconds leave 63 bits.
    constexpr std::int64_t kMsMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;
    return {std::min(static_cast<std::int64_t>(ms), kMsMax) * 1'000'000};
}

}  // namespace entrepot
