#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <span>

#include "base/text.h"
#include "dialect/dialect.h"

namespace entrepot::dialect {

/// The seconds that a supplier's `retry-after` states, where it states seconds.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> retry_after_seconds(
    std::span<const Header> headers) {
    constexpr std::int64_t kSecondsMax = 86'400;  // who asks for longer is out of use anyway
    std::optional<std::chrono::milliseconds> wait;
    for (const Header& header : headers) {
        if (!equals_ignoring_case(header.name, "retry-after")) continue;
        std::int64_t seconds = 0;
        const std::string_view text = trim(header.value);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (error == std::errc() && seconds >= 0)
            wait = std::chrono::milliseconds(std::min(seconds, kSecondsMax) * 1000);
    }
    return wait;
}

}  // namespace entrepot::dialect
