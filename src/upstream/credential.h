#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "crypto/rsa.h"
#include "runtime/snapshot.h"

namespace entrepot::upstream {

/// What a cloud is shown in place of constants: AWS's keys, an OAuth token, or Oracle's key.
struct Credential {
    static constexpr Instant kNever{std::numeric_limits<std::int64_t>::max()};

    Secret access_key_id, secret_access_key, session_token;  ///< AWS; the last may be empty
    Secret bearer;                                           ///< OAuth
    /// Oracle: what signs, and what a signature calls it.
    std::optional<crypto::RsaPrivateKey> signing_key = std::nullopt;
    std::string key_id = {};
    Instant expires = kNever;

    [[nodiscard]] bool is_live(Instant now) const { return now < expires; }
};

/// How it stands with one source: what is held, live or not, and why the last fetch failed.
struct CredentialState {
    std::optional<Credential> held;
    std::string trouble;  ///< empty after a fetch that succeeded; for our log, not for clients

    [[nodiscard]] bool is_live(Instant now) const { return held && held->is_live(now); }
};

/// The place where a credential is published to every core. Whoever holds it keeps it fresh: it is
/// fetched anew for as long as somebody does.
using CredentialCell = Snapshot<CredentialState>;

/// One core's view of it: reading costs one atomic load while nothing new was published.
class CredentialReader {
public:
    explicit CredentialReader(std::shared_ptr<const CredentialCell> cell)
        : cell_(std::move(cell)), reader_(*cell_) {}

    /// What may be shown to the cloud now; valid until the next call. Errors: kUpstreamAuth.
    [[nodiscard]] Result<const Credential*> live(Instant now) {
        const CredentialState& state = *reader_.get();
        if (state.is_live(now)) return &*state.held;
        return fail(ErrorCode::kUpstreamAuth,
            "the gateway has no valid credentials for this cloud at present",
            (state.held ? "its credentials have expired" : "it has no credentials yet") +
                (state.trouble.empty() ? std::string() : ": " + state.trouble));
    }

private:
    std::shared_ptr<const CredentialCell> cell_;
    CredentialCell::Reader reader_;
};

}  // namespace entrepot::upstream
