#pragma once

#include <string>

#include "base/result.h"
#include "canon/request.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/dialect.h"
#include "dialect/losses.h"
#include "json/value.h"

// Families whose request is one text (see `PromptFormat`), and how a conversation becomes one.
namespace entrepot::dialect::bedrock_invoke {

/// A body to one text of the user. Errors: kInvalidField, kBadRequest.
[[nodiscard]] Result<canon::Request> decode_prompt(
    const PromptFormat& format, const json::Value& body);

/// Errors: kUnsupported, as the policy says.
[[nodiscard]] Result<std::string> encode_prompt(const PromptFormat& format,
    const canon::Request& request, const EncodeTarget& target, Losses& losses);

/// The text of a conversation in the family's own template. Errors: kUnsupported where the family
/// has none that is documented, and always where a text holds the template's own marks: with them
/// one turn could speak for another.
[[nodiscard]] Result<std::string> prompt_of(
    Family family, const canon::Request& request, std::string_view model_id, Losses& losses);

/// What no family of one text, and no chat of Cohere's first API, has a place for.
[[nodiscard]] Status lose_common(const canon::Request& request, Losses& losses);

}  // namespace entrepot::dialect::bedrock_invoke
