#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "cloudsim/brain.h"
#include "json/value.h"

// Anthropic's Messages, without the endpoint around it: its maker's own, Bedrock's InvokeModel and
// Google's rawPredict all carry these bodies.
namespace entrepot::cloudsim::messages {

/// Reads a body's tools, turns and parameters. Errors: what its maker says of an invalid request.
[[nodiscard]] std::expected<void, std::string> read(const json::Value& root, Ask& ask);

/// What the maker, and Bedrock for it, says of a schema that leaves an object open or bounds a
/// number; empty: nothing.
[[nodiscard]] std::string complaint_of(const json::Value& schema);

/// A whole reply.
[[nodiscard]] std::string whole(
    const Ask& ask, const Answer& answer, std::string_view id, bool has_usage);

/// An event of a stream: its name, which its data repeats as `type`, and its data.
struct Event {
    std::string_view type;
    std::string data;
};
[[nodiscard]] std::vector<Event> stream(const Ask& ask, const Answer& answer,
    const Control& control, std::string_view id, bool has_usage);

}  // namespace entrepot::cloudsim::messages
