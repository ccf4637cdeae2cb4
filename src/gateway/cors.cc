#include "gateway/cors.h"

#include <algorithm>
#include <string>

namespace entrepot::gateway {
namespace {

constexpr std::size_t kHeaderNamesMax = 4096;  // bytes; SDKs send some twenty

/// Names of headers and nothing else: it is said back.
bool are_names(std::string_view text) {
    return text.size() <= kHeaderNamesMax && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_' || c == ',' || c == ' ';
    });
}

}  // namespace

std::string_view allowed_origin(const State& state, const net::ServerRequest& request) {
    const std::vector<std::string>& origins = state.settings.cors_origins;
    if (origins.empty()) [[likely]]
        return {};
    const auto asked = request.headers.find("origin");
    if (!asked) return {};
    for (const std::string& origin : origins)
        if (origin == "*" || origin == *asked) return origin;
    return {};
}

void append_origin(std::string_view origin, std::string& lines) {
    lines += "access-control-allow-origin: ";
    lines += origin;
    lines += "\r\naccess-control-expose-headers: *\r\n";
    if (origin != "*") lines += "vary: origin\r\n";
}

std::optional<std::string> preflight_lines(
    std::string_view origin, std::string_view methods, const net::ServerRequest& request) {
    if (origin.empty() || !request.headers.find("access-control-request-method")) return {};
    std::string lines;
    append_origin(origin, lines);
    lines += "access-control-allow-methods: ";
    lines += methods;
    lines += "\r\naccess-control-max-age: 7200\r\n";  // the most that browsers keep
    // Names, because `*` does not stand for `authorization`.
    const auto names = request.headers.find("access-control-request-headers");
    if (names && !names->empty() && are_names(*names)) {
        lines += "access-control-allow-headers: ";
        lines += *names;
        lines += "\r\n";
    }
    return lines;
}

}  // namespace entrepot::gateway
