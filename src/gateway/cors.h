#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/state.h"
#include "net/server.h"

// Browsers ask whether a page may call us, and show it an answer only if that says so (Fetch
// Standard, 3.2). The pages are the configuration's `cors_origins`; without any, nothing is said.
namespace entrepot::gateway {

/// What `access-control-allow-origin` is to say: the page's origin, `*`, or nothing when its page
/// may not call us or the client is no browser. Lives as long as `state`.
[[nodiscard]] std::string_view allowed_origin(
    const State& state, const net::ServerRequest& request);

/// The header lines of every answer to that origin.
void append_origin(std::string_view origin, std::string& lines);

/// The header lines of the answer to a browser that asks beforehand. Nothing: it does not ask, or
/// its page may not call us.
[[nodiscard]] std::optional<std::string> preflight_lines(
    std::string_view origin, std::string_view methods, const net::ServerRequest& request);

}  // namespace entrepot::gateway
