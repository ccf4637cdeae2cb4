#pragma once

#include <string_view>

#include "canon/reply.h"
#include "dialect/bedrock_invoke/family.h"

namespace entrepot::dialect::bedrock_invoke {

/// What any of these families calls the end of an answer. `sequence`: the stop sequence it names.
[[nodiscard]] canon::StopReason stop_reason_of(std::string_view word, std::string_view sequence);
/// The family's own word.
[[nodiscard]] std::string_view stop_word_of(Family family, canon::StopReason reason);

/// Where Claude's text completions end by themselves.
inline constexpr std::string_view kHumanTurn = "\n\nHuman:";

}  // namespace entrepot::dialect::bedrock_invoke
