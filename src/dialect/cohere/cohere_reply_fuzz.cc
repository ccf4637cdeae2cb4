#include <cstdint>
#include <string>

#include "base/check.h"
#include "canon/reply.h"
#include "dialect/cohere/cohere.h"
#include "json/value.h"

namespace {

namespace canon = entrepot::canon;
using entrepot::dialect::ReplyForm;

struct Told {
    std::string whole;
    std::string stream;
    bool is_good = false;
};

Told tell(ReplyForm form, std::string_view bytes, std::size_t piece) {
    const auto& dialect = entrepot::dialect::cohere::dialect();
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
    const auto whole = dialect.reply_encoder(ReplyForm::kWhole, {});
    const auto stream = dialect.reply_encoder(ReplyForm::kStream, {});
    for (const canon::Event& event : events) {
        whole->add(event, told.whole);
        stream->add(event, told.stream);
    }
    return told;
}

}  // namespace

// The first byte chooses the form. However the bytes are split, the same is told; what is told
// whole is JSON, and what is told as a stream can be read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const ReplyForm form = (data[0] & 1) != 0 ? ReplyForm::kStream : ReplyForm::kWhole;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Told at_once = tell(form, bytes, bytes.size() + 1);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{13}}) {
        const Told split = tell(form, bytes, piece);
        ENTREPOT_CHECK(split.is_good == at_once.is_good);
        ENTREPOT_CHECK(split.whole == at_once.whole && split.stream == at_once.stream);
    }
    if (!at_once.is_good) return 0;
    ENTREPOT_CHECK(entrepot::json::Document::parse(at_once.whole).has_value());
    ENTREPOT_CHECK(tell(ReplyForm::kStream, at_once.stream, 1 << 20).is_good);
    return 0;
}
