#include <cstdint>

#include "base/check.h"
#include "dialect/openai_chat/native.h"
#include "dialect/openai_chat/request.h"
#include "json/cursor.h"

// Requests of any bytes: the cursor and the parser agree on what JSON is; what inspect accepts can
// be spliced; what decodes can be encoded, and that decodes again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace std::string_view_literals;
    namespace chat = entrepot::dialect::openai_chat;
    namespace json = entrepot::json;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto document = json::Document::parse(std::string(text));

    json::Cursor cursor(text);
    cursor.skip();
    const bool is_json = cursor.at_end();
    // On scalars at the root the two differ in what they trim; requests are objects.
    if (document && document->root().is_object()) ENTREPOT_CHECK(is_json);

    chat::RequestFacts facts;
    const bool is_inspected = chat::inspect(text, facts).has_value();
    if (is_inspected) {
        ENTREPOT_CHECK(is_json);
        chat::Edits edits;
        edits.model_id = "other \"model\""sv;
        edits.output_tokens_max = 5;
        edits.asks_stream_usage = true;
        chat::Splice splice;
        chat::splice(text, facts, edits, splice);
        std::string body;
        splice.append_to(body);
        chat::RequestFacts again;
        ENTREPOT_CHECK(chat::inspect(body, again).has_value());
        ENTREPOT_CHECK(again.model == "other \"model\"");
        ENTREPOT_CHECK(again.output_cap && *again.output_cap <= 5);
        ENTREPOT_CHECK(!again.is_stream || again.wants_stream_usage);
        ENTREPOT_CHECK(again.messages == facts.messages && again.images == facts.images);
    }
    if (!document) return 0;
    const auto request = chat::decode_request(*document, {});
    if (!request) return 0;
    entrepot::dialect::EncodeTarget target;
    target.model_id = "m";
    const auto encoded = chat::encode_request(*request, target);
    ENTREPOT_CHECK(encoded.has_value());
    auto back = json::Document::parse(encoded->body);
    ENTREPOT_CHECK(back.has_value());
    ENTREPOT_CHECK(chat::decode_request(*back, {}).has_value());
    return 0;
}
