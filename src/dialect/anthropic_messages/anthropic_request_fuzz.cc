#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/anthropic_messages/anthropic_messages.h"
#include "json/value.h"

// Any body is decoded or refused with words; what is decoded is written as JSON, for a client of
// this dialect and as if it had come from another, and reads back as the same request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using entrepot::dialect::OnLossy;
    using entrepot::json::Document;
    const auto& dialect = entrepot::dialect::anthropic_messages::dialect();
    const auto body = Document::parse(std::string(reinterpret_cast<const char*>(data), size));
    if (!body) return 0;
    auto request = dialect.decode_request(*body, {});
    if (!request) {
        ENTREPOT_CHECK(!request.error().message.empty());
        return 0;
    }
    const auto own = dialect.encode_request(*request, {.model_id = "m"});
    ENTREPOT_CHECK(own.has_value() && own->dropped.empty());
    const auto written = Document::parse(own->body);
    ENTREPOT_CHECK(written.has_value());
    const auto again = dialect.decode_request(*written, {});
    ENTREPOT_CHECK(again.has_value() && again->items.size() == request->items.size());

    request->origin = "openai-chat";
    for (const OnLossy on_lossy : {OnLossy::kName, OnLossy::kRefuse}) {
        const auto foreign =
            dialect.encode_request(*request, {.model_id = "claude-3", .on_lossy = on_lossy});
        if (!foreign) {
            ENTREPOT_CHECK(!foreign.error().message.empty());
            continue;
        }
        ENTREPOT_CHECK(Document::parse(foreign->body).has_value());
        ENTREPOT_CHECK(on_lossy == OnLossy::kName || foreign->dropped.empty());
    }
    return 0;
}
