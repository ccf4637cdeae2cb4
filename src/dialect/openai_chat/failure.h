#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {

/// OpenAI's word for a stop reason, and back. Unknown words are kOther; Together's `eos` is a stop.
[[nodiscard]] std::string_view finish_reason_word(canon::StopReason reason);
[[nodiscard]] canon::StopReason stop_reason_of(std::string_view word);
/// Why a choice stopped whose reply is complete and does not say: clients are owed a reason.
[[nodiscard]] constexpr canon::StopReason unstated_reason(bool has_calls) {
    return has_calls ? canon::StopReason::kToolCalls : canon::StopReason::kStop;
}

/// A supplier's error answer. Reads every shape of `error` in use: an object, a text, `detail`,
/// Mistral's flat object, xAI's `{"code","error"}`; an unreadable body gives a general failure.
[[nodiscard]] canon::Failure decode_failure(
    int status, std::span<const Header> headers, std::string_view body);

/// The failure that an object with an error inside states (a reply, a stream event), or nothing
/// when it states none. `status` is what to assume when the error names no HTTP status itself.
[[nodiscard]] std::optional<canon::Failure> failure_in(const json::Value& body, int status);

/// `{"error":{"message","type","param","code"}}` with OpenAI's own types and codes.
[[nodiscard]] std::string encode_failure(const canon::Failure& failure);

/// Dialect::adopt_failure.
void adopt_failure(canon::Failure& failure);

}  // namespace entrepot::dialect::openai_chat
