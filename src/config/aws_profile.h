#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace entrepot::config {

/// One of the two files that AWS's tools share, `~/.aws/credentials` and `~/.aws/config`, read
/// strictly: what their loose grammar leaves open to guessing (a key twice in a section, a line
/// that is neither header, setting nor comment) is refused with its line. No message shows a value.
class AwsSharedFile {
public:
    enum class Kind : std::uint8_t {
        kCredentials,  ///< `[name]` begins a profile
        kConfig,       ///< `[profile name]` and `[default]` do; other sections are left alone
    };
    struct Setting {
        Secret value;
        std::size_t line = 0;
        bool is_continued = false;  ///< indented lines follow it
    };
    using Profile = std::map<std::string, Setting, std::less<>>;  ///< by key, lower case

    /// Errors: kBadConfiguration with the line.
    [[nodiscard]] static Result<AwsSharedFile> parse(std::string_view text, Kind kind);
    /// Null when there is none of that name.
    [[nodiscard]] const Profile* find(std::string_view profile) const;

private:
    std::map<std::string, Profile, std::less<>> profiles_;
};

/// An access key pair, and the session token of a temporary one.
struct AwsKeys {
    Secret access_key_id, secret_access_key, session_token;
};

/// What both files say, as text; nothing for one that is not there.
struct AwsSharedFiles {
    std::optional<std::string> credentials;
    std::optional<std::string> config;
};

/// The keys of a profile: of the credentials file, else of the config file. Errors:
/// kBadConfiguration naming what is malformed or missing, and by name what a profile may ask for
/// and we do not do: assuming a role from another profile, single sign-on, a program to be run.
[[nodiscard]] Result<AwsKeys> aws_profile_keys(
    const AwsSharedFiles& files, std::string_view profile);

}  // namespace entrepot::config
