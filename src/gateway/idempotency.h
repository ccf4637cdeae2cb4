#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "crypto/hash.h"
#include "ledger/types.h"
#include "net/server.h"

namespace entrepot::gateway {

inline constexpr std::string_view kIdempotencyHeader = "idempotency-key";

/// The client's name for its request; nothing where it sent none. Errors: kInvalidField.
[[nodiscard]] Result<std::optional<std::string_view>> idempotency_key_of(
    const net::ServerRequest& request);
/// That name within the client key's own: the same word of two clients is not the same name.
[[nodiscard]] ledger::Fingerprint idempotency_scope(
    std::string_view client_key, std::string_view key);

}  // namespace entrepot::gateway
