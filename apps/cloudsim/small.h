#pragma once

#include <string_view>

#include "cloudsim/cloud.h"

// OpenAI's endpoints beside conversations and embeddings, as the simulated clouds have them:
// completions, moderations, images, speech, transcriptions; and rerank.
namespace entrepot::cloudsim {

/// Whether a model of that id does the work of `call` (`images/generations`, `rerank`, ...).
[[nodiscard]] bool does_small(std::string_view model, std::string_view call);

/// The call behind `/v1/`, `/openai/v1/` or `/openai/deployments/<name>/`; empty: none of these.
[[nodiscard]] std::string_view small_call(std::string_view path);

/// What is wrong with a request, in OpenAI's words.
struct SmallFault {
    std::string message;
    std::string param;
};

/// The name of the model that a body asks for, JSON or form.
[[nodiscard]] std::string small_model(const Incoming& in);

/// Reads the request of a call and makes its reply. `is_cohere`: rerank as Cohere bills it, by
/// searches; else by tokens.
[[nodiscard]] std::expected<void, SmallFault> read_small(
    std::string_view call, const Incoming& in, bool is_cohere, Ask& ask);

}  // namespace entrepot::cloudsim
