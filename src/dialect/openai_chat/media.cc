#include "dialect/openai_chat/media.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"

namespace entrepot::dialect::openai_chat {
namespace {

constexpr std::string_view kBase64 = ";base64,";

bool has_scheme(std::string_view url, std::string_view scheme) {
    return url.size() >= scheme.size() &&
        equals_ignoring_case(url.substr(0, scheme.size()), scheme);
}

// 1: the base64 alphabet, also its URL-safe spelling, which some clients send.
constexpr std::array<std::uint8_t, 256> kIsBase64 = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = 1;
    for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = 1;
    for (unsigned c = '0'; c <= '9'; ++c) table[c] = 1;
    for (const unsigned char c : {'+', '/', '-', '_'}) table[c] = 1;
    return table;
}();

bool is_base64(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    if (text.empty() || text.size() % 4 == 1) return false;
    // Without a branch per byte: an image is often megabytes.
    std::uint8_t all = 1;
    for (const char c : text) all &= kIsBase64[static_cast<unsigned char>(c)];
    return all != 0;
}

}  // namespace

std::string_view url_problem(std::string_view url) {
    if (has_scheme(url, "data:")) {
        if (data_of_url(url).empty()) return "a data: URL must hold ';base64,' and data";
        if (media_type_of_url(url).empty()) return "a data: URL must name its media type";
        return is_base64(data_of_url(url)) ? "" : "the data: URL's data is not base64";
    }
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (!has_scheme(url, scheme)) continue;
        const std::string_view rest = url.substr(scheme.size());
        const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
        if (host.empty() || host == ":") return "the URL names no host";
        const bool has_space = std::ranges::any_of(
            url, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; });
        return has_space ? "the URL holds white space" : "";
    }
    return "it is neither an https: URL nor a data: URL";
}

std::string_view data_of_url(std::string_view url) {
    if (!has_scheme(url, "data:")) return {};
    // Parameters stand between the type and the marker, never more than a few.
    const std::size_t comma = url.substr(0, 256).find(',');
    if (comma == std::string_view::npos || comma + 1 < kBase64.size()) return {};
    if (!equals_ignoring_case(url.substr(comma + 1 - kBase64.size(), kBase64.size()), kBase64))
        return {};
    return url.substr(comma + 1);
}

std::string_view media_type_of_url(std::string_view url) {
    if (!has_scheme(url, "data:")) return {};
    const std::string_view head = url.substr(5, std::min<std::size_t>(url.size() - 5, 256));
    const std::string_view type = head.substr(0, head.find_first_of(";,"));
    return type.find('/') == std::string_view::npos ? std::string_view{} : type;
}

}  // namespace entrepot::dialect::openai_chat
