#include <charconv>

#include <fmt/format.h>

#include "base/text.h"
#include "net/http_client.h"

namespace entrepot::net {

Result<Origin> Origin::parse(std::string_view url, std::string* base_path) {
    const auto bad = [&](std::string_view why) {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("'{}' is not an endpoint: {}; give one such as https://host/base",
                excerpt(url), why));
    };
    Origin made;
    const std::size_t colon = url.find("://");
    if (colon == std::string_view::npos) return bad("it has no scheme");
    const std::string scheme = to_lower(url.substr(0, colon));
    if (scheme != "http" && scheme != "https") return bad("the scheme is neither http nor https");
    made.secure = scheme == "https";
    std::string_view rest = url.substr(colon + 3);
    const std::size_t path_at = rest.find_first_of("/?#");
    std::string_view authority = rest.substr(0, path_at);
    std::string_view path =
        path_at == std::string_view::npos ? std::string_view() : rest.substr(path_at);
    if (path.find_first_of("?#") != std::string_view::npos)
        return bad("it has a query or a fragment");
    if (authority.find('@') != std::string_view::npos) return bad("it holds credentials");

    std::string_view port;
    if (!authority.empty() && authority[0] == '[') {
        const std::size_t close = authority.find(']');
        if (close == std::string_view::npos) return bad("the address lacks its ']'");
        made.host = std::string(authority.substr(1, close - 1));
        std::string_view tail = authority.substr(close + 1);
        if (!tail.empty() && tail[0] != ':')
            return bad("the address is followed by something else than a port");
        if (!tail.empty()) port = tail.substr(1);
    } else {
        const std::size_t at = authority.rfind(':');
        made.host = to_lower(authority.substr(0, at));
        if (at != std::string_view::npos) port = authority.substr(at + 1);
        if (made.host.find(':') != std::string::npos) return bad("an IPv6 address needs brackets");
    }
    if (made.host.empty()) return bad("it has no host");
    for (const char c : made.host)
        if (c <= ' ' || c == 0x7f || c == '"' || c == '\\')
            return bad("the host has a character it cannot have");
    made.port = made.secure ? 443 : 80;
    if (!port.empty()) {
        const auto [end, error] =
            std::from_chars(port.data(), port.data() + port.size(), made.port);
        if (error != std::errc() || end != port.data() + port.size() || made.port == 0)
            return bad("the port is wrong");
    }
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    if (base_path != nullptr) *base_path = std::string(path);
    return made;
}

std::string Origin::authority() const {
    const bool v6 = host.find(':') != std::string::npos;
    std::string text = v6 ? fmt::format("[{}]", host) : host;
    if (port != (secure ? 443 : 80)) text += fmt::format(":{}", port);
    return text;
}

}  // namespace entrepot::net
