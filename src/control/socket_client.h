#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::control {

struct SocketAnswer {
    int status = 0;
    std::string body;
};

/// Takes a part of a body; false when nobody wants more.
using BodySink = std::function<bool(std::string_view part)>;

/// Asks the gateway that runs on a data folder, through `control.sock`. Nothing when none does (no
/// socket, or nobody behind it). Waits at most a minute for each part. With a `sink` the body of a
/// good answer goes there as it comes, whatever its length. Errors: kIo, kUpstreamProtocol (also
/// for an answer that broke off), kCancelled (by the sink).
[[nodiscard]] Result<std::optional<SocketAnswer>> ask_running_gateway(
    const std::filesystem::path& data, std::string_view method, std::string_view target,
    std::string_view body = {}, const BodySink& sink = nullptr);

}  // namespace entrepot::control
