#include "dialect/anthropic_messages/anthropic_messages.h"

#include "dialect/anthropic_messages/decode_reply.h"
#include "dialect/anthropic_messages/decode_request.h"
#include "dialect/anthropic_messages/encode_reply.h"
#include "dialect/anthropic_messages/encode_request.h"
#include "dialect/anthropic_messages/failure.h"
#include "dialect/anthropic_messages/names.h"

namespace entrepot::dialect::anthropic_messages {

const Dialect& dialect() {
    static constexpr Dialect kDialect{
        .name = kName,
        .stream_content_type = "text/event-stream",
        .reply_id_prefix = "msg_",
        .decode_request = &decode_request,
        .encode_request = &encode_request,
        .reply_decoder = &make_reply_decoder,
        .reply_encoder = &make_reply_encoder,
        .decode_failure = &decode_failure,
        .encode_failure = &encode_failure,
    };
    return kDialect;
}

}  // namespace entrepot::dialect::anthropic_messages
