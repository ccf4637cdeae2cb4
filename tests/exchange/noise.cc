#include "noise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "framing/event_stream.h"
#include "json/value.h"

namespace entrepot::exchange {
namespace {

constexpr std::size_t kSliceMax = 2048;
constexpr std::size_t kRepeatsMax = 40;
constexpr std::size_t kDepthMax = 6000;

// What a decoder looks for, where it does not expect it.
constexpr std::array<std::string_view, 18> kWords{"\n\n", "data: [DONE]\n\n",
    "data:", "event: error\n", "\r", "null", "{}", "[]", "\"", "\\u0000", "\\ud800", "\xff\xfe",
    "}", "]", ",", "\":{\"", "true", R"(,"type":"error","error":{"message":null})"};
constexpr std::array<std::string_view, 8> kNumbers{"1e999", "-1", "18446744073709551616",
    "9223372036854775807", "99999999999999999999999999999999", "0.5", "-0", "1e-400"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string_view Noise::slice(std::string_view of, std::size_t size_max) {
    if (of.empty()) return of;
    const std::size_t at = below(of.size());
    return of.substr(at, 1 + below(size_max));
}

void Noise::grow_number(std::string& bytes) {
    const std::size_t from = below(bytes.size() + 1);
    const auto begin = std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(),
        [](char c) { return is_digit(c); });
    const auto end = std::find_if(begin, bytes.end(), [](char c) { return !is_digit(c); });
    const std::string number = below(8) == 0 ? std::string(1 + below(3000), '9')
                                             : std::string(kNumbers[below(kNumbers.size())]);
    bytes.replace(begin, end, number);
}

void Noise::mutate_once(std::string& bytes, std::string_view other) {
    const std::size_t at = below(bytes.size() + 1);
    const std::size_t size = std::min(bytes.size() - at, 1 + below(kSliceMax));
    switch (below(10)) {
        case 0:  // bits
            for (std::size_t n = 1 + below(8); n > 0 && !bytes.empty(); --n) {
                char& byte = bytes[below(bytes.size())];
                byte = static_cast<char>(byte ^ (1 << below(8)));
            }
            break;
        case 1:
            bytes.replace(at, std::min(size, std::size_t{16}), random_bytes(1 + below(16)));
            break;
        case 2: bytes.erase(at, size); break;
        case 3: bytes.resize(at); break;
        case 4: {  // said again and again
            const std::string piece = bytes.substr(at, size);
            std::string repeated;
            for (std::size_t n = 1 + below(kRepeatsMax); n > 0; --n) repeated += piece;
            bytes.insert(at, repeated);
            break;
        }
        case 5: bytes.insert(at, slice(other, kSliceMax)); break;
        case 6:
            bytes = bytes.substr(0, at) + std::string(other.substr(below(other.size() + 1)));
            break;
        case 7: grow_number(bytes); break;
        case 8: {
            const std::string_view opening = below(2) == 0 ? "[" : R"({"a":)";
            std::string nested;
            for (std::size_t n = 1 + below(kDepthMax); n > 0; --n) nested += opening;
            bytes.insert(at, nested);
            break;
        }
        default: bytes.insert(at, kWords[below(kWords.size())]); break;
    }
}

std::string Noise::mutated(std::string_view bytes, std::string_view other) {
    std::string out(bytes);
    for (std::size_t n = 1 + below(4); n > 0; --n) mutate_once(out, other);
    return out;
}

std::string Noise::mutated_frames(std::string_view bytes, std::string_view other, bool in_chunks) {
    framing::EventStreamParser parser;
    std::vector<framing::EventStreamMessage> messages;
    if (!parser.feed(bytes, messages) || messages.empty()) return mutated(bytes, other);
    std::string out;
    const std::size_t struck = below(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const framing::EventStreamMessage& message = messages[i];
        if (below(24) == 0) continue;  // lost on the way
        std::string payload(message.payload);
        if (i == struck || below(8) == 0) {
            std::string chunk;
            const auto json = json::Document::parse(payload);
            if (in_chunks && json && base64_decode(json->root()["bytes"].string(), chunk))
                payload = fmt::format(R"({{"bytes":"{}"}})", base64_encode(mutated(chunk, other)));
            else
                payload = mutated(payload, other);
        }
        std::string_view type = message.find(":event-type");
        if (below(16) == 0) type = messages[below(messages.size())].find(":event-type");
        if (message.find(":message-type") == "exception" || below(64) == 0)
            framing::append_event_stream_exception(out, "throttlingException", payload);
        else
            framing::append_event_stream_event(out, type, payload);
        if (below(32) == 0)
            out += std::string(out.substr(below(out.size())));  // half a frame again
    }
    return out;
}

std::string Noise::random_bytes(std::size_t size) {
    std::string out(size, '\0');
    for (char& byte : out) byte = static_cast<char>(random_() & 0xff);
    return out;
}

}  // namespace entrepot::exchange
