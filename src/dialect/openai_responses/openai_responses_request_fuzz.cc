#include <cstdint>

#include "base/check.h"
#include "dialect/openai_responses/openai_responses.h"
#include "dialect/sealed_signature.h"
#include "json/value.h"

// Requests of any bytes: what decodes can be encoded, and that decodes again; from then on encoding
// and decoding change nothing. What was sealed comes back as it was.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace entrepot;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto sealed = dialect::unseal(text)) {
        const auto again = dialect::unseal(dialect::seal(*sealed));
        ENTREPOT_CHECK(again == sealed);
    }
    const auto document = json::Document::parse(std::string(text));
    if (!document) return 0;
    const dialect::Dialect& responses = dialect::openai_responses::dialect();
    const auto request = responses.decode_request(*document, {});
    if (!request) return 0;
    dialect::EncodeTarget target;
    target.model_id = "m";
    target.on_lossy = dialect::OnLossy::kName;
    const auto encoded = responses.encode_request(*request, target);
    ENTREPOT_CHECK(encoded.has_value());
    const auto back = json::Document::parse(encoded->body);
    ENTREPOT_CHECK(back.has_value());
    const auto second = responses.decode_request(*back, {});
    // What was named as dropped may have been all there was to answer.
    if (!second) {
        ENTREPOT_CHECK(!encoded->dropped.empty());
        return 0;
    }
    const auto again = responses.encode_request(*second, target);
    ENTREPOT_CHECK(again.has_value());
    const auto third_body = json::Document::parse(again->body);
    ENTREPOT_CHECK(third_body.has_value());
    const auto third = responses.decode_request(*third_body, {});
    if (!third) {
        ENTREPOT_CHECK(!again->dropped.empty());
        return 0;
    }
    const auto last = responses.encode_request(*third, target);
    ENTREPOT_CHECK(last.has_value() && last->body == again->body);
    return 0;
}
