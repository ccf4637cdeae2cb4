#include "dialect/anthropic_messages/anthropic_messages.h"

#include <array>

#include "dialect/anthropic_messages/decode_reply.h"
#include "dialect/anthropic_messages/decode_request.h"
#include "dialect/anthropic_messages/encode_reply.h"
#include "dialect/anthropic_messages/encode_request.h"
#include "dialect/anthropic_messages/failure.h"
#include "dialect/anthropic_messages/models.h"
#include "dialect/anthropic_messages/names.h"

namespace entrepot::dialect::anthropic_messages {

namespace {

constexpr std::array kOwnHeaders{
    OwnHeader{"anthropic-version", "2023-06-01"}, OwnHeader{"anthropic-beta", ""}};
// Google takes the header for these models as well; the version stands in the body there.
constexpr std::array kVertexHeaders{OwnHeader{"anthropic-beta", ""}};
constexpr std::array<std::string_view, 2> kStatefulFields{"container", "mcp_servers"};

}  // namespace

const Dialect& dialect() {
    static constexpr Dialect kDialect{
        .name = kName,
        .stream_content_type = "text/event-stream",
        .own_headers = kOwnHeaders,
        .stateful_fields = kStatefulFields,
        .request_id_header = "request-id",
        .reply_id_prefix = "msg_",
        .decode_request = &decode_request,
        .encode_request = &encode_request,
        .reply_decoder = &make_reply_decoder,
        .reply_encoder = &make_reply_encoder,
        .decode_failure = &decode_failure,
        .encode_failure = &encode_failure,
        .write_models = &write_models,
        .write_model = &write_model,
        .adopt_failure = &adopt_failure,
        .failure_headers = &failure_headers,
    };
    return kDialect;
}

const Dialect& vertex() {
    static constexpr Dialect kVertex{
        .name = kVertexName,
        .stream_content_type = "text/event-stream",
        .has_model_in_path = true,
        .model_field = "",
        .own_headers = kVertexHeaders,
        .stateful_fields = kStatefulFields,
        .reply_id_prefix = "msg_vrtx_",
        .decode_request = &decode_vertex_request,
        .encode_request = &encode_vertex_request,
        .reply_decoder = &make_reply_decoder,
        .reply_encoder = &make_reply_encoder,
        .decode_failure = &decode_failure,
        .encode_failure = &encode_failure,
        .adopt_failure = &adopt_failure,
        .failure_headers = &failure_headers,
    };
    return kVertex;
}

}  // namespace entrepot::dialect::anthropic_messages
