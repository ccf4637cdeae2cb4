#include "dialect/tasks.h"

#include "dialect/openai_chat/openai_chat.h"
#include "dialect/openai_embeddings/openai_embeddings.h"

namespace entrepot::dialect {
namespace {

/// OpenAI's errors are the same wherever they come from.
const Dialect& openai() { return openai_chat::openai_chat(); }

}  // namespace

const Dialect& openai_embeddings_dialect() {
    static const Dialect kEmbeddings{
        .name = openai_embeddings::kName,
        .tasks = canon::task_bit(canon::Task::kEmbed),
        .decode_request = openai_embeddings::decode_request,
        .encode_request = openai_embeddings::encode_request,
        .passes_reply = openai_embeddings::passes_reply,
        .usage_of_tail = openai_embeddings::usage_of_tail,
        .reply_decoder = [](ReplyForm) { return openai_embeddings::reply_decoder(openai()); },
        .reply_encoder =
            [](ReplyForm, const ReplyContext& context) {
                return openai_embeddings::reply_encoder(openai(), context);
            },
        .decode_failure = openai().decode_failure,
        .encode_failure = openai().encode_failure,
    };
    return kEmbeddings;
}

}  // namespace entrepot::dialect
