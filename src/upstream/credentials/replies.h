#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "upstream/credential.h"

// What the endpoints answer, read. Pure: each is handed the status, the body and the time.
namespace entrepot::upstream {

/// The longest time for which a credential is believed to hold, whatever its issuer says.
inline constexpr seconds kLifetimeMax{7 * 86'400};

/// `{"AccessKeyId","SecretAccessKey","Token","Expiration"}`, of instance metadata (which adds
/// `Code`) and of the container endpoint. Errors: kUpstreamAuth, kUpstreamProtocol.
[[nodiscard]] Result<Credential> read_aws_keys(int status, std::string_view body, Instant now);

/// STS's answer to AssumeRoleWithWebIdentity, in JSON or in XML: some endpoints know one of them
/// alone. Errors: kUpstreamAuth with STS's own code, kUpstreamProtocol.
[[nodiscard]] Result<Credential> read_sts_reply(int status, std::string_view body, Instant now);

/// `{"access_token","expires_in" or "expires_on","token_type"}`, numbers also as text. `asked` is
/// when the request went out: from then on the token ages. Errors: kUpstreamAuth with the
/// endpoint's own words, kUpstreamProtocol.
[[nodiscard]] Result<Credential> read_oauth_reply(int status, std::string_view body, Instant asked);

}  // namespace entrepot::upstream
