#pragma once

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "canon/request.h"

namespace entrepot::dialect {

// A signature whose maker speaks another dialect than the client can still come back in the next
// turn: inside a field that the client's dialect hands back unread (the `encrypted_content` of
// OpenAI's Responses). The text names its origin, so that no other maker is ever shown it.
// `epot1:origin:t:5:call1data`: t of a thought with text, r of one without, p of another part (a
// call names itself, with its length before it; otherwise it is the part before), e of an empty
// text.

struct Sealed {
    enum class Of : std::uint8_t { kThought, kRedacted, kPart, kEmptyText };
    canon::Signature signature;
    Of of = Of::kThought;
    std::string call_id;  ///< kPart: the call that it signs; empty: what stands before it
    friend bool operator==(const Sealed&, const Sealed&) = default;
};

[[nodiscard]] inline std::string seal(const Sealed& sealed) {
    return fmt::format("epot1:{}:{}:{}:{}{}", sealed.signature.origin,
        "trpe"[static_cast<std::size_t>(sealed.of)], sealed.call_id.size(), sealed.call_id,
        sealed.signature.data);
}

/// Nothing when the text was not sealed here.
[[nodiscard]] inline std::optional<Sealed> unseal(std::string_view text) {
    constexpr std::string_view kMark = "epot1:";
    if (!text.starts_with(kMark)) return std::nullopt;
    text.remove_prefix(kMark.size());
    Sealed sealed;
    const std::size_t end = text.find(':');
    if (end == 0 || end == text.npos || text.size() < end + 4 || text[end + 2] != ':')
        return std::nullopt;
    sealed.signature.origin = text.substr(0, end);
    const std::size_t kind = std::string_view("trpe").find(text[end + 1]);
    if (kind == std::string_view::npos) return std::nullopt;
    sealed.of = static_cast<Sealed::Of>(kind);
    text.remove_prefix(end + 3);
    std::size_t length = 0;
    const auto [at, code] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (code != std::errc() || at == text.data() + text.size() || *at != ':') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(at - text.data()) + 1);
    if (length > text.size()) return std::nullopt;
    sealed.call_id = text.substr(0, length);
    sealed.signature.data = text.substr(length);
    return sealed;
}

}  // namespace entrepot::dialect
