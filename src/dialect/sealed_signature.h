#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
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

inline constexpr std::string_view kSealMark = "epot1:";
/// Stands in the ids of items that another dialect gave none (`rs_epot_...`): no supplier knows
/// them.
inline constexpr std::string_view kMadeIdMark = "_epot_";
/// The maker of a thought that nobody signed: its seal keeps it apart from what the suppliers of
/// the client's dialect signed, who take back nothing else.
inline constexpr std::string_view kNobody = "none";

/// How many parts are looked at for the one that a proof signs.
inline constexpr std::size_t kProofNearMax = 64;

[[nodiscard]] inline std::string seal(const Sealed& sealed) {
    return fmt::format("{}{}:{}:{}:{}{}", kSealMark, sealed.signature.origin,
        "trpe"[static_cast<std::size_t>(sealed.of)], sealed.call_id.size(), sealed.call_id,
        sealed.signature.data);
}

/// Nothing when the text was not sealed here.
[[nodiscard]] inline std::optional<Sealed> unseal(std::string_view text) {
    if (!text.starts_with(kSealMark)) return std::nullopt;
    text.remove_prefix(kSealMark.size());
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

/// The proof that a client hands back: sealed here, which `holds_sealed` is told
/// (canon::Request::holds_sealed), or its own dialect's (`own`). Nothing for the seal of a thought
/// that nobody signed.
[[nodiscard]] inline std::optional<canon::Signature> proof_in(
    std::string_view data, std::string_view own, bool& holds_sealed) {
    auto sealed = unseal(data);
    if (!sealed) return canon::Signature{std::string(own), std::string(data)};
    holds_sealed = true;
    if (sealed->signature.origin == kNobody) return std::nullopt;
    return std::move(sealed->signature);
}

/// What another maker signed and the client's dialect has no place for was shown to the client as a
/// block of its own: the signature returns to the call of the turn that it names, or to what stands
/// before it. What it signed may have been left out by the client: then it proves nothing. A proof
/// is shown behind what it signs, with calls made beside each other between them at most, so that
/// it is looked for there and not in all of a turn.
inline void put_back(Sealed sealed, std::uint32_t turn, std::vector<canon::Item>& items) {
    if (sealed.of != Sealed::Of::kPart) {
        canon::Item item{.role = canon::Role::kAssistant, .turn = turn};
        if (sealed.of == Sealed::Of::kEmptyText)
            item.body = canon::Text{};
        else
            item.body = canon::Thought{.is_redacted = sealed.of == Sealed::Of::kRedacted};
        item.signature = std::move(sealed.signature);
        items.push_back(std::move(item));
        return;
    }
    const std::size_t first = items.size() - std::min(items.size(), kProofNearMax);
    for (std::size_t i = items.size(); i-- > first && items[i].turn == turn;) {
        const auto* call = std::get_if<canon::ToolCall>(&items[i].body);
        const bool is_it = sealed.call_id.empty() ? call == nullptr
                                                  : call != nullptr && call->id == sealed.call_id;
        if (!is_it) continue;
        items[i].signature = std::move(sealed.signature);
        return;
    }
}

}  // namespace entrepot::dialect
