#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "canon/reply.h"
#include "json/cursor.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_chat {

/// Reads the `usage` object that comes next into normal form. Counts that are not whole numbers of
/// at least 0 count as absent.
///
/// `prompt_tokens` includes cached, cache-written and audio tokens, `completion_tokens` reasoning,
/// audio and image ones. Two suppliers leave a part out, which the arithmetic of `total_tokens`
/// shows: xAI (and Google's shim) reasoning, Mistral audio.
///
/// `has_counts` tells whether a count of the prompt, the completion or both together was stated: an
/// object without any is no usage.
[[nodiscard]] canon::Usage read_usage(json::Cursor& cursor, bool* has_counts = nullptr);
/// The same from the object's text.
[[nodiscard]] canon::Usage read_usage(std::string_view object);

/// Writes the object: `prompt_tokens` is the sum of the input meters, `total_tokens` of all. What
/// else was `stated` by a server of this dialect (costs, durations) is written beside them.
void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::optional<canon::Opaque>& stated);

}  // namespace entrepot::dialect::openai_chat
