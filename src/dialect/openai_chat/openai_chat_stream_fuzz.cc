#include <cstdint>

#include "base/check.h"
#include "dialect/openai_chat/native.h"
#include "dialect/openai_chat/reply.h"

namespace {

using entrepot::canon::Event;
namespace chat = entrepot::dialect::openai_chat;

struct Decoded {
    std::string written;  // as a chat stream again: what the events say
    std::size_t events = 0;
    bool is_good = false;
};

Decoded decode(std::string_view bytes, std::size_t piece) {
    const auto decoder = chat::make_reply_decoder(entrepot::dialect::ReplyForm::kStream);
    const auto encoder = chat::make_reply_encoder(
        entrepot::dialect::ReplyForm::kStream, {.model = "m", .id = "i", .created_s = 1});
    std::vector<Event> events;
    entrepot::Status status;
    for (std::size_t at = 0; at < bytes.size() && status; at += piece)
        status = decoder->feed(bytes.substr(at, piece), events);
    if (status) status = decoder->finish(events);
    Decoded decoded;
    for (const Event& event : events) encoder->add(event, decoded.written);
    decoded.events = events.size();
    decoded.is_good = status.has_value();
    return decoded;
}

struct Relayed {
    std::string passed;
    entrepot::canon::Usage usage;
    bool is_good = false;
    std::int64_t answer_bytes = 0;
};

Relayed relay(std::string_view bytes, std::size_t piece, bool strips) {
    chat::StreamMeter meter({.strips_usage = strips, .hides_filter_chunks = strips});
    Relayed relayed;
    std::vector<std::string_view> out;
    const auto take = [&] {
        for (const std::string_view span : out) relayed.passed += span;
        out.clear();
    };
    entrepot::Status status;
    for (std::size_t at = 0; at < bytes.size() && status; at += piece) {
        status = meter.feed(bytes.substr(at, piece), out);
        take();
    }
    if (status) status = meter.finish(out);
    take();
    relayed.usage = meter.usage();
    relayed.is_good = status.has_value();
    relayed.answer_bytes = meter.answer_bytes();
    return relayed;
}

}  // namespace

// A stream of any bytes gives the same events and the same relay however it is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t piece = 1 + data[0] % 32;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

    const Decoded whole = decode(bytes, bytes.size());
    const Decoded pieces = decode(bytes, piece);
    ENTREPOT_CHECK(whole.written == pieces.written);
    ENTREPOT_CHECK(whole.events == pieces.events);
    ENTREPOT_CHECK(whole.is_good == pieces.is_good);

    const Relayed untouched = relay(bytes, piece, false);
    // All of it, or what stands before the event that was no JSON.
    ENTREPOT_CHECK(
        untouched.is_good ? untouched.passed == bytes : bytes.starts_with(untouched.passed));
    const Relayed at_once = relay(bytes, bytes.size(), true);
    const Relayed in_pieces = relay(bytes, piece, true);
    ENTREPOT_CHECK(at_once.passed == in_pieces.passed);
    ENTREPOT_CHECK(at_once.passed.size() <= bytes.size());
    ENTREPOT_CHECK(at_once.usage == in_pieces.usage && at_once.usage == untouched.usage);
    ENTREPOT_CHECK(at_once.answer_bytes == in_pieces.answer_bytes);
    ENTREPOT_CHECK(at_once.is_good == in_pieces.is_good);
    return 0;
}
