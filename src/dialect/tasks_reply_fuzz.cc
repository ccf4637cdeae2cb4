#include <array>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "canon/reply.h"
#include "dialect/registry.h"
#include "json/value.h"

// Any reply with vectors or a count is read or refused with words, whole or byte by byte alike, and
// what is read is a JSON object for the clients of every dialect of the task.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace entrepot;
    using dialect::find_dialect;
    using dialect::ReplyForm;
    constexpr std::array<std::string_view, 6> kEmbed{"openai-embeddings", "gemini-embed",
        "gemini-embed-batch", "vertex-predict", "cohere-embed", "bedrock-invoke"};
    constexpr std::array<std::string_view, 6> kCount{"anthropic-count-tokens",
        "openai-input-tokens", "gemini-count-tokens", "vertex-count-tokens", "bedrock-count-tokens",
        "vertex-anthropic-count-tokens"};
    if (size == 0) return 0;
    const std::size_t pick = data[0] % (kEmbed.size() + kCount.size());
    const bool is_count = pick >= kEmbed.size();
    const auto& from = *find_dialect(is_count ? kCount[pick - kEmbed.size()] : kEmbed[pick]);
    const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);

    std::vector<canon::Event> events, again;
    const auto decoder = from.reply_decoder(ReplyForm::kWhole);
    Status status = decoder->feed(body, events);
    if (status) status = decoder->finish(events);
    const auto slow = from.reply_decoder(ReplyForm::kWhole);
    Status status_again;
    for (const char& c : body)
        if (status_again) status_again = slow->feed(std::string_view(&c, 1), again);
    if (status_again) status_again = slow->finish(again);
    ENTREPOT_CHECK(status.has_value() == status_again.has_value() && events == again);
    if (!status) {
        ENTREPOT_CHECK(!status.error().message.empty());
        return 0;
    }
    const auto tell = [&](const dialect::Dialect& to, std::string_view family) {
        dialect::ReplyContext context;
        context.family = family;
        const auto encoder = to.reply_encoder(ReplyForm::kWhole, context);
        std::string told;
        for (const canon::Event& event : events) encoder->add(event, told);
        const auto document = json::Document::parse(told);
        ENTREPOT_CHECK(document.has_value() && document->root().is_object());
    };
    if (is_count) {
        for (const std::string_view name : kCount) tell(*find_dialect(name), {});
    } else {
        for (const std::string_view name : kEmbed)
            for (const std::string_view family :
                {"float", "base64", "floats", "types", "titan-embed", "cohere-embed"})
                tell(*find_dialect(name), family);
    }
    return 0;
}
