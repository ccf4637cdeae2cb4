#pragma once

#include <memory>

#include "dialect/dialect.h"

namespace entrepot::dialect::openai_responses {

[[nodiscard]] std::unique_ptr<ReplyEncoder> make_reply_encoder(
    ReplyForm form, const ReplyContext& context);

}  // namespace entrepot::dialect::openai_responses
