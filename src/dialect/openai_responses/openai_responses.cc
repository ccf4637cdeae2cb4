#include "dialect/openai_responses/openai_responses.h"

#include <array>

#include "dialect/openai_responses/decode_reply.h"
#include "dialect/openai_responses/decode_request.h"
#include "dialect/openai_responses/encode_reply.h"
#include "dialect/openai_responses/encode_request.h"
#include "dialect/openai_responses/failure.h"
#include "dialect/openai_responses/names.h"
#include "dialect/openai_responses/response_body.h"

namespace entrepot::dialect::openai_responses {

namespace {

// What is kept there has no bound.
constexpr std::array<std::string_view, 3> kStatefulFields{
    "previous_response_id", "conversation", "prompt"};

}  // namespace

const Dialect& dialect() {
    static constexpr Dialect kDialect{
        .name = kName,
        .stream_content_type = "text/event-stream",
        .stateful_fields = kStatefulFields,
        .tells_full_context_in_stream = true,
        .reply_id_prefix = "resp_",
        .decode_request = &decode_request,
        .encode_request = &encode_request,
        .echo_of = &echo_of,
        .reply_decoder = &make_reply_decoder,
        .reply_encoder = &make_reply_encoder,
        .decode_failure = &decode_failure,
        .encode_failure = &encode_failure,
        .adopt_failure = &adopt_failure,
    };
    return kDialect;
}

}  // namespace entrepot::dialect::openai_responses
