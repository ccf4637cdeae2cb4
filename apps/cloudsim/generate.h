#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloudsim/brain.h"
#include "cloudsim/cloud.h"
#include "json/value.h"

// Google's generateContent without the endpoint around it: the Gemini API and Vertex AI both have
// it, and both have Google's errors.
namespace entrepot::cloudsim::generate {

enum class Service : std::uint8_t { kGemini, kVertex };

/// Reads a body; the model and the form stand in the path.
[[nodiscard]] Answered<void> read(const json::Value& root, Service service, Ask& ask);

/// A whole reply.
[[nodiscard]] std::string whole(
    const Ask& ask, const Answer& answer, std::string_view id, bool has_usage);
/// Its events.
[[nodiscard]] std::vector<std::string> stream(const Ask& ask, const Answer& answer,
    const Control& control, std::string_view id, bool has_usage);
/// What a reply tells of the usage: there are no words for what is written to a cache.
[[nodiscard]] canon::Usage reported(canon::Usage usage);

/// `{"error":{"code","message","status","details"}}`.
[[nodiscard]] Refusal error(
    int status, std::string_view word, std::string_view message, std::string_view details = {});
/// With the word that belongs to the status.
[[nodiscard]] Refusal refuse(int status, std::string_view message);

inline constexpr std::string_view kOverloaded = "The model is overloaded. Please try again later.";

}  // namespace entrepot::cloudsim::generate
