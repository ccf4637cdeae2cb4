#pragma once

#include <memory>

#include "dialect/dialect.h"

namespace entrepot::dialect::openai_responses {

[[nodiscard]] std::unique_ptr<ReplyDecoder> make_reply_decoder(ReplyForm form);

}  // namespace entrepot::dialect::openai_responses
