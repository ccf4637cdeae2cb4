#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/openai_responses/openai_responses.h"
#include "json/value.h"

namespace {

using namespace entrepot;

struct Decoded {
    std::vector<canon::Event> events;
    bool is_good = false;
};

Decoded decode(dialect::ReplyForm form, std::string_view bytes, std::size_t piece) {
    const auto decoder = dialect::openai_responses::dialect().reply_decoder(form);
    Decoded decoded;
    Status status;
    for (std::size_t at = 0; at < bytes.size() && status; at += piece)
        status = decoder->feed(bytes.substr(at, piece), decoded.events);
    if (status) status = decoder->finish(decoded.events);
    decoded.is_good = status.has_value();
    return decoded;
}

std::string encode(dialect::ReplyForm form, const std::vector<canon::Event>& events) {
    const auto encoder = dialect::openai_responses::dialect().reply_encoder(
        form, {.model = "m", .id = "resp_i", .created_s = 1});
    std::string out;
    for (const canon::Event& event : events) encoder->add(event, out);
    return out;
}

}  // namespace

// Replies of any bytes: however they are cut the events are the same, each part starts before it
// says anything and ends once, and what is written of them reads again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const auto form = data[0] & 0x80 ? dialect::ReplyForm::kWhole : dialect::ReplyForm::kStream;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Decoded whole = decode(form, bytes, bytes.size());
    const Decoded pieces = decode(form, bytes, 1 + data[0] % 32);
    ENTREPOT_CHECK(whole.is_good == pieces.is_good);
    ENTREPOT_CHECK(whole.events == pieces.events);
    std::vector<int> parts;  // 1: open, 2: ended
    for (const canon::Event& event : whole.events) {
        if (const auto* started = std::get_if<canon::PartStarted>(&event)) {
            ENTREPOT_CHECK(started->part == parts.size());
            parts.push_back(1);
        } else if (const auto* delta = std::get_if<canon::PartDelta>(&event)) {
            ENTREPOT_CHECK(parts.at(delta->part) == 1 && !delta->text.empty());
        } else if (const auto* ended = std::get_if<canon::PartEnded>(&event)) {
            ENTREPOT_CHECK(parts.at(ended->part) == 1);
            parts[ended->part] = 2;
        }
    }
    if (!whole.is_good) return 0;
    const bool has_failed = std::holds_alternative<canon::Failed>(whole.events.back());
    for (const dialect::ReplyForm to : {dialect::ReplyForm::kWhole, dialect::ReplyForm::kStream}) {
        const std::string written = encode(to, whole.events);
        const Decoded again = decode(to, written, written.size());
        ENTREPOT_CHECK(again.is_good);
        ENTREPOT_CHECK(has_failed == std::holds_alternative<canon::Failed>(again.events.back()));
    }
    return 0;
}
