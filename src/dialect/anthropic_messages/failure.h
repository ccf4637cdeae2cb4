#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {

/// A supplier's error answer; `body` may be anything.
[[nodiscard]] canon::Failure decode_failure(
    int status, std::span<const Header> headers, std::string_view body);

/// The `{"type":"error","error":{...}}` of a body or a stream event. `status` 0: unknown, taken
/// from the error's type.
[[nodiscard]] canon::Failure failure_of(const json::Value& body, int status);

[[nodiscard]] std::string encode_failure(const canon::Failure& failure);

/// Dialect::adopt_failure.
void adopt_failure(canon::Failure& failure);
/// `request-id`, which the SDK shows with the error.
[[nodiscard]] std::vector<Header> failure_headers(const canon::Failure& failure);

}  // namespace entrepot::dialect::anthropic_messages
