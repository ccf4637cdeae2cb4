#include "net/http2_fields.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace entrepot::net {

namespace {

bool belongs_to_the_connection(std::string_view name) {
    static constexpr std::array<std::string_view, 8> kNames{"connection", "keep-alive",
        "proxy-connection", "transfer-encoding", "upgrade", "te", "content-length", "host"};
    return std::any_of(kNames.begin(), kNames.end(),
        [&](std::string_view one) { return equals_ignoring_case(one, name); });
}

std::uint8_t* bytes_of(std::string_view text) {
    // nghttp2 does not write to them.
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // NOLINT
}

}  // namespace

void Http2Fields::add(std::string_view name, std::string_view value) {
    fields_.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(),
        static_cast<std::uint8_t>(NGHTTP2_NV_FLAG_NONE)});
}

void Http2Fields::add_lines(std::string_view lines) {
    while (!lines.empty()) {
        const std::size_t end = std::min(lines.find("\r\n"), lines.size());
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(std::min(end + 2, lines.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0) continue;
        const std::string_view name = line.substr(0, colon);
        if (belongs_to_the_connection(name)) continue;
        add(name, trim(line.substr(colon + 1)));
    }
}

}  // namespace entrepot::net
