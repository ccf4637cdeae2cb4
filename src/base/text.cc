#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace entrepot {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before2(b.size() + 1), before(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) before[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + differs});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before2[j - 2] + 1);
        }
        std::swap(before2, before);
        std::swap(before, row);
    }
    return before[b.size()];
}

}  // namespace

bool equals_ignoring_case_of_one_size(std::string_view a, std::string_view b) {
    for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
    return true;
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

std::string_view trim(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string_view nearest(std::string_view word, std::span<const std::string> candidates) {
    const std::string wanted = to_lower(word.substr(0, 200));
    std::string_view best;
    std::size_t best_edits = std::max<std::size_t>(2, wanted.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t distance =
            edits(wanted, to_lower(std::string_view(candidate).substr(0, 200)));
        if (distance < best_edits) {
            best_edits = distance;
            best = candidate;
        }
    }
    return best;
}

namespace {

/// How many bytes the character takes that `text` begins with; 0: they are no UTF-8.
std::size_t character_bytes(std::string_view text) {
    const auto at = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto continues = [&](std::size_t i) { return (at(i) & 0xc0) == 0x80; };
    const unsigned first = at(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first < 0xe0 && continues(1)) return 2;
    // Neither longer than need be, nor half of a pair, nor beyond the last.
    if (first >= 0xe0 && first < 0xf0 && continues(1) && continues(2) &&
        !(first == 0xe0 && at(1) < 0xa0) && !(first == 0xed && at(1) >= 0xa0))
        return 3;
    if (first >= 0xf0 && first < 0xf5 && continues(1) && continues(2) && continues(3) &&
        !(first == 0xf0 && at(1) < 0x90) && !(first == 0xf4 && at(1) >= 0x90))
        return 4;
    return 0;
}

}  // namespace

std::string excerpt(std::string_view text, std::size_t bytes_max) {
    std::string out;
    std::size_t used = std::min(text.size(), bytes_max);
    if (used < text.size())
        while (used > 0 && (static_cast<unsigned char>(text[used]) & 0xc0) == 0x80) --used;
    for (std::string_view rest = text.substr(0, used); !rest.empty();) {
        const auto first = static_cast<unsigned char>(rest[0]);
        const std::size_t size = character_bytes(rest);
        if (size == 0 || first < 0x20 || first == 0x7f)
            out += fmt::format("\\x{:02x}", first);
        else
            out += rest.substr(0, size);
        rest.remove_prefix(std::max<std::size_t>(size, 1));
    }
    if (used < text.size()) out += "…";
    return out;
}

std::string base64_encode(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    std::size_t i = 0;
    for (; i + 2 < bytes.size(); i += 3) {
        const std::uint32_t v = std::uint32_t{static_cast<unsigned char>(bytes[i])} << 16 |
            std::uint32_t{static_cast<unsigned char>(bytes[i + 1])} << 8 |
            static_cast<unsigned char>(bytes[i + 2]);
        out += {kBase64[v >> 18], kBase64[v >> 12 & 63], kBase64[v >> 6 & 63], kBase64[v & 63]};
    }
    if (i + 1 == bytes.size()) {
        const std::uint32_t v = std::uint32_t{static_cast<unsigned char>(bytes[i])} << 16;
        out += {kBase64[v >> 18], kBase64[v >> 12 & 63], '=', '='};
    } else if (i + 2 == bytes.size()) {
        const std::uint32_t v = std::uint32_t{static_cast<unsigned char>(bytes[i])} << 16 |
            std::uint32_t{static_cast<unsigned char>(bytes[i + 1])} << 8;
        out += {kBase64[v >> 18], kBase64[v >> 12 & 63], kBase64[v >> 6 & 63], '='};
    }
    return out;
}

bool base64_decode(std::string_view text, std::string& out) {
    static constexpr auto kValues = [] {
        std::array<std::int8_t, 256> values{};
        values.fill(-1);
        for (std::size_t i = 0; i < kBase64.size(); ++i)
            values[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
        return values;
    }();
    out.clear();
    if (text.size() % 4 != 0) return false;
    out.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const bool last = i + 4 == text.size();
        const std::size_t padding =
            last ? (text[i + 3] == '=' ? (text[i + 2] == '=' ? 2u : 1u) : 0u) : 0u;
        std::uint32_t v = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const std::int8_t value = k >= 4 - padding
                ? std::int8_t{0}
                : kValues[static_cast<unsigned char>(text[i + k])];
            if (value < 0) return false;
            v = v << 6 | static_cast<std::uint32_t>(value);
        }
        if ((padding == 2 && (v & 0xffff) != 0) || (padding == 1 && (v & 0xff) != 0)) return false;
        out += static_cast<char>(v >> 16);
        if (padding < 2) out += static_cast<char>(v >> 8);
        if (padding < 1) out += static_cast<char>(v);
    }
    return true;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool unreserved = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved)
            out += c;
        else
            out += {'%', kHex[static_cast<unsigned char>(c) >> 4],
                kHex[static_cast<unsigned char>(c) & 15]};
    }
    return out;
}

std::string percent_decode(std::string_view text) {
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
            digit(text[i + 2]) >= 0) {
            out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string hex_encode(std::string_view bytes) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes)
        out += {kHex[static_cast<unsigned char>(c) >> 4], kHex[static_cast<unsigned char>(c) & 15]};
    return out;
}

}  // namespace entrepot
