#include <array>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/registry.h"
#include "json/value.h"

// Any request for embeddings or a token count is decoded or refused with words; what is decoded is
// written as JSON, or refused with words, in every dialect of its task, and reads back in its own.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using entrepot::dialect::find_dialect;
    using entrepot::dialect::OnLossy;
    using entrepot::json::Document;
    constexpr std::array<std::string_view, 12> kDialects{"openai-embeddings", "gemini-embed",
        "gemini-embed-batch", "vertex-predict", "cohere-embed", "bedrock-invoke",
        "anthropic-count-tokens", "openai-input-tokens", "gemini-count-tokens",
        "vertex-count-tokens", "bedrock-count-tokens", "vertex-anthropic-count-tokens"};
    if (size == 0) return 0;
    const auto& dialect = *find_dialect(kDialects[data[0] % kDialects.size()]);
    const auto body =
        Document::parse(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
    if (!body) return 0;
    constexpr std::string_view kModel = "amazon.titan-embed-text-v2:0";
    entrepot::dialect::RequestContext context;
    context.model = kModel;
    context.is_stream = false;
    if (dialect.rename_model != nullptr)
        ENTREPOT_CHECK(
            Document::parse(*dialect.rename_model(body->text(), {}, kModel)).has_value());
    const auto request = dialect.decode_request(*body, context);
    if (!request) {
        ENTREPOT_CHECK(!request.error().message.empty());
        return 0;
    }
    for (const std::string_view name : kDialects) {
        const auto& to = *find_dialect(name);
        if ((to.tasks & entrepot::canon::task_bit(request->task)) == 0) continue;
        for (const OnLossy on_lossy : {OnLossy::kName, OnLossy::kRefuse}) {
            const auto encoded =
                to.encode_request(*request, {.model_id = kModel, .on_lossy = on_lossy});
            if (!encoded) {
                ENTREPOT_CHECK(!encoded.error().message.empty());
                continue;
            }
            const auto written = Document::parse(encoded->body);
            ENTREPOT_CHECK(written.has_value());
            if (&to == &dialect) ENTREPOT_CHECK(to.decode_request(*written, context).has_value());
        }
    }
    return 0;
}
