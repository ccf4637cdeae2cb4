#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "reconcile/csv.h"

namespace {

std::string read(std::string_view text, std::size_t piece) {
    using entrepot::Status;
    std::string seen;
    entrepot::reconcile::CsvReader reader(',', {.record_bytes_max = 256, .fields_max = 16},
        [&](const entrepot::reconcile::CsvRecord& record) -> Status {
            seen += std::to_string(record.line);
            for (const std::string_view field : record.fields) seen.append(field).push_back('|');
            return {};
        });
    Status status;
    for (std::size_t at = 0; status && at < text.size(); at += piece)
        status = reader.feed(text.substr(at, piece));
    if (status) status = reader.finish();
    if (!status) ENTREPOT_CHECK(status.error().message.starts_with("line "));
    ENTREPOT_CHECK(reader.bytes_held() <= 1024);
    return seen + (status ? "" : status.error().message);
}

}  // namespace

// Any bytes are records or one error with a line, the same ones in whatever pieces they come.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string whole = read(text, size + 1);
    ENTREPOT_CHECK(read(text, 1) == whole);
    ENTREPOT_CHECK(read(text, 5) == whole);
    return 0;
}
