#include <array>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "canon/reply.h"
#include "dialect/oci/oci.h"

namespace {

namespace canon = entrepot::canon;
using entrepot::dialect::Dialect;
using entrepot::dialect::ReplyForm;

struct Told {
    std::vector<canon::Event> events;
    bool is_good = true;
};

Told tell(const Dialect& dialect, ReplyForm form, std::string_view bytes, std::size_t piece) {
    const auto decoder = dialect.reply_decoder(form);
    Told told;
    while (!bytes.empty() && told.is_good) {
        const std::string part(bytes.substr(0, piece));
        told.is_good = decoder->feed(part, told.events).has_value();
        bytes.remove_prefix(part.size());
    }
    if (told.is_good) told.is_good = decoder->finish(told.events).has_value();
    return told;
}

}  // namespace

// The first byte chooses form and format. However the bytes are split, the same is told; parts are
// told in order, and a reply ends once.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    namespace oci = entrepot::dialect::oci;
    const std::array dialects{&oci::generic(), &oci::cohere(), &oci::cohere_v2()};
    const Dialect& dialect = *dialects[(data[0] >> 1) % dialects.size()];
    const ReplyForm form = (data[0] & 1) != 0 ? ReplyForm::kStream : ReplyForm::kWhole;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Told at_once = tell(dialect, form, bytes, bytes.size() + 1);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{13}}) {
        const Told split = tell(dialect, form, bytes, piece);
        ENTREPOT_CHECK(split.is_good == at_once.is_good);
        ENTREPOT_CHECK(split.events == at_once.events);
    }
    bool has_ended = false;
    canon::Reply reply;
    for (const canon::Event& event : at_once.events) {
        ENTREPOT_CHECK(!has_ended);
        has_ended = std::holds_alternative<canon::Ended>(event) ||
            std::holds_alternative<canon::Failed>(event);
        if (const auto* delta = std::get_if<canon::PartDelta>(&event))
            ENTREPOT_CHECK(!delta->text.empty());
        reply.add(event);
    }
    ENTREPOT_CHECK(has_ended || !at_once.is_good);
    return 0;
}
