#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

namespace entrepot::net {

/// Header lines as nghttp2 takes them. Views: nghttp2 copies them, names to lower case, when they
/// are submitted.
class Http2Fields {
public:
    void clear() { fields_.clear(); }
    void add(std::string_view name, std::string_view value);
    /// `name: value\r\n` each. What belongs to a connection or is framing (connection, keep-alive,
    /// proxy-connection, transfer-encoding, upgrade, te, content-length, host) is left out.
    void add_lines(std::string_view lines);

    [[nodiscard]] std::span<const nghttp2_nv> span() const { return fields_; }

private:
    std::vector<nghttp2_nv> fields_;
};

}  // namespace entrepot::net
