#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "reconcile/reader.h"

namespace {

using entrepot::Status;
namespace reconcile = entrepot::reconcile;

struct Outcome {
    std::uint64_t lines = 0;
    std::uint64_t identity = 0;
    std::string error;
};

Outcome read(std::string_view text, const reconcile::ReaderOptions& options, std::size_t piece) {
    Outcome outcome;
    reconcile::BillReader reader(options, [&](const reconcile::BillLine& line) -> Status {
        ENTREPOT_CHECK(line.sku != nullptr && line.line > 0);
        ENTREPOT_CHECK(line.at.begin < line.at.end);
        ENTREPOT_CHECK(line.cost || line.quantity_pico);
        ENTREPOT_CHECK(line.cost.has_value() == line.currency.has_value());
        ++outcome.lines;
        outcome.identity = outcome.identity * 31 + line.identity;
        return {};
    });
    Status status;
    for (std::size_t at = 0; status && at < text.size(); at += piece)
        status = reader.feed(text.substr(at, piece));
    if (status) status = reader.finish();
    if (!status) {
        outcome.error = status.error().message;
        ENTREPOT_CHECK(!outcome.error.empty());
    }
    ENTREPOT_CHECK(reader.bytes_held() <= (std::size_t{3} << 20));
    return outcome;
}

}  // namespace

// Any bytes are charges or one error, whatever format they are taken for (the first byte says) and
// in whatever pieces they come.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    reconcile::ReaderOptions options;
    if (data[0] < reconcile::kFormatCount) options.format = reconcile::Format(data[0]);
    options.row_bytes_max = 4096;
    options.skus_max = 100;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Outcome whole = read(text, options, size);
    const Outcome pieces = read(text, options, 7);
    ENTREPOT_CHECK(whole.lines == pieces.lines && whole.identity == pieces.identity);
    ENTREPOT_CHECK(whole.error.empty() == pieces.error.empty());
    return 0;
}
