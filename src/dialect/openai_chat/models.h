#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "canon/listed_model.h"

// `GET /v1/models` and one of them, as OpenAI lists them (all at once), and as Azure does.
namespace entrepot::dialect::openai_chat {

[[nodiscard]] Result<std::string> write_models(
    std::span<const canon::ListedModel> models, std::string_view query);
[[nodiscard]] std::string write_model(const canon::ListedModel& model);
[[nodiscard]] Result<std::string> write_azure_models(
    std::span<const canon::ListedModel> models, std::string_view query);
[[nodiscard]] std::string write_azure_model(const canon::ListedModel& model);

}  // namespace entrepot::dialect::openai_chat
