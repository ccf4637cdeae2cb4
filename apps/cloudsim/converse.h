#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "cloudsim/brain.h"
#include "json/value.h"

// Converse's bodies, without the endpoint around them. Amazon's own models take them inside of
// InvokeModel too.
namespace entrepot::cloudsim::converse {

/// Reads a body's tools, turns and parameters. Errors: what Bedrock says of an invalid request.
[[nodiscard]] std::expected<void, std::string> read(const json::Value& root, Ask& ask);

/// A whole reply.
[[nodiscard]] std::string whole(const Answer& answer, bool has_usage);

/// An event of a stream: its type, and its payload's members without braces.
struct Event {
    std::string_view type;
    std::string members;
};
[[nodiscard]] std::vector<Event> stream(
    const Answer& answer, const Control& control, bool has_usage);

/// Why an answer ended.
[[nodiscard]] std::string_view stop_of(const Answer& answer);
/// The message that a whole reply holds.
[[nodiscard]] std::string message_of(const Answer& answer);

}  // namespace entrepot::cloudsim::converse
