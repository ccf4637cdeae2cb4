#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "json/value.h"

// What decodes is written as JSON, and what was written decodes to the same once more.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace bedrock = entrepot::dialect::bedrock_converse;
    const auto parsed =
        entrepot::json::Document::parse(std::string(reinterpret_cast<const char*>(data), size));
    if (!parsed) return 0;
    const auto request = bedrock::kDialect.decode_request(*parsed, {});
    if (!request) return 0;
    entrepot::dialect::EncodeTarget target;
    target.model_id = "anthropic.claude";
    target.on_lossy = entrepot::dialect::OnLossy::kName;
    const auto encoded = bedrock::kDialect.encode_request(*request, target);
    if (!encoded) return 0;
    const auto again = entrepot::json::Document::parse(encoded->body);
    ENTREPOT_CHECK(again.has_value());
    const auto second = bedrock::kDialect.decode_request(*again, {});
    ENTREPOT_CHECK(second.has_value());
    return 0;
}
