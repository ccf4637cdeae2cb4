#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "auth/key_index.h"
#include "base/result.h"
#include "config/settings.h"
#include "runtime/cores.h"
#include "store/books.h"

namespace entrepot::gateway {

struct GatewayOptions {
    /// Keys that live in the store rather than in the file. They must not repeat a name or secret
    /// of the file.
    std::vector<config::KeySettings> stored_keys;
};

/// The data plane: every core with its listener, upstream connections and metrics, and the books on
/// core 0.
class Gateway {
public:
    /// Compiles the settings, binds the listener on every core and begins to serve. Errors:
    /// kBadConfiguration with every problem, kIo (address in use), what the books say.
    [[nodiscard]] static Result<std::unique_ptr<Gateway>> start(const config::Settings& settings,
        std::unique_ptr<store::Books> books, GatewayOptions options);
    /// Stops at once what `drain` left; then the books are checkpointed and closed.
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] bool draining() const;  ///< any thread

    /// Takes over new settings for requests that begin from now on, all or nothing; streams in
    /// flight go on under the old ones. Any thread but a core's. Errors: kBadConfiguration.
    [[nodiscard]] Status reload(const config::Settings& settings, GatewayOptions options);

    /// Opens the access log's path again, after a rotation. Any thread. Errors: kIo, then the old
    /// file stays in use.
    [[nodiscard]] Status reopen_logs();

    /// Stops accepting, lets exchanges in flight finish for `patience`, then cancels them (they are
    /// settled). Blocks; any thread but a core's.
    void drain(milliseconds patience);

    /// Runs `work` with the books on the core that owns them, and waits for it. Any thread but a
    /// core's; on core 0 call `books()` directly.
    void with_books(const std::function<void(store::Books&)>& work);
    [[nodiscard]] store::Books& books();  ///< core 0 alone

    /// Core 0 also carries the admin listener, which the caller sets up and takes down with
    /// `run_on_core0`.
    [[nodiscard]] Cores& cores();
    void run_on_core0(const std::function<void(Core&)>& work);  ///< waits; any thread but a core's

    /// Prometheus text of the data plane. Any thread.
    [[nodiscard]] std::string metrics() const;

private:
    struct Impl;
    explicit Gateway(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::gateway
