// Which paths pass, and what of a request goes with them.
#include "gateway/passthrough.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace entrepot::gateway {
namespace {

std::string_view next_segment(std::string_view& path) {
    if (path.starts_with('/')) path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    return segment;
}

/// Says one thing to everybody who reads it, a proxy on the way included.
bool is_plain(std::string_view segment) {
    if (segment.empty() || segment.find_first_not_of('.') == segment.npos) return false;
    constexpr std::string_view kMarks = "-_.~!$'()*+,=:@";
    const std::string decoded = percent_decode(segment);
    if (decoded.find('%') != std::string::npos) return false;  // escaped twice, or badly
    const bool is_escaped = decoded.size() != segment.size();
    for (const char c : segment) {
        const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '0' && c <= '9') || kMarks.find(c) != kMarks.npos;
        if (!is_word && c != '%') return false;
    }
    if (!is_escaped) return true;
    // What was escaped without need was escaped to be read in two ways.
    return std::ranges::all_of(decoded,
               [](char c) {
                   return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/' &&
                       c != '\\' && c != ';';
               }) &&
        decoded.find_first_not_of('.') != decoded.npos;
}

}  // namespace

Result<PassPath> read_pass_path(std::string_view path) {
    PassPath out;
    std::string_view rest = path.substr(std::min(path.size(), kPassthroughPrefix.size()));
    const std::size_t cloud_end = std::min(rest.find('/'), rest.size());
    out.cloud = rest.substr(0, cloud_end);
    out.path = rest.substr(cloud_end);
    if (out.cloud.empty() || out.path.size() < 2)
        return fail(ErrorCode::kBadRequest,
            "a path of the pass-through is /passthrough/{cloud}/{path below its endpoint}");
    std::string_view left = out.path;
    while (!left.empty())
        if (!is_plain(next_segment(left)))
            return fail(ErrorCode::kBadRequest,
                "the path could be read in more than one way; write it without empty segments, "
                "dots alone, escaped slashes or percent signs, backslashes and semicolons");
    return out;
}

bool pass_path_fits(std::string_view pattern, std::string_view path) {
    while (!pattern.empty() && !path.empty()) {
        const std::string_view wanted = next_segment(pattern);
        const std::string_view seen = next_segment(path);
        if (wanted == "**" && pattern.empty()) return true;
        if (wanted != "*" && wanted != seen) return false;
    }
    return pattern.empty() && path.empty();
}

const config::PassRule* find_pass_rule(
    const config::KeySettings& key, const PassPath& path, std::string_view method) {
    const auto rule = std::ranges::find_if(key.passthrough, [&](const config::PassRule& candidate) {
        return candidate.cloud.view() == path.cloud &&
            std::ranges::find(candidate.methods, method) != candidate.methods.end() &&
            pass_path_fits(candidate.path, path.path);
    });
    return rule == key.passthrough.end() ? nullptr : &*rule;
}

std::string pass_query(std::string_view query, std::string_view versioned, Versions versions) {
    constexpr std::array<std::string_view, 5> kCredentials{
        "key", "api_key", "api-key", "access_token", "subscription-key"};
    const std::string_view version_name = versioned.substr(0, versioned.find('='));
    bool has_version = versioned.empty();
    std::string out;
    for (const std::string_view pair : split(query, '&')) {
        const std::string name = to_lower(percent_decode(pair.substr(0, pair.find('='))));
        if (pair.empty() || std::ranges::find(kCredentials, name) != kCredentials.end()) continue;
        if (versions == Versions::kOurs && name == "api-version") continue;
        has_version = has_version || name == version_name;
        out += fmt::format("{}{}", out.empty() ? "?" : "&", pair);
    }
    if (!has_version) out += fmt::format("{}{}", out.empty() ? "?" : "&", versioned);
    return out;
}

}  // namespace entrepot::gateway
