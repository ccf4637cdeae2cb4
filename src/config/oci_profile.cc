#include "config/oci_profile.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/text.h"
#include "config/aws_profile.h"

namespace entrepot::config {
namespace {

constexpr std::string_view kDefault = "DEFAULT";

std::unexpected<Error> bad(std::string why) {
    return fail(ErrorCode::kBadConfiguration, std::move(why));
}

/// The profile's own setting, else the default's.
Result<Secret> setting_of(
    const AwsSharedFile& file, const AwsSharedFile::Profile& profile, std::string_view key) {
    for (const AwsSharedFile::Profile* from : {&profile, file.find(kDefault)}) {
        if (from == nullptr) continue;
        const auto found = from->find(key);
        if (found == from->end()) continue;
        if (found->second.is_continued)
            return bad(fmt::format("line {}: '{}' goes on over a further line; write it on one",
                found->second.line, key));
        return found->second.value;
    }
    return Secret();
}

}  // namespace

std::string ocid_fault(std::string_view text, std::string_view kind) {
    const std::string begin = fmt::format("ocid1.{}.", kind);
    if (!text.starts_with(begin)) return fmt::format("it does not begin with '{}'", begin);
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '-' || c == '_' || c == ':'))
            return "it holds a character that an OCID cannot have";
    return {};
}

bool is_fingerprint(std::string_view text) {
    if (text.size() != 47) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (i % 3 == 2 ? c != ':' : !is_hex) return false;
    }
    return true;
}

std::string expand_home(std::string_view name, std::string_view home) {
    if (!name.starts_with("~/")) return std::string(name);
    return fmt::format("{}{}", home, name.substr(1));
}

std::string file_of_profile(const CredentialSettings& settings, std::string_view name) {
    const std::filesystem::path folder = std::filesystem::path(settings.config_file).parent_path();
    return (folder / expand_home(name, settings.home)).lexically_normal().string();
}

Result<OciProfile> parse_oci_profile(std::string_view text, std::string_view profile) {
    // The grammar is the same: sections, `key = value`, comments.
    ENTREPOT_TRY(
        const AwsSharedFile file, AwsSharedFile::parse(text, AwsSharedFile::Kind::kCredentials));
    const AwsSharedFile::Profile* found = file.find(profile);
    if (found == nullptr)
        return bad(
            fmt::format("there is no profile [{}]; add it, or name another", excerpt(profile)));
    OciProfile out;
    const auto take = [&](std::string_view key, std::string& into) -> Status {
        ENTREPOT_TRY(const Secret value, setting_of(file, *found, key));
        into = value.reveal();
        return {};
    };
    ENTREPOT_TRY_DO(take("tenancy", out.tenancy));
    ENTREPOT_TRY_DO(take("user", out.user));
    ENTREPOT_TRY_DO(take("fingerprint", out.fingerprint));
    ENTREPOT_TRY_DO(take("key_file", out.key_file));
    ENTREPOT_TRY_DO(take("security_token_file", out.security_token_file));
    ENTREPOT_TRY_DO(take("region", out.region));
    ENTREPOT_TRY(out.pass_phrase, setting_of(file, *found, "pass_phrase"));
    for (const std::string_view key : {"delegation_token_file", "authentication_type"}) {
        ENTREPOT_TRY(const Secret value, setting_of(file, *found, key));
        if (!value.empty())
            return bad(
                fmt::format("the profile has '{}', which is not supported here; use an API "
                            "signing key or a session token",
                    key));
    }
    if (out.key_file.empty()) return bad("the profile has no 'key_file'");
    if (!out.security_token_file.empty()) return out;  // the token says who it is
    if (out.tenancy.empty()) return bad("the profile has no 'tenancy'");
    if (out.user.empty()) return bad("the profile has no 'user', and no 'security_token_file'");
    if (out.fingerprint.empty()) return bad("the profile has no 'fingerprint'");
    if (const std::string fault = ocid_fault(out.tenancy, "tenancy"); !fault.empty())
        return bad(fmt::format("its 'tenancy' is no OCID of a tenancy: {}", fault));
    if (const std::string fault = ocid_fault(out.user, "user"); !fault.empty())
        return bad(fmt::format("its 'user' is no OCID of a user: {}", fault));
    if (!is_fingerprint(out.fingerprint))
        return bad("its 'fingerprint' is not 16 pairs of hex digits with colons");
    return out;
}

}  // namespace entrepot::config
