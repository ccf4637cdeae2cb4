#include "config/aws_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace entrepot::config {
namespace {

constexpr std::string_view kBlanks = " \t";

std::unexpected<Error> refuse(std::size_t line, std::string_view why) {
    return fail(ErrorCode::kBadConfiguration, fmt::format("line {}: {}", line, why));
}

/// Without a comment, which begins with `#` or `;` after a blank.
std::string_view without_comment(std::string_view text) {
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        if (kBlanks.find(text[i]) != std::string_view::npos &&
            (text[i + 1] == '#' || text[i + 1] == ';'))
            return text.substr(0, i);
    return text;
}

bool is_key(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-' || c == '.';
    });
}

/// The profile that a header's words name; empty for another section.
std::string_view profile_of(std::string_view name, AwsSharedFile::Kind kind) {
    if (kind == AwsSharedFile::Kind::kCredentials || name == "default") return name;
    constexpr std::string_view kWord = "profile";
    if (!name.starts_with(kWord) || name.size() <= kWord.size() ||
        kBlanks.find(name[kWord.size()]) == std::string_view::npos)
        return {};
    name = trim(name.substr(kWord.size()));
    if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') &&
        name.back() == name.front())
        name = name.substr(1, name.size() - 2);
    return name;
}

}  // namespace

Result<AwsSharedFile> AwsSharedFile::parse(std::string_view text, Kind kind) {
    AwsSharedFile file;
    bool in_section = false;
    Profile* profile = nullptr;  // null in a section that is left alone
    Setting* last = nullptr;
    Profile ignored;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (std::ranges::any_of(
                line, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; }))
            return refuse(number, "it holds a control character");
        const std::string_view content = trim(line);
        if (content.empty() || content.front() == '#' || content.front() == ';') continue;
        if (kBlanks.find(line.front()) != std::string_view::npos) {
            if (last == nullptr) return refuse(number, "it is indented, and continues no setting");
            last->is_continued = true;
            continue;
        }
        if (content.front() == '[') {
            const std::size_t close = content.find(']');
            if (close == std::string_view::npos) return refuse(number, "']' is missing");
            const std::string_view rest = trim(content.substr(close + 1));
            if (!rest.empty() && rest.front() != '#' && rest.front() != ';')
                return refuse(number, "something follows ']'");
            const std::string_view name = trim(content.substr(1, close - 1));
            if (name.empty()) return refuse(number, "the section has no name");
            const std::string_view named = profile_of(name, kind);
            ignored.clear();
            profile = named.empty() ? &ignored : &file.profiles_[std::string(named)];
            in_section = true;
            last = nullptr;
            continue;
        }
        if (!in_section) return refuse(number, "it stands before the first [profile]");
        const std::size_t equals = content.find('=');
        if (equals == std::string_view::npos)
            return refuse(number, "it is neither 'key = value' nor [profile] nor a comment");
        const std::string_view key = trim(content.substr(0, equals));
        if (!is_key(key))
            return refuse(number, "the key is not made of letters, digits, '_', '-' and '.'");
        const std::string_view value = trim(without_comment(content.substr(equals + 1)));
        const auto [place, fresh] = profile->try_emplace(to_lower(key));
        if (!fresh)
            return refuse(number,
                fmt::format("'{}' stands in line {} already; keep one of them", place->first,
                    place->second.line));
        place->second.value = Secret(std::string(value));
        place->second.line = number;
        last = &place->second;
    }
    return file;
}

const AwsSharedFile::Profile* AwsSharedFile::find(std::string_view profile) const {
    const auto found = profiles_.find(profile);
    return found == profiles_.end() ? nullptr : &found->second;
}

namespace {

struct Unsupported {
    std::string_view key;
    std::string_view what;
    bool is_behind_keys;  ///< AWS's tools use an access key of the profile first
};

constexpr std::array kUnsupported{
    Unsupported{"source_profile", "assumes a role with another profile's credentials", false},
    Unsupported{"credential_source", "assumes a role with the machine's credentials", false},
    Unsupported{"web_identity_token_file",
        "assumes a role with a web identity; write from: web_identity instead", false},
    Unsupported{"role_arn", "assumes a role", false},
    Unsupported{"sso_session", "signs on at an identity centre", false},
    Unsupported{"sso_start_url", "signs on at an identity centre", false},
    Unsupported{"login_session", "signs on in a browser", false},
    Unsupported{"credential_process", "runs a program", true},
};

Result<Secret> setting_of(
    const AwsSharedFile::Profile& profile, std::string_view key, std::string_view file) {
    const auto found = profile.find(key);
    if (found == profile.end()) return Secret();
    if (found->second.is_continued)
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("{}: line {}: '{}' goes on over a further line; write it on one", file,
                found->second.line, key));
    for (const char c : found->second.value.reveal())
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("{}: line {}: '{}' holds a blank or a character that is not ASCII",
                    file, found->second.line, key));
    return found->second.value;
}

}  // namespace

Result<AwsKeys> aws_profile_keys(const AwsSharedFiles& files, std::string_view profile) {
    struct Source {
        std::string_view name;
        const std::optional<std::string>* text;
        AwsSharedFile::Kind kind;
    };
    const std::array sources{
        Source{"the credentials file", &files.credentials, AwsSharedFile::Kind::kCredentials},
        Source{"the config file", &files.config, AwsSharedFile::Kind::kConfig}};
    std::array<AwsSharedFile, 2> read;
    std::array<const AwsSharedFile::Profile*, 2> found{};
    for (std::size_t i = 0; i < sources.size(); ++i) {
        if (!*sources[i].text) continue;
        auto parsed = AwsSharedFile::parse(**sources[i].text, sources[i].kind);
        if (!parsed)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("{}: {}", sources[i].name, parsed.error().message));
        read[i] = std::move(*parsed);
        found[i] = read[i].find(profile);
    }
    if (found[0] == nullptr && found[1] == nullptr)
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("there is no profile '{}' in them", excerpt(profile)));

    const auto has = [&](std::string_view key) {
        return std::ranges::any_of(found, [&](const AwsSharedFile::Profile* one) {
            return one != nullptr && one->contains(key);
        });
    };
    const bool has_keys = has("aws_access_key_id");
    for (const Unsupported& row : kUnsupported)
        if (has(row.key) && !(row.is_behind_keys && has_keys))
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("the profile '{}' has '{}': it {}, which is not supported; give a "
                            "profile with an access key, or another `from`",
                    excerpt(profile), row.key, row.what));

    for (std::size_t i = 0; i < sources.size(); ++i) {
        if (found[i] == nullptr || !found[i]->contains("aws_access_key_id")) continue;
        AwsKeys keys;
        ENTREPOT_TRY(
            keys.access_key_id, setting_of(*found[i], "aws_access_key_id", sources[i].name));
        ENTREPOT_TRY(keys.secret_access_key,
            setting_of(*found[i], "aws_secret_access_key", sources[i].name));
        ENTREPOT_TRY(
            keys.session_token, setting_of(*found[i], "aws_session_token", sources[i].name));
        for (const auto& [key, value] : {std::pair("aws_access_key_id", &keys.access_key_id),
                 std::pair("aws_secret_access_key", &keys.secret_access_key)})
            if (value->empty())
                return fail(ErrorCode::kBadConfiguration,
                    fmt::format("the profile '{}' has no '{}' in {}", excerpt(profile), key,
                        sources[i].name));
        return keys;
    }
    return fail(ErrorCode::kBadConfiguration,
        fmt::format("the profile '{}' has no 'aws_access_key_id'", excerpt(profile)));
}

}  // namespace entrepot::config
