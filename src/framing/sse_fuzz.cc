#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "base/check.h"
#include "framing/sse.h"

namespace {

using entrepot::framing::SseEvent;
using entrepot::framing::SseParser;

// Everything the parser said, in one string, so that two ways of feeding can be compared.
std::string told(std::string_view text, std::size_t piece_bytes) {
    SseParser parser({.event_bytes_max = 512, .reports_empty = true});
    std::string out;
    std::vector<SseEvent> events;
    bool is_good = true;
    while (!text.empty() && is_good) {
        events.clear();
        const std::string piece(text.substr(0, piece_bytes));
        is_good = parser.feed(piece, events).has_value();
        text.remove_prefix(piece.size());
        for (const SseEvent& e : events) {
            out += fmt::format("{}|{}|{};", e.name, e.data, e.raw);
        }
    }
    events.clear();
    parser.finish(events);
    for (const SseEvent& e : events) out += fmt::format("{}|cut|{}", e.data, e.raw);
    return out + (is_good ? "good" : "bad");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string whole = told(text, text.size() + 1);
    ENTREPOT_CHECK(told(text, 1) == whole);
    ENTREPOT_CHECK(told(text, 7) == whole);
    return 0;
}
