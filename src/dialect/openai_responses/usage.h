#pragma once

#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "canon/usage.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_responses {

/// The usage of a response object in normal form: `input_tokens` includes what was read from and
/// written to the cache, `output_tokens` the reasoning. Beside tokens: what the supplier's own
/// tools did, as it counts it (`tool_usage`, xAI's details), else as the output's items show it.
/// Counts that are not whole numbers of at least 0 count as absent.
[[nodiscard]] canon::Usage usage_of(const json::Value& response);

/// Whether a member of `usage` is one that the normal form holds.
[[nodiscard]] bool is_counted(std::string_view key);

/// Writes the object; `beside` are members of the origin's own object, by key `usage.<name>`.
void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::vector<canon::Aside>& beside);

}  // namespace entrepot::dialect::openai_responses
