#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloudsim/brain.h"
#include "json/value.h"

// What Bedrock's InvokeModel carries: the bodies of the makers whose models it sells, each in its
// maker's own format. Served here: Claude (Messages), Nova, and by prompt Titan, Llama, Mistral's
// instruct models, Command; Command R by message.
namespace entrepot::cloudsim::invoke {

/// Reads a body in the format of `ask.model`. Errors: what Bedrock says of an invalid request.
[[nodiscard]] std::expected<void, std::string> read(const json::Value& root, Ask& ask);

/// A whole reply.
[[nodiscard]] std::string whole(const Ask& ask, const Answer& answer, bool has_usage);

/// The maker's own events of a stream, each to be sent as a chunk. The last one states the counts.
[[nodiscard]] std::vector<std::string> stream(
    const Ask& ask, const Answer& answer, const Control& control, bool has_usage);

/// The counts that a whole reply states in its headers: name, tokens.
[[nodiscard]] std::vector<std::pair<std::string_view, std::int64_t>> counts_of(
    const Ask& ask, const Answer& answer);

}  // namespace entrepot::cloudsim::invoke
