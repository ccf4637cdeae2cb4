#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "base/secret.h"
#include "config/settings.h"
#include "control/backend.h"

namespace entrepot::control {

/// The admin plane of a running gateway: an HTTP listener and the Unix socket `control.sock` in the
/// data folder, on a core and a thread of its own, so that a report never delays a request of a
/// client.
class AdminServer {
public:
    /// Binds both and begins to answer. `backend` outlives it. Errors: kIo, kBadConfiguration (TLS
    /// files).
    [[nodiscard]] static Result<std::unique_ptr<AdminServer>> start(
        const config::ListenSettings& listen, const std::filesystem::path& data, Secret admin_token,
        Backend& backend);
    /// Stops listening, lets the request in hand finish, removes the socket.
    ~AdminServer();
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    [[nodiscard]] std::uint16_t port() const;
    /// Runs `work` between two requests, on the thread that calls the backend, and waits: how a
    /// reload keeps out of the way of the API.
    void run_between(const std::function<void()>& work);

private:
    struct Impl;
    explicit AdminServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::control
