#pragma once

#include <memory>

#include "dialect/dialect.h"

namespace entrepot::dialect::openai_chat {

/// A supplier's reply to events; see Dialect::reply_decoder.
[[nodiscard]] std::unique_ptr<ReplyDecoder> make_reply_decoder(ReplyForm form);

/// Events to a client's reply; see Dialect::reply_encoder.
[[nodiscard]] std::unique_ptr<ReplyEncoder> make_reply_encoder(
    ReplyForm form, const ReplyContext& context);

/// Asides of a message or a delta (`annotations`, `reasoning_details`) bear this before their name;
/// those of a choice (`logprobs`) bear none.
inline constexpr std::string_view kMessageAside = "message.";

}  // namespace entrepot::dialect::openai_chat
