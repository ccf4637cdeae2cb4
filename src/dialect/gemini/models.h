#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "canon/listed_model.h"
#include "dialect/gemini/parts.h"

// `GET /v1beta/models` and one of them, as the Gemini API lists them, and Vertex AI's list of what
// publishers have: in pages of `pageSize`, from `pageToken` on.
namespace entrepot::dialect::gemini {

[[nodiscard]] Result<std::string> write_models(
    std::span<const canon::ListedModel> models, std::string_view query, Service service);
[[nodiscard]] std::string write_model(const canon::ListedModel& model, Service service);

}  // namespace entrepot::dialect::gemini
