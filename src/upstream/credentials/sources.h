#pragma once

#include <span>
#include <utility>

#include "upstream/credentials/source.h"

// The sources of each supplier, for the registry in source.cc.
namespace entrepot::upstream {

[[nodiscard]] Result<std::shared_ptr<const CredentialSource>> make_aws_source(
    const config::CloudSettings& cloud, std::string identity);
[[nodiscard]] Result<std::shared_ptr<const CredentialSource>> make_entra_source(
    const config::CloudSettings& cloud, std::string identity);
[[nodiscard]] Result<std::shared_ptr<const CredentialSource>> make_google_source(
    const config::CloudSettings& cloud, std::string identity);
[[nodiscard]] Result<std::shared_ptr<const CredentialSource>> make_oci_source(
    const config::CloudSettings& cloud, std::string identity);

/// Where a source asks: of the settings' `endpoint`, else `documented`.
struct Asked {
    net::Origin origin;
    std::string path;  ///< of the endpoint, without a trailing slash
};
[[nodiscard]] Result<Asked> asked_of(
    const config::CloudSettings& cloud, std::string_view documented);
/// The same for what is on this machine or its link: never through a proxy.
[[nodiscard]] Result<Asked> asked_nearby(
    const config::CloudSettings& cloud, std::string_view documented);

/// `a=1&b=2`, percent-encoded.
[[nodiscard]] std::string form_of(
    std::span<const std::pair<std::string_view, std::string_view>> fields);

/// A POST of a form, as token endpoints take it.
[[nodiscard]] Fetch::Request form_request(const Asked& asked, std::string target, std::string form);

/// The error with the endpoint's name before it, and without the secrets of the fetch.
[[nodiscard]] std::unexpected<Error> told(
    const Fetch& with, const net::Origin& origin, Error error);

}  // namespace entrepot::upstream
