#include "cloudsim/cloud.h"

#include <algorithm>
#include <charconv>

#include "crypto/hash.h"

namespace entrepot::cloudsim {

bool has_key(const Incoming& incoming, std::string_view header, std::string_view key) {
    if (const auto given = incoming.headers.find(header);
        !header.empty() && given && crypto::constant_time_equal(*given, key))
        return true;
    const auto given = incoming.headers.find("authorization");
    constexpr std::string_view kBearer = "Bearer ";
    return given && given->starts_with(kBearer) &&
        crypto::constant_time_equal(given->substr(kBearer.size()), key);
}

bool has_model(const CloudAddress& address, std::string_view model) {
    return std::ranges::find(address.models, model) != address.models.end();
}

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr ==
                text.data() + i + 3) {
            out += static_cast<char>(value);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace entrepot::cloudsim
