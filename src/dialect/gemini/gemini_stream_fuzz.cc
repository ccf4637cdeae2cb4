#include <cstdint>
#include <string>

#include "base/check.h"
#include "dialect/gemini/testing.h"

// Bytes split anywhere give the same events; what is written of them is read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace gemini = entrepot::dialect::gemini;
    using entrepot::dialect::ReplyForm;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    (void)gemini::decode(ReplyForm::kWhole, bytes, 7);
    const auto whole = gemini::decode(ReplyForm::kStream, bytes, size + 1);
    const auto split = gemini::decode(ReplyForm::kStream, bytes, 1);
    ENTREPOT_CHECK(whole.shown == split.shown);
    ENTREPOT_CHECK(whole.status.has_value() == split.status.has_value());
    if (!whole.status) return 0;
    for (const bool is_array : {false, true}) {
        entrepot::dialect::ReplyContext context;
        context.wants_json_array = is_array;
        const std::string written = gemini::encode(ReplyForm::kStream, whole.events, context);
        const auto again = gemini::decode(ReplyForm::kStream, written, 4096);
        ENTREPOT_CHECK(again.status.has_value());
    }
    const std::string written = gemini::encode(ReplyForm::kWhole, whole.events);
    ENTREPOT_CHECK(gemini::decode(ReplyForm::kWhole, written, 4096).status.has_value());
    return 0;
}
