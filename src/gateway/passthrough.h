#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/settings.h"

// The rest of each supplier's API, where a key's configuration opens it.
namespace entrepot::gateway {

inline constexpr std::string_view kPassthroughPrefix = "/passthrough/";

/// `/passthrough/{cloud}/rest`: what is asked of which cloud.
struct PassPath {
    std::string_view cloud;
    std::string_view path;  ///< `/rest`, as sent: below the cloud's endpoint
};

/// Errors: kBadRequest for a path that could be read in two ways: segments of dots, empty ones,
/// escaped slashes, dots or percent signs, backslashes, semicolons, anything but plain ASCII.
[[nodiscard]] Result<PassPath> read_pass_path(std::string_view path);

/// Whether the rule's pattern fits: `*` is one segment, `**` at the end one or more.
[[nodiscard]] bool pass_path_fits(std::string_view pattern, std::string_view path);

/// The first rule that lets this through, or null.
[[nodiscard]] const config::PassRule* find_pass_rule(
    const config::KeySettings& key, const PassPath& path, std::string_view method);

/// Whose `api-version` goes on.
enum class Versions : std::uint8_t {
    kClients,  ///< the client's, where it names one
    kOurs,     ///< the cloud may not have the client's
};

/// The query as it goes on: without credentials, with `versioned` (`api-version=...`; empty: the
/// cloud has none). With its `?`, or empty.
[[nodiscard]] std::string pass_query(
    std::string_view query, std::string_view versioned, Versions versions = Versions::kClients);

}  // namespace entrepot::gateway
