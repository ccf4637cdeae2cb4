#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/text.h"
#include "canon/reply.h"
#include "dialect/composed.h"
#include "framing/event_stream.h"
#include "json/value.h"

namespace {

namespace canon = entrepot::canon;
using entrepot::dialect::ReplyForm;

struct Told {
    std::string whole;
    std::string stream;
    bool is_good = false;
};

Told tell(ReplyForm form, std::string_view bytes, std::string_view family, std::size_t piece) {
    const auto& dialect = entrepot::dialect::invoke_dialect();
    const auto decoder = dialect.reply_decoder(form);
    std::vector<canon::Event> events;
    Told told;
    told.is_good = true;
    while (!bytes.empty() && told.is_good) {
        const std::string part(bytes.substr(0, piece));
        told.is_good = decoder->feed(part, events).has_value();
        bytes.remove_prefix(part.size());
    }
    if (told.is_good) told.is_good = decoder->finish(events).has_value();
    entrepot::dialect::ReplyContext context;
    context.family = family;
    const auto whole = dialect.reply_encoder(ReplyForm::kWhole, context);
    const auto stream = dialect.reply_encoder(ReplyForm::kStream, context);
    for (const canon::Event& event : events) {
        whole->add(event, told.whole);
        stream->add(event, told.stream);
    }
    return told;
}

}  // namespace

// The first byte chooses the form, the client's family, and whether the rest is framed here: as
// lines, each the inside of a chunk, so that the checksums do not keep the fuzzer out. However the
// bytes are split, the same is told; what is told whole is JSON, and what is told as a stream can
// be read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    constexpr std::string_view kFamilies[] = {"messages", "nova", "chat", "mistral-chat",
        "claude-text", "titan", "llama", "mistral-text", "cohere-text", "cohere-chat", "jurassic",
        "deepseek-text"};
    const ReplyForm form = (data[0] & 1) != 0 ? ReplyForm::kStream : ReplyForm::kWhole;
    const std::string_view family = kFamilies[(data[0] >> 2) % std::size(kFamilies)];
    std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (form == ReplyForm::kStream && (data[0] & 2) != 0) {
        std::string framed;
        for (const std::string_view line : entrepot::split(bytes, '\n'))
            entrepot::framing::append_event_stream_event(
                framed, "chunk", "{\"bytes\":\"" + entrepot::base64_encode(line) + "\"}");
        bytes = std::move(framed);
    }
    const Told at_once = tell(form, bytes, family, bytes.size() + 1);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{13}}) {
        const Told split = tell(form, bytes, family, piece);
        ENTREPOT_CHECK(split.is_good == at_once.is_good);
        ENTREPOT_CHECK(split.whole == at_once.whole && split.stream == at_once.stream);
    }
    if (!at_once.is_good) return 0;
    ENTREPOT_CHECK(entrepot::json::Document::parse(at_once.whole).has_value());
    ENTREPOT_CHECK(tell(ReplyForm::kStream, at_once.stream, family, 1 << 20).is_good);
    return 0;
}
