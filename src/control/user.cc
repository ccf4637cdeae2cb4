#include "control/user.h"

#include <fmt/format.h>
#include <pwd.h>

#include <array>
#include <charconv>

namespace entrepot::control {

std::string user_name(std::uint32_t number) {
    std::array<char, 4096> space{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(number, &entry, space.data(), space.size(), &found) == 0 && found != nullptr)
        return found->pw_name;
    return fmt::format("uid {}", number);
}

std::string socket_user(std::string_view peer) {
    constexpr std::string_view kPrefix = "unix:";
    std::uint32_t number = 0;
    if (!peer.starts_with(kPrefix)) return "the data folder's owner";
    const char* const end = peer.data() + peer.size();
    if (std::from_chars(peer.data() + kPrefix.size(), end, number).ptr != end)
        return "the data folder's owner";
    return user_name(number);
}

}  // namespace entrepot::control
