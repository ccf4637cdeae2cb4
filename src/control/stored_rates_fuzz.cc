#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "control/stored_rates.h"

// Any bytes are rates or an error with words; what is read is written so that it reads the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace control = entrepot::control;
    constexpr entrepot::Instant kNow{1'800'000'000'000'000'000};
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto rates = control::read_rates(text, kNow);
    if (!rates) {
        ENTREPOT_CHECK(!rates.error().message.empty());
        return 0;
    }
    ENTREPOT_CHECK(rates->size() <= control::kRatesAtOnceMax);
    for (auto& rate : *rates) {
        rate.number = 7;
        const std::string json = control::rate_to_json(rate);
        const auto again = control::rate_of_store(json);
        ENTREPOT_CHECK(again.has_value());
        ENTREPOT_CHECK(control::rate_to_json(*again) == json);
        (void)control::stated_of(rate);
    }
    return 0;
}
