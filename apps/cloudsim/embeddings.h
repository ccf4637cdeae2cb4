#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloudsim/brain.h"
#include "cloudsim/responses.h"
#include "json/value.h"
#include "json/writer.h"

// Vectors, in the simulated clouds' own words: the same text has the same vector, of unit length,
// whichever cloud is asked.
namespace entrepot::cloudsim {

[[nodiscard]] std::vector<float> vector_of(std::string_view text, std::size_t dimensions);
void write_vector(json::Writer& writer, std::span<const float> vector);
[[nodiscard]] std::string base64_of(std::span<const float> vector);

/// Whether a model of that id makes vectors.
[[nodiscard]] bool is_embedding_model(std::string_view model);

/// OpenAI's `/embeddings`: reads all but the model, and makes the reply. `has_base64`: servers that
/// copy the API answer numbers whatever is asked.
[[nodiscard]] std::expected<void, ResponsesFault> read_openai_embeddings(
    const json::Value& root, bool has_base64, Ask& ask);

/// Google's `embedContent` and `batchEmbedContents` (`verb`). The first of its models tells no
/// usage. The error is a message.
[[nodiscard]] std::expected<void, std::string> read_google_embeddings(
    const json::Value& root, std::string_view verb, Ask& ask);

/// Vertex AI's `predict` of models that make vectors. The error is a message.
[[nodiscard]] std::expected<void, std::string> read_google_predictions(
    const json::Value& root, Ask& ask);

/// Titan's embeddings, one text a call, and Cohere's, on Bedrock or (`is_own_api`) at their maker.
[[nodiscard]] std::expected<void, std::string> read_titan_embedding(
    const json::Value& root, Ask& ask);
[[nodiscard]] std::expected<void, std::string> read_cohere_embeddings(
    const json::Value& root, bool is_own_api, Ask& ask);

/// The conversation that was read is only counted: the reply is `count` of it, and nothing is used.
void count_only(Ask& ask, std::function<std::string(std::int64_t)> count);

}  // namespace entrepot::cloudsim
