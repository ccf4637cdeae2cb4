// The HTTP/1 glue of both directions. The first byte chooses the direction and the size of the
// pieces; what is read in pieces must equal what is read at once.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/request_parser.h"
#include "net/response_parser.h"

namespace {

using namespace entrepot::net;

/// The bound on framing compares it with the body so far, so it alone may depend on the pieces.
constexpr std::string_view kFraming = "the chunked body is mostly framing";

std::string failure(const std::string& message) { return message == kFraming ? message : "failed"; }

bool same(const std::string& a, const std::string& b) {
    return a == b || a == kFraming || b == kFraming;
}

std::string request_in_pieces(std::string_view text, std::size_t piece) {
    RequestLimits limits;
    limits.header_bytes_max = 2048;
    limits.body_bytes_max = 4096;
    RequestParser parser(limits);
    using State = RequestParser::State;
    std::size_t done = 0;
    while (done < text.size() && parser.state() != State::kComplete &&
        parser.state() != State::kFailed) {
        const std::string copy(text.substr(done, piece));
        done += parser.feed(copy);
    }
    if (parser.state() == State::kFailed) return failure(parser.error().message);
    if (parser.state() == State::kHead) return "head";
    std::string read(parser.target());
    for (std::size_t i = 0; i < parser.headers().size(); ++i)
        read.append(parser.headers()[i].name)
            .append("=")
            .append(parser.headers()[i].value)
            .append(";");
    return read + parser.body() + (parser.state() == State::kComplete ? "!" : "?");
}

std::string response_in_pieces(std::string_view text, std::size_t piece) {
    const ResponseLimits limits{2048, 64};
    ResponseParser parser(limits);
    using State = ResponseParser::State;
    std::size_t done = 0;
    std::string body;
    while (done < text.size() && parser.state() != State::kComplete &&
        parser.state() != State::kFailed) {
        std::string copy(text.substr(done, piece));
        const ResponseParser::Fed fed = parser.feed(copy);
        if (fed.consumed == 0 && parser.state() != State::kComplete &&
            parser.state() != State::kFailed)
            std::abort();
        body.append(fed.body);
        done += fed.consumed;
    }
    parser.end_of_stream();
    if (parser.state() == State::kFailed) return failure(parser.error());
    std::string read;
    for (std::size_t i = 0; i < parser.headers().size(); ++i)
        read.append(parser.headers()[i].name)
            .append("=")
            .append(parser.headers()[i].value)
            .append(";");
    return read + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    const std::size_t piece = 1 + data[0] / 2 % 16;
    if (data[0] % 2 == 0) {
        if (!same(request_in_pieces(text, piece), request_in_pieces(text, size))) std::abort();
    } else {
        if (!same(response_in_pieces(text, piece), response_in_pieces(text, size))) std::abort();
    }
    return 0;
}
