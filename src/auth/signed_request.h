#pragma once

#include <optional>
#include <string_view>

#include "auth/key_index.h"
#include "crypto/sigv4.h"

// Clients of AWS sign what they send instead of sending a secret. They are served when they sign
// with an access key that the gateway has issued; a real one of AWS must not get here.
namespace entrepot::auth {

[[nodiscard]] bool is_signed(std::string_view authorization);

/// Whose request it is. `request` is as it came, its body's digest aside; `body`: the whole body,
/// or nothing while it has not come, and then the key is looked up and the signature still open.
/// Errors: kForbidden (a key of AWS or of nobody, a wrong signature, and what about it is wrong),
/// kUnauthenticated (a header that cannot be read).
[[nodiscard]] Result<const Principal*> authenticate_signed(const KeyIndex& keys,
    std::string_view authorization, crypto::sigv4::Request request,
    std::optional<std::string_view> body, Instant now, crypto::sigv4::KeyCache& derived);

}  // namespace entrepot::auth
