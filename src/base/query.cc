#include "base/query.h"

#include <algorithm>

#include "base/text.h"

namespace entrepot {

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    for (const std::string_view pair : split(query, '&')) {
        const auto equals = pair.find('=');
        if (percent_decode(pair.substr(0, equals)) != name) continue;
        std::string value(
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1));
        std::ranges::replace(value, '+', ' ');  // as forms write it; a plus itself is escaped
        return percent_decode(value);
    }
    return std::nullopt;
}

}  // namespace entrepot
