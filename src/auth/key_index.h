#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/credential.h"
#include "auth/principal.h"

namespace entrepot::auth {

/// One key as configured or stored, with the digests of its live secrets.
struct KeyEntry {
    Principal principal;  ///< `index` is assigned by the index
    std::vector<Digest> digests;
    std::optional<AccessKeyPair> access_key = std::nullopt;
};

/// Digest -> principal, immutable: a new one is built and published when keys change. One SHA-256,
/// one probe of an open-addressing table (load at most one half) and one constant-time comparison
/// per request.
class KeyIndex {
public:
    KeyIndex() = default;
    /// `entries` in the order that gives `Principal::index`. Errors: kBadConfiguration when two
    /// keys share a secret.
    [[nodiscard]] static Result<std::shared_ptr<const KeyIndex>> build(
        std::vector<KeyEntry> entries);

    /// Who presents `secret` at `now`. Errors: kUnauthenticated (unknown key), kForbidden (disabled
    /// or expired, and the message says which). The message never repeats the secret.
    [[nodiscard]] Result<const Principal*> authenticate(std::string_view secret, Instant now) const;

    /// Whose access key that is: to be believed once its signature is verified, and then to be
    /// checked by `check_live`. Null: nobody's.
    struct AccessKey {
        const Principal* principal = nullptr;
        const Secret* secret = nullptr;
    };
    [[nodiscard]] AccessKey find_access_key(std::string_view id) const;

    /// Errors: kForbidden (disabled or expired, and the message says which).
    [[nodiscard]] static Status check_live(const Principal& principal, Instant now);

    [[nodiscard]] const Principal* find(const KeyId& key) const;
    [[nodiscard]] std::size_t size() const { return principals_.size(); }
    [[nodiscard]] std::span<const Principal> principals() const { return principals_; }

private:
    struct Slot {
        Digest digest{};
        std::uint32_t principal = kEmpty;
    };
    static constexpr std::uint32_t kEmpty = 0xffff'ffff;
    [[nodiscard]] const Principal* lookup(const Digest& digest) const;

    std::vector<Principal> principals_;
    std::vector<Slot> slots_;  // a power of two
    struct SignedKey {
        std::uint32_t principal;
        Secret secret;
    };
    std::map<std::string, SignedKey, std::less<>> access_keys_;
};

}  // namespace entrepot::auth
