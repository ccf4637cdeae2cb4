#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"

namespace entrepot::dialect {

/// Whether Google's own APIs answer there, each under many names (by region, with client
/// certificates), or a reader of URIs may think so. Not its store of buckets, whose paths are its
/// customers' own.
[[nodiscard]] inline bool may_be_google_api(std::string_view authority) {
    const std::string all = to_lower(authority);
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyz0123456789-_.:[]";
    if (all.find_first_not_of(kPlain) != std::string::npos) return true;
    std::string_view host = std::string_view(all).substr(0, all.find(':'));
    while (host.ends_with('.')) host.remove_suffix(1);
    constexpr std::string_view kStore = "storage.googleapis.com";
    const bool is_store = host == kStore || host.ends_with(".storage.googleapis.com");
    return !is_store && (host == "googleapis.com" || host.ends_with(".googleapis.com"));
}

/// `files/abc` of a URI that names a file which Google keeps for one account, in whatever spelling
/// (its server's name takes any case, its path percent signs and any version before it); empty for
/// any other URI. What names no server is Google's to read, so it is such a file.
[[nodiscard]] inline std::string google_file_name(std::string_view uri) {
    if (to_lower(uri.substr(0, 5)) == "data:") return {};
    std::size_t begin = 0;
    if (const std::size_t slashes = uri.find("//");
        slashes == 0 || (slashes != uri.npos && uri[slashes - 1] == ':')) {
        begin = std::min(uri.find_first_of("/?#", slashes + 2), uri.size());
        const std::string_view authority = uri.substr(slashes + 2, begin - slashes - 2);
        if (!authority.empty() && !may_be_google_api(authority)) return {};
    }
    std::string path = percent_decode(uri.substr(begin));
    std::ranges::replace(path, '\\', '/');
    constexpr std::string_view kStep = "files/";
    std::size_t at = path.find(kStep);
    while (at != path.npos && at != 0 && path[at - 1] != '/') at = path.find(kStep, at + 1);
    if (at == path.npos) return {};
    // A step behind the name is part of it: it may lead elsewhere (`files/mine/../theirs`).
    return path.substr(at, path.find_first_of("?:#", at + kStep.size()) - at);
}

}  // namespace entrepot::dialect
