#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "reconcile/amounts.h"
#include "reconcile/bill_time.h"
#include "reconcile/sku.h"

// Numbers read back as what they were written as; times and names of SKUs take any bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace entrepot::reconcile;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto value = parse_decimal(text)) {
        const auto again = parse_decimal(decimal_text(value->pico));
        ENTREPOT_CHECK(again && again->pico == value->pico && !again->is_rounded);
    }
    if (const auto at = parse_bill_time(text)) ENTREPOT_CHECK(at->ns > -2 * kDayNs);
    const auto known = [](const Sku& sku) {
        ENTREPOT_CHECK(sku.unit >= 0 && sku.unit <= 1'000'000);
    };
    const std::size_t half = size / 2;
    known(aws_sku({text, text.substr(half), "AmazonBedrock", text, text.substr(half), {}}));
    known(azure_sku({text, text.substr(half), "Azure OpenAI", {}}));
    known(google_sku({text, "Vertex AI", text.substr(half), {}}));
    known(openai_sku(text));
    known(anthropic_sku(text, text.substr(half), text, text));
    known(plain_sku(text, text.substr(half)));
    return 0;
}
