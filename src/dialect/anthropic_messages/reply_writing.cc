#include "dialect/anthropic_messages/reply_writing.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "dialect/anthropic_messages/decode_reply.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/losses.h"
#include "dialect/sealed_signature.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::PartKind;
using canon::StopReason;

std::string_view word_of(StopReason reason) {
    switch (reason) {
        case StopReason::kStop:
        case StopReason::kOther: return "end_turn";
        case StopReason::kStopSequence: return "stop_sequence";
        case StopReason::kLength: return "max_tokens";
        case StopReason::kToolCalls:
        case StopReason::kMalformed: return "tool_use";
        case StopReason::kContentFilter:
        case StopReason::kRefusal: return "refusal";
        case StopReason::kPause: return "pause_turn";
        case StopReason::kContextExceeded: return "model_context_window_exceeded";
    }
    return "end_turn";
}

bool is_id_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
        c == '-';
}

bool is_own(const canon::PartStarted& part) { return part.opaque && part.opaque->origin == kName; }

}  // namespace

bool is_text(PartKind kind) { return kind == PartKind::kText || kind == PartKind::kRefusal; }

std::string legal_call_id(std::string_view id, std::string_view fallback) {
    if (!id.empty() && std::ranges::all_of(id, is_id_char)) return std::string(id);
    std::uint64_t hash = 14695981039346656037U;  // FNV-1a
    for (const char c : id.empty() ? fallback : id)
        hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211U;
    return fmt::format("toolu_{:016x}", hash);
}

bool ReplyWriting::is_of_other_choice(const canon::Event& event) {
    const bool is_other = std::visit(
        [](const auto& e) {
            if constexpr (requires { std::uint32_t{e.choice}; }) {
                return e.choice != 0;
            } else if constexpr (requires { e.choice.has_value(); }) {
                return e.choice.value_or(0) != 0;
            } else {
                return false;
            }
        },
        event);
    if (is_other) drop("choices");
    return is_other;
}

void ReplyWriting::write_envelope_head(json::Writer& writer, const canon::Started& started) const {
    writer.member("id", started.id.empty() ? context_.id : started.id);
    writer.member("type", "message");
    writer.member("role", "assistant");
    writer.member("model", context_.model.empty() ? started.model : context_.model);
}

void ReplyWriting::write_stop(
    json::Writer& writer, const std::optional<canon::Finished>& finished) {
    if (!finished) {
        writer.member_null("stop_reason").member_null("stop_sequence");
        return;
    }
    // A reason with several words keeps the one that its supplier used, if that is of this dialect.
    const bool is_known = finished->reason != StopReason::kOther &&
        stop_reason_of(finished->raw_reason) == finished->reason;
    writer.member("stop_reason",
        is_known ? std::string_view(finished->raw_reason) : word_of(finished->reason));
    if (finished->stop_sequence.empty()) {
        writer.member_null("stop_sequence");
    } else {
        writer.member("stop_sequence", finished->stop_sequence);
    }
}

canon::Finished ReplyWriting::ending(
    const std::optional<canon::Finished>& finished, bool has_calls) {
    // Clients answer `tool_use` with results, which must be of calls.
    const bool is_malformed = finished && finished->reason == StopReason::kMalformed;
    if (is_malformed && !has_calls) return {.choice = finished->choice};
    if (finished) return *finished;
    return {.reason = has_calls ? StopReason::kToolCalls : StopReason::kStop};
}

void ReplyWriting::write_call_head(json::Writer& writer, const canon::PartStarted& part) const {
    writer.member("type", "tool_use");
    writer.member("id", call_id_of(part));
    writer.member("name", part.name);
}

void ReplyWriting::write_riders(json::Writer& writer, const canon::PartStarted& part) {
    if (!is_own(part)) {
        name_riders(part, [&](std::string_view name) { drop(name); });
        return;
    }
    if (const auto riders = json::Document::parse(part.opaque->json))
        for (const json::Member& member : riders->root().members())
            writer.member_raw(member.key, member.value.raw());
}

std::string ReplyWriting::proof_of(
    const std::optional<canon::Signature>& signature, bool is_redacted) {
    if (!signature)
        return is_redacted ? std::string()
                           : seal({{std::string(kNobody), {}}, Sealed::Of::kThought, {}});
    if (signature->origin == kName) return signature->data;
    return seal({*signature, is_redacted ? Sealed::Of::kRedacted : Sealed::Of::kThought, {}});
}

std::string ReplyWriting::proof_behind(const canon::PartStarted& part, bool has_block,
    const std::optional<canon::Signature>& signature) {
    if (!signature || part.kind == PartKind::kThought) return {};
    const bool is_call = part.kind == PartKind::kToolCall;
    if (signature->origin == kName || (!is_call && !is_text(part.kind))) {
        drop("signature");
        return {};
    }
    if (!has_block) return seal({*signature, Sealed::Of::kEmptyText, {}});
    return seal({*signature, Sealed::Of::kPart, is_call ? call_id_of(part) : std::string()});
}

std::string ReplyWriting::call_id_of(const canon::PartStarted& part) const {
    return legal_call_id(part.call_id, fmt::format("{} {}", id_, part.part));
}

const std::string* ReplyWriting::own_block(const canon::PartStarted& part) {
    if (is_own(part)) return &part.opaque->json;
    drop(part.opaque ? part.opaque->kind : "opaque");
    return nullptr;
}

bool ReplyWriting::keep_in_envelope(const canon::Aside& aside) {
    if (aside.origin != kName) return false;
    // What is said of the usage stands in the usage as it was stated.
    if (aside.key.starts_with("usage.")) return true;
    if (aside.key != "stop_details" && aside.key != "container" &&
        aside.key != "context_management")
        return false;
    envelope_.emplace_back(aside.key, aside.json);
    return true;
}

}  // namespace entrepot::dialect::anthropic_messages
