#pragma once

#include <memory>

#include "dialect/dialect.h"

namespace entrepot::dialect::anthropic_messages {

[[nodiscard]] std::unique_ptr<ReplyDecoder> make_reply_decoder(ReplyForm form);

/// What a `stop_reason` means; kOther for a word that this dialect does not have.
[[nodiscard]] canon::StopReason stop_reason_of(std::string_view word);

}  // namespace entrepot::dialect::anthropic_messages
