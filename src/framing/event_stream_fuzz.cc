#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "base/check.h"
#include "crypto/hash.h"
#include "framing/event_stream.h"

namespace {

using entrepot::framing::EventStreamMessage;
using entrepot::framing::EventStreamParser;

// Everything the parser said, in one string, so that two ways of feeding can be compared.
std::string told(std::string_view text, std::size_t piece_bytes) {
    EventStreamParser parser({.message_bytes_max = 4096, .headers_bytes_max = 1024});
    std::string out;
    std::vector<EventStreamMessage> messages;
    bool is_good = true;
    while (!text.empty() && is_good) {
        messages.clear();
        const std::string piece(text.substr(0, piece_bytes));
        is_good = parser.feed(piece, messages).has_value();
        text.remove_prefix(piece.size());
        for (const EventStreamMessage& m : messages) {
            out += fmt::format(
                "{}|{}|{}|{};", m.find(":event-type"), m.list().size(), m.payload, m.raw.size());
        }
    }
    out += is_good && parser.finish().has_value() ? "whole" : "not";
    return out;
}

// Random bytes hardly ever match a CRC: with this the fuzzer reaches what lies behind both
// checksums.
std::string with_right_checksums(std::string text) {
    const auto put = [&](std::size_t at, std::uint32_t value) {
        for (std::size_t i = 0; i < 4; ++i)
            text[at + i] = static_cast<char>(value >> (24 - 8 * i) & 0xff);
    };
    if (text.size() < 16) return text;
    put(0, static_cast<std::uint32_t>(text.size()));
    put(4, static_cast<std::uint32_t>(static_cast<unsigned char>(text[7])));
    const std::string_view all(text);
    put(8, entrepot::crypto::crc32(all.substr(0, 8)));
    put(text.size() - 4, entrepot::crypto::crc32(all.substr(0, text.size() - 4)));
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const std::string& input : {text, with_right_checksums(text)}) {
        const std::string whole = told(input, input.size() + 1);
        ENTREPOT_CHECK(whole == told(input, 1));
        ENTREPOT_CHECK(whole == told(input, 13));
    }
    return 0;
}
