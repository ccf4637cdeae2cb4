#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"
#include "runtime/scope.h"
#include "runtime/side_thread.h"
#include "upstream/credentials/source.h"

namespace entrepot::upstream {

/// What happened to one source.
struct CredentialEvent {
    std::string_view name;  ///< of the cloud that wanted it first
    bool is_fetched = false;
    bool is_live = false;      ///< something may still be shown to the cloud
    Instant expires;           ///< of what is held, when it is live
    std::string_view trouble;  ///< why it was not fetched
    int failures = 0;          ///< in a row; after a success those before it
};

struct KeeperOptions {
    milliseconds backoff_first{1'000};  ///< doubles with each failure in a row
    milliseconds backoff_max{60'000};
    milliseconds interval_min{1'000};  ///< between two fetches that succeed
    /// Between two fetches that a cloud's refusal asked for: it may refuse for another reason.
    milliseconds doubt_interval{60'000};
};

/// Fetches the credentials of all clouds on one core, well ahead of their end, and publishes them
/// to every core. One fetch per source at a time, whoever waits for it.
///
/// A credential is fetched anew when a quarter of the time that it had left is left, somewhat
/// earlier by chance so that a fleet does not come at once; what its issuer gives again unchanged
/// is asked for again at a quarter of the rest. A failed fetch is repeated after an exponential
/// back-off with jitter; what is held stays in use until it expires.
class CredentialKeeper {
public:
    /// Told of every fetch, on the owner's core.
    using Report = std::function<void(const CredentialEvent&)>;

    CredentialKeeper(Core& owner, Report report, KeeperOptions options = {});
    /// After `stop`, or when the owner never ran.
    ~CredentialKeeper();
    CredentialKeeper(const CredentialKeeper&) = delete;
    CredentialKeeper& operator=(const CredentialKeeper&) = delete;

    /// The place where that source's credential is published, begun to be fetched when nobody holds
    /// it yet. Any thread.
    [[nodiscard]] std::shared_ptr<const CredentialCell> keep(
        std::string_view name, std::shared_ptr<const CredentialSource> source);

    /// A cloud refused what is held: it is fetched anew soon, though it may not have expired. Any
    /// thread.
    void doubt(std::shared_ptr<const CredentialCell> cell);

    /// Waits until every source has been fetched or has failed once, at most for `patience`; false
    /// when that was not enough. Any thread but a core's.
    bool wait_first(milliseconds patience);

    /// Calls everything off and waits for it. Owner's core.
    [[nodiscard]] Co<void> stop();

private:
    struct Entry;
    void begin(const std::shared_ptr<Entry>& entry);
    [[nodiscard]] Co<void> run(std::shared_ptr<Entry> entry);
    [[nodiscard]] Task<void> refresh(Entry& entry);
    [[nodiscard]] Task<void> wait_until_due(Entry& entry);
    void settled(Entry& entry);
    [[nodiscard]] nanoseconds backoff(int failures);

    Core& owner_;
    Report report_;
    KeeperOptions options_;
    SideThread side_;
    std::unique_ptr<net::HttpClient> client_;  // made on the owner's core

    std::mutex mutex_;  // of what follows
    std::condition_variable first_;
    std::size_t unsettled_ = 0;
    std::vector<std::shared_ptr<Entry>> entries_;

    Scope scope_;
};

}  // namespace entrepot::upstream
