#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/gemini/gemini.h"
#include "json/value.h"

// What decodes is written as JSON, and what was written decodes to the same once more.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace gemini = entrepot::dialect::gemini;
    const auto parsed =
        entrepot::json::Document::parse(std::string(reinterpret_cast<const char*>(data), size));
    if (!parsed) return 0;
    entrepot::dialect::RequestContext context;
    context.model = "gemini-3-pro";
    for (const auto* dialect : {&gemini::gemini(), &gemini::vertex()}) {
        const auto request = dialect->decode_request(*parsed, context);
        if (!request) continue;
        entrepot::dialect::EncodeTarget target;
        target.model_id = "gemini-3-pro";
        target.on_lossy = entrepot::dialect::OnLossy::kName;
        const auto encoded = dialect->encode_request(*request, target);
        if (!encoded) continue;
        const auto again = entrepot::json::Document::parse(encoded->body);
        ENTREPOT_CHECK(again.has_value());
        const auto second = dialect->decode_request(*again, context);
        ENTREPOT_CHECK(second.has_value());
        ENTREPOT_CHECK(second->items.size() == request->items.size());
        // As another dialect's it is written anew, or refused.
        auto foreign = *request;
        foreign.origin = "openai-chat";
        if (const auto written = dialect->encode_request(foreign, target))
            ENTREPOT_CHECK(entrepot::json::Document::parse(written->body).has_value());
    }
    return 0;
}
