#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "config/settings.h"
#include "control/watch.h"

namespace entrepot::cli {

/// A gateway with its admin plane, from settings to the end: what `serve` and `dev` run.
class Host {
public:
    /// Opens the books, starts the data plane, then the admin plane. Errors: what each of them
    /// says.
    [[nodiscard]] static Result<std::unique_ptr<Host>> start(const config::Settings& settings);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    [[nodiscard]] std::string data_url() const;
    [[nodiscard]] std::string admin_url() const;
    [[nodiscard]] const Secret& admin_token() const;

    /// Follows signals and changes of `config_file` (when not empty) until it is told to stop; then
    /// drains.
    void run(control::ChangeWatch& watch, const std::filesystem::path& config_file);

private:
    struct Impl;
    explicit Host(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::cli
