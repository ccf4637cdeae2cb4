#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/composed.h"
#include "json/value.h"

// Any body is decoded or refused with words, for a model of every family; what is decoded is
// written as JSON for a model of its own family and of others, and reads back as the same request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using entrepot::dialect::OnLossy;
    using entrepot::json::Document;
    constexpr std::string_view kModels[] = {"anthropic.claude-v2", "amazon.nova-lite-v1:0",
        "amazon.titan-text-express-v1", "meta.llama3-8b-instruct-v1:0",
        "mistral.mistral-7b-instruct-v0:2", "mistral.mistral-large-2407-v1:0",
        "cohere.command-text-v14", "cohere.command-r-v1:0", "ai21.j2-ultra-v1",
        "ai21.jamba-1-5-mini-v1:0", "deepseek.r1-v1:0", "openai.gpt-oss-20b-1:0", "my-model"};
    if (size == 0) return 0;
    const auto& dialect = entrepot::dialect::invoke_dialect();
    const auto body =
        Document::parse(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
    if (!body) return 0;
    const std::string_view model = kModels[data[0] % std::size(kModels)];
    entrepot::dialect::RequestContext context;
    context.model = model;
    const auto request = dialect.decode_request(*body, context);
    if (!request) {
        ENTREPOT_CHECK(!request.error().message.empty());
        return 0;
    }
    for (const std::string_view target : kModels) {
        for (const OnLossy on_lossy : {OnLossy::kName, OnLossy::kRefuse}) {
            const auto encoded =
                dialect.encode_request(*request, {.model_id = target, .on_lossy = on_lossy});
            if (!encoded) {
                ENTREPOT_CHECK(!encoded.error().message.empty());
                continue;
            }
            const auto written = Document::parse(encoded->body);
            ENTREPOT_CHECK(written.has_value());
            ENTREPOT_CHECK(on_lossy == OnLossy::kName || encoded->dropped.empty());
            if (target != model) continue;
            // Formats differ in how far a number may go: what one takes another may refuse by name.
            const auto again = dialect.decode_request(*written, context);
            ENTREPOT_CHECK(again.has_value() ||
                (!dialect.takes_family(model, request->family) && !again.error().field.empty()));
        }
    }
    return 0;
}
