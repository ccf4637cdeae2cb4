#pragma once

#include "base/result.h"
#include "canon/request.h"
#include "dialect/losses.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_responses {

/// Writes the members `instructions` (what stands before the conversation) and `input`.
/// Errors: kUnsupported with the field, as `losses` says.
[[nodiscard]] Status write_conversation(
    json::Writer& writer, const canon::Request& request, Losses& losses);

}  // namespace entrepot::dialect::openai_responses
