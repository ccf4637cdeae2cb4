#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "config/settings.h"

namespace entrepot::config {

/// A profile of the file that Oracle's tools share, `~/.oci/config`.
struct OciProfile {
    std::string tenancy, user, fingerprint;
    std::string key_file;             ///< as written; see file_of_profile
    std::string security_token_file;  ///< likewise; not empty: a session takes the user's place
    Secret pass_phrase;               ///< of the key; may be empty
    std::string region;               ///< may be empty

    /// What a signature names as its key, without a session.
    [[nodiscard]] std::string key_id() const { return tenancy + "/" + user + "/" + fingerprint; }
};

/// Reads a profile; what it does not say comes from `[DEFAULT]`, as in Oracle's tools. Errors:
/// kBadConfiguration with the line, naming what is malformed, missing, or asked for and not done
/// here (a delegation token); no message shows a value.
[[nodiscard]] Result<OciProfile> parse_oci_profile(std::string_view text, std::string_view profile);

/// Where a file is that a profile of `settings.config_file` names: `~/` stands for the home
/// directory, and what is not absolute lies beside the profile.
[[nodiscard]] std::string file_of_profile(
    const CredentialSettings& settings, std::string_view name);

/// `name` with the home directory in place of a leading `~`.
[[nodiscard]] std::string expand_home(std::string_view name, std::string_view home);

/// What is wrong with an OCID of that kind (`tenancy`, `user`), or empty.
[[nodiscard]] std::string ocid_fault(std::string_view text, std::string_view kind);
/// Whether it is 16 pairs of hex digits with colons.
[[nodiscard]] bool is_fingerprint(std::string_view text);

}  // namespace entrepot::config
