#pragma once

#include <memory>

#include "dialect/dialect.h"

namespace entrepot::dialect::anthropic_messages {

[[nodiscard]] std::unique_ptr<ReplyEncoder> make_reply_encoder(
    ReplyForm form, const ReplyContext& context);

}  // namespace entrepot::dialect::anthropic_messages
