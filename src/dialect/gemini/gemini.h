#pragma once

#include <string_view>

#include "dialect/dialect.h"

namespace entrepot::dialect::gemini {

inline constexpr std::string_view kName = "gemini";
inline constexpr std::string_view kVertexName = "vertex";
/// Of signatures, opaque parts and asides: both names are one maker.
inline constexpr std::string_view kOrigin = kName;

/// Google's generateContent as the Gemini API has it, and as Vertex AI has it: one wire format,
/// whose numbered enums and fields for labels, call ids and tiers differ. The model and the wish to
/// stream stand in the path: `decode_request` takes both from its context, `encode_request` writes
/// neither.
[[nodiscard]] const Dialect& gemini();
[[nodiscard]] const Dialect& vertex();

/// Whether a stream with this query (without the question mark) goes out as one JSON array:
/// ReplyContext::wants_json_array. It does unless `alt` or `$alt` is `sse`.
[[nodiscard]] bool wants_json_array(std::string_view query);

}  // namespace entrepot::dialect::gemini
