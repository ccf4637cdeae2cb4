#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/bedrock_converse/testing.h"
#include "framing/event_stream.h"

// The input is a list of lines `type payload`, framed here, since random bytes never match a
// checksum.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace bedrock = entrepot::dialect::bedrock_converse;
    using entrepot::dialect::ReplyForm;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)bedrock::decode(ReplyForm::kStream, text, 7);
    (void)bedrock::decode(ReplyForm::kWhole, text, 7);
    std::string stream;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        const std::size_t space = std::min(line.find(' '), line.size());
        const std::string_view payload = line.substr(std::min(space + 1, line.size()));
        if (line.starts_with('!')) {
            entrepot::framing::append_event_stream_exception(
                stream, line.substr(1, space), payload);
        } else {
            entrepot::framing::append_event_stream_event(stream, line.substr(0, space), payload);
        }
        at = end + 1;
    }
    const auto whole = bedrock::decode(ReplyForm::kStream, stream, stream.size() + 1);
    const auto split = bedrock::decode(ReplyForm::kStream, stream, 1);
    ENTREPOT_CHECK(whole.shown == split.shown);
    ENTREPOT_CHECK(whole.status.has_value() == split.status.has_value());
    (void)bedrock::encode(ReplyForm::kStream, whole.events);
    (void)bedrock::encode(ReplyForm::kWhole, whole.events);
    return 0;
}
