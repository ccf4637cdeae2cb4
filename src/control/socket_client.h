#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::control {

struct SocketAnswer {
    int status = 0;
    std::string body;
};

/// Asks the gateway that runs on a data folder, through `control.sock`. Nothing when none does (no
/// socket, or nobody behind it). Blocks, at most a minute. Errors: kIo, kUpstreamProtocol.
[[nodiscard]] Result<std::optional<SocketAnswer>> ask_running_gateway(
    const std::filesystem::path& data, std::string_view method, std::string_view target,
    std::string_view body = {});

}  // namespace entrepot::control
