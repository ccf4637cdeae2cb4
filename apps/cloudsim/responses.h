#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cloudsim/brain.h"
#include "json/value.h"

// OpenAI's Responses API, as OpenAI and Azure serve it beside chat completions.
namespace entrepot::cloudsim {

/// What is wrong with a request, in the words and at the place of the API.
struct ResponsesFault {
    std::string message;
    std::string param;
};

/// Reads all but the model.
[[nodiscard]] std::expected<void, ResponsesFault> read_responses(const json::Value& root, Ask& ask);

/// A whole response; `status` is decided by the answer.
[[nodiscard]] std::string whole_response(
    const Ask& ask, const Answer& answer, std::string_view model, bool has_usage, Instant now);

/// Its events.
[[nodiscard]] std::vector<std::string> stream_response(const Ask& ask, const Answer& answer,
    const Control& control, std::string_view model, bool has_usage, Instant now);

}  // namespace entrepot::cloudsim
