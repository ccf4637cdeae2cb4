#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/rsa.h"

namespace entrepot::config {

/// A Google service account's key file.
struct GoogleKey {
    std::string client_email;
    std::string private_key_id;
    crypto::RsaPrivateKey private_key;
    std::string token_uri;
};

/// Reads the file's JSON. `may_name_any_host`: the configuration has a token endpoint of its own,
/// so the file's is not used and not judged; otherwise it must be one that Google documents,
/// because what is sent there buys a token for the whole account. Errors: kBadConfiguration; the
/// message shows nothing of the key.
[[nodiscard]] Result<GoogleKey> parse_google_key(std::string_view text, bool may_name_any_host);

}  // namespace entrepot::config
