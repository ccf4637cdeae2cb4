#pragma once

#include <string>
#include <string_view>

#include "base/text.h"

namespace entrepot::dialect {

/// `files/abc` of a URI that names a file which Google keeps for one account, in whatever spelling
/// (its server's name takes any case, its path percent signs); empty for any other URI.
[[nodiscard]] inline std::string google_file_name(std::string_view uri) {
    const std::string plain = percent_decode(uri);
    const std::size_t at = plain.find("files/");
    const bool is_there = at == 0 ||
        (at != std::string::npos &&
            to_lower(plain).find("generativelanguage.googleapis.com") != std::string::npos);
    if (!is_there) return {};
    return plain.substr(at, plain.find_first_of("?:#/", at + 6) - at);
}

}  // namespace entrepot::dialect
