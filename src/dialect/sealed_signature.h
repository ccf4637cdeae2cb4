#pragma once

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "canon/request.h"

namespace entrepot::dialect {

// A signature whose maker speaks another dialect than the client can still come back in the next
// turn: inside a field that the client's dialect hands back unread (the `encrypted_content` of
// OpenAI's Responses, the `signature` of Anthropic's and AWS's thoughts). The text names its
// origin, so that no other maker is ever shown it. `epot1:origin:t:5:call1data`: t of a thought
// with text, r of one without, p of another part (a call names itself, with its length before it;
// otherwise it is the part before), e of an empty text.

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

/// What another maker signed and a dialect has no place for is shown to its client as a block of
/// its own. The signature returns to the call that it names, or to what stands before it in the
/// turn. False: the block is no such, and a thought of its own.
[[nodiscard]] inline bool put_back(
    std::optional<Sealed> sealed, std::uint32_t turn, std::vector<canon::Item>& items) {
    if (!sealed || sealed->of == Sealed::Of::kRedacted) return false;
    if (sealed->of != Sealed::Of::kPart) {
        const bool is_thought = sealed->of == Sealed::Of::kThought;
        canon::Item item{.role = canon::Role::kAssistant, .turn = turn};
        if (is_thought) {
            item.body = canon::Thought{};
        } else {
            item.body = canon::Text{};
        }
        item.signature = std::move(sealed->signature);
        items.push_back(std::move(item));
        return true;
    }
    for (canon::Item& item : std::views::reverse(items)) {
        if (item.turn != turn) break;
        const auto* call = std::get_if<canon::ToolCall>(&item.body);
        const bool is_it = sealed->call_id.empty() ? call == nullptr
                                                   : call != nullptr && call->id == sealed->call_id;
        if (!is_it) continue;
        item.signature = std::move(sealed->signature);
        return true;
    }
    return true;  // what it signed was left out by the client, so it proves nothing
}

/// Whether a body may hold sealed signatures, as they are or in base64: its maker would take them
/// for its own, and refuse them.
[[nodiscard]] inline bool may_hold_sealed(std::string_view body) {
    return body.find("epot1:") != body.npos || body.find("ZXBvdDE6") != body.npos;
}

}  // namespace entrepot::dialect
