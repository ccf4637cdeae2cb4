#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "reconcile/json_rows.h"

namespace {

std::string read(std::string_view text, std::size_t piece) {
    using entrepot::Status;
    std::string seen;
    entrepot::reconcile::JsonRows rows(
        512, [&](std::string_view row, std::uint64_t line) -> Status {
            ENTREPOT_CHECK(row.starts_with("{") && row.ends_with("}") && row.size() <= 512);
            seen += std::to_string(line);
            seen += row;
            return {};
        });
    Status status;
    for (std::size_t at = 0; status && at < text.size(); at += piece)
        status = rows.feed(text.substr(at, piece));
    if (status) status = rows.finish();
    ENTREPOT_CHECK(rows.bytes_held() <= 2048);
    if (!status) ENTREPOT_CHECK(status.error().message.starts_with("line "));
    return seen + (status ? "" : status.error().message);
}

}  // namespace

// Any bytes are objects or one error with a line, the same ones in whatever pieces they come.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string whole = read(text, size + 1);
    ENTREPOT_CHECK(read(text, 1) == whole);
    return 0;
}
