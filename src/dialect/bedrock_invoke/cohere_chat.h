#pragma once

#include <string>

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "dialect/losses.h"
#include "json/value.h"

// Command R by its maker's first chat API: a message, the history beside it, a preamble.
namespace entrepot::dialect::bedrock_invoke {

/// Errors: kInvalidField.
[[nodiscard]] Result<canon::Request> decode_cohere_chat(const json::Value& body);

/// Errors: kUnsupported, as the policy says. Tools are refused: this API has calls without ids and
/// parameters without schemas; Converse reaches the same models with both.
[[nodiscard]] Result<std::string> encode_cohere_chat(
    const canon::Request& request, const EncodeTarget& target, Losses& losses);

}  // namespace entrepot::dialect::bedrock_invoke
