#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "control/late_rates.h"
#include "control/reconcile.h"

// Reasons of postings: any text is one of the two kinds or none, and what is read is written so
// that it reads the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace control = entrepot::control;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto posting = control::PostingReason::parse(text)) {
        const std::string written = posting->to_string();
        const auto again = control::PostingReason::parse(written);
        ENTREPOT_CHECK(again.has_value());
        ENTREPOT_CHECK(again->to_string() == written);
    }
    if (const auto late = control::LateRateReason::parse(text)) {
        const std::string written = late->to_string();
        const auto again = control::LateRateReason::parse(written);
        ENTREPOT_CHECK(again.has_value());
        ENTREPOT_CHECK(again->to_string() == written);
    }
    return 0;
}
