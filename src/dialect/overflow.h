#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "canon/reply.h"

// A prompt beyond the model's window. Every supplier says it in words of its own, mostly under a
// code that says nothing; clients that shorten their history and ask again know it by the words of
// the dialect they were written for.
namespace entrepot::dialect {

/// Whether a refusal of the request (400, 413, 422) is about its length in tokens.
[[nodiscard]] inline bool says_overflow(std::string_view message) {
    constexpr std::array<std::string_view, 17> kWords{"context length", "context window",
        "context limit", "context size", "maximum number of tokens", "maximum prompt length",
        "prompt is too long", "prompt too long", "input is too long", "too many tokens",
        "too many input tokens", "input tokens exceed", "input token count",
        "number of input tokens", "tokens_limit_reached", "exceeds the token limit",
        "longer than the model's context"};
    const std::string text = to_lower(message);
    return std::ranges::any_of(
        kWords, [&](std::string_view words) { return text.find(words) != std::string::npos; });
}

struct Overflow {
    std::int64_t prompt_tokens = 0;
    std::int64_t tokens_max = 0;
};

/// How far the prompt is beyond the window, where the supplier's words say both counts.
[[nodiscard]] inline std::optional<Overflow> overflow_in(std::string_view message) {
    constexpr std::int64_t kTokensMin = 128;  // smaller numbers are places in the request
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-';
    };
    std::int64_t first = 0, second = 0, sum = 0;  // the two largest; `a + b` of `a + b > c`
    std::int64_t before = 0;                      // the number that a plus sign follows
    for (std::size_t i = 0; i < message.size();) {
        if (message[i] < '0' || message[i] > '9' || (i > 0 && is_word(message[i - 1]))) {
            ++i;
            continue;
        }
        std::int64_t value = 0;
        std::size_t digits = 0;
        for (; i < message.size() && digits < 12; ++i) {
            const bool groups = message[i] == ',' && i + 1 < message.size() &&
                message[i + 1] >= '0' && message[i + 1] <= '9';
            if (groups) continue;
            if (message[i] < '0' || message[i] > '9') break;
            value = value * 10 + (message[i] - '0');
            ++digits;
        }
        if (i < message.size() && is_word(message[i])) continue;
        if (before > 0) sum = before + value;
        before = message.substr(i).starts_with(" + ") ? value : 0;
        if (value < kTokensMin || value == first || value == second) continue;
        if (value > first) {
            second = first;
            first = value;
        } else if (value > second) {
            second = value;
        }
    }
    if (sum > first && first > 0) return Overflow{sum, first};
    if (second == 0) return std::nullopt;
    return Overflow{first, second};
}

/// The supplier's kind of failure, refined by its words.
[[nodiscard]] inline canon::FailureKind refined_by_words(
    canon::FailureKind kind, std::string_view message) {
    const bool is_about_request =
        kind == canon::FailureKind::kInvalidRequest || kind == canon::FailureKind::kTooLarge;
    return is_about_request && says_overflow(message) ? canon::FailureKind::kContextExceeded : kind;
}

}  // namespace entrepot::dialect
