#pragma once

#include <span>
#include <string>
#include <string_view>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {

/// A supplier's error answer. Reads OpenAI's object, xAI's `{"code","error"}` and bare texts; an
/// unreadable body gives a general failure.
[[nodiscard]] canon::Failure decode_failure(
    int status, std::span<const Header> headers, std::string_view body);

/// The failure that an error inside a reply states: the `error` of a response or of an `error`
/// event, or such an event itself when it holds the words. `status` is what to assume when neither
/// code nor type says it.
[[nodiscard]] canon::Failure failure_of(const json::Value& error, int status);

/// `{"error":{"message","type","param","code"}}` with OpenAI's own types and codes.
[[nodiscard]] std::string encode_failure(const canon::Failure& failure);

/// Dialect::adopt_failure.
void adopt_failure(canon::Failure& failure);

/// The code that a failed response states. Coding agents decide by it whether to compact, to wait
/// or to give up, so it is the kind that decides, not another supplier's word.
[[nodiscard]] std::string_view response_error_code(const canon::Failure& failure);

}  // namespace entrepot::dialect::openai_responses
