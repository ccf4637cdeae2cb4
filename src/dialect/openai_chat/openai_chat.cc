#include "dialect/openai_chat/openai_chat.h"

#include "dialect/openai_chat/failure.h"
#include "dialect/openai_chat/models.h"
#include "dialect/openai_chat/native.h"
#include "dialect/openai_chat/reply.h"
#include "dialect/openai_chat/request.h"

namespace entrepot::dialect::openai_chat {
namespace {

constexpr Dialect make(std::string_view name) {
    const bool is_azure = name == kAzureName;
    return {.name = name,
        .stream_content_type = "text/event-stream",
        .has_model_in_path = is_azure,
        .reply_id_prefix = "chatcmpl-",
        .decode_request = decode_request,
        .encode_request = encode_request,
        .reply_decoder = make_reply_decoder,
        .reply_encoder = make_reply_encoder,
        .decode_failure = decode_failure,
        .encode_failure = encode_failure,
        .write_models = is_azure ? write_azure_models : write_models,
        .write_model = is_azure ? write_azure_model : write_model,
        .adopt_failure = adopt_failure};
}

constexpr Dialect kOpenAi = make(kName);
constexpr Dialect kAzure = make(kAzureName);

}  // namespace

bool speaks_chat(const Dialect& dialect) { return dialect.decode_request == decode_request; }

const Dialect& openai_chat() { return kOpenAi; }
const Dialect& azure_openai() { return kAzure; }

}  // namespace entrepot::dialect::openai_chat
