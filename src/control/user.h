#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot::control {

/// The login name of a user of this machine; `uid 1000` where there is none.
[[nodiscard]] std::string user_name(std::uint32_t number);

/// The same for who asked by the Unix socket, whose peer is `unix:1000`.
[[nodiscard]] std::string socket_user(std::string_view peer);

}  // namespace entrepot::control
