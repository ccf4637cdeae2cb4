#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "canon/listed_model.h"

// `GET /v1/models` as Anthropic lists them: in pages of `limit` (20, at most 1000), forwards from
// behind `after_id` or backwards from before `before_id`.
namespace entrepot::dialect::anthropic_messages {

[[nodiscard]] Result<std::string> write_models(
    std::span<const canon::ListedModel> models, std::string_view query);
[[nodiscard]] std::string write_model(const canon::ListedModel& model);

}  // namespace entrepot::dialect::anthropic_messages
