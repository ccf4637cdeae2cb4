#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "config/settings.h"

namespace entrepot::control {

struct NotifierOptions {
    std::filesystem::path data;
    milliseconds look_every{1'000};   ///< at what checkpoints wrote; they come every few seconds
    milliseconds timeout{10'000};     ///< of one try
    milliseconds retry_first{1'000};  ///< doubles with each failure in a row
    milliseconds retry_max{600'000};
    seconds retry_for{24 * 3600};  ///< then a notice is given up
};

/// Tells webhooks when shares of budgets have been spent: once for each budget, period and share,
/// also over restarts. It reads what checkpoints of the books left and works on a core and a thread
/// of its own, so that no request waits for it. A notice that was sent just before the process died
/// is sent again, under the same id.
class Notifier {
public:
    /// Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<Notifier>> start(const NotifierOptions& options);
    /// Calls off what is being sent; the next start sends it again.
    ~Notifier();
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    /// From now on the budgets and webhooks of these. Any thread.
    void watch(const config::Settings& settings, std::span<const config::KeySettings> stored_keys);
    /// Prometheus text: of notices, and what teams' and orgs' budgets stand at. Any thread.
    [[nodiscard]] std::string metrics() const;

private:
    struct Impl;
    explicit Notifier(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// What a webhook's receiver compares with `webhook-signature`, without `v1,`: base64 of
/// HMAC-SHA256 over id, time in seconds and body, with a dot between them.
[[nodiscard]] std::string notice_signature(std::string_view signing_key, std::string_view id,
    std::int64_t seconds_since_epoch, std::string_view body);

}  // namespace entrepot::control
