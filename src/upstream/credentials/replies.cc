#include "upstream/credentials/replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "json/value.h"

namespace entrepot::upstream {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::size_t kWordsBytesMax = 300;

std::unexpected<Error> unreadable(std::string_view why) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the answer is no credential: {}", why));
}

std::unexpected<Error> refused(int status, std::string_view code, std::string_view words) {
    std::string text = fmt::format("it answered {}", status);
    if (status >= 300 && status < 400) text += ", and redirects are not followed";
    if (!code.empty()) text += fmt::format(": {}", excerpt(code, 80));
    if (!words.empty()) text += fmt::format(": {}", excerpt(words, kWordsBytesMax));
    // A server that fails is not one that refuses; what to do about it is the same for both.
    return fail(status >= 500 ? ErrorCode::kUpstreamError : ErrorCode::kUpstreamAuth, text);
}

/// What goes into a header must not be able to end it.
bool is_word(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
    });
}

Instant at_seconds(std::int64_t seconds_since_epoch) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kNsPerSecond;
    return Instant{std::clamp<std::int64_t>(seconds_since_epoch, 0, kMost) * kNsPerSecond};
}

Result<Credential> live(Credential credential, Instant now) {
    if (!credential.is_live(now))
        return unreadable(
            fmt::format("it has expired already, at {}; is this machine's clock right?",
                to_rfc3339(credential.expires)));
    credential.expires = std::min(credential.expires, now + kLifetimeMax);
    return credential;
}

Result<Credential> aws_credential(std::string_view id, std::string_view secret,
    std::string_view token, Instant expires, Instant now) {
    if (!is_word(id)) return unreadable("it has no AccessKeyId");
    if (!is_word(secret)) return unreadable("it has no SecretAccessKey");
    if (!is_word(token)) return unreadable("it has no session token");
    Credential credential;
    credential.access_key_id = Secret(std::string(id));
    credential.secret_access_key = Secret(std::string(secret));
    credential.session_token = Secret(std::string(token));
    credential.expires = expires;
    return live(std::move(credential), now);
}

/// The text of an XML element that holds nothing but plain text; empty when it is not there.
std::string_view element(std::string_view xml, std::string_view name) {
    const std::string open = fmt::format("<{}>", name);
    const std::size_t at = xml.find(open);
    if (at == std::string_view::npos) return {};
    xml.remove_prefix(at + open.size());
    const std::size_t end = xml.find('<');
    if (end == std::string_view::npos || !xml.substr(end).starts_with(fmt::format("</{}>", name)))
        return {};
    const std::string_view text = xml.substr(0, end);
    return text.find('&') == std::string_view::npos ? trim(text) : std::string_view();
}

/// A whole number, as such or as text.
std::optional<std::int64_t> whole(const json::Value& value) {
    if (const auto number = value.as_int()) return number;
    // A fraction of a second is none that matters: `1760000000.25`.
    const std::string_view text = value.is_number() ? value.raw() : value.string();
    if (text.find_first_of("eE") != std::string_view::npos) return std::nullopt;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || (end != text.data() + text.size() && *end != '.'))
        return std::nullopt;
    return number;
}

/// A time as AWS writes it: RFC 3339, or seconds since the epoch.
std::optional<Instant> time_of(const json::Value& value) {
    if (value.is_string()) {
        const Result<Instant> at = parse_instant(value.string());
        if (at) return *at;
    }
    if (const auto number = whole(value)) return at_seconds(*number);
    return std::nullopt;
}

}  // namespace

Result<Credential> read_aws_keys(int status, std::string_view body, Instant now) {
    const auto document = json::Document::parse(std::string(body));
    const bool is_object = document && document->root().is_object();
    if (status != 200)
        return refused(status, is_object ? document->root()["code"].string() : "",
            is_object ? document->root()["message"].string() : "");
    if (!is_object) return unreadable("it is no JSON object");
    const json::Value& root = document->root();
    if (const std::string_view code = root["Code"].string(); !code.empty() && code != "Success")
        return refused(status, code, root["Message"].string());
    const auto expires = time_of(root["Expiration"]);
    if (!expires) return unreadable("it has no Expiration");
    return aws_credential(root["AccessKeyId"].string(), root["SecretAccessKey"].string(),
        root["Token"].string(), *expires, now);
}

Result<Credential> read_sts_reply(int status, std::string_view body, Instant now) {
    if (trim(body).starts_with('<')) {
        if (status != 200) return refused(status, element(body, "Code"), element(body, "Message"));
        const Result<Instant> expires = parse_instant(element(body, "Expiration"));
        if (!expires) return unreadable("it has no Expiration");
        return aws_credential(element(body, "AccessKeyId"), element(body, "SecretAccessKey"),
            element(body, "SessionToken"), *expires, now);
    }
    const auto document = json::Document::parse(std::string(body));
    const bool is_object = document && document->root().is_object();
    if (status != 200) {
        if (!is_object) return refused(status, "", "");
        const json::Value& error = document->root()["Error"];
        return refused(status, error["Code"].string(), error["Message"].string());
    }
    if (!is_object) return unreadable("it is neither a JSON object nor XML");
    const json::Value& keys = document->root()["AssumeRoleWithWebIdentityResponse"]
                                              ["AssumeRoleWithWebIdentityResult"]["Credentials"];
    const auto expires = time_of(keys["Expiration"]);
    if (!expires) return unreadable("it has no Expiration");
    return aws_credential(keys["AccessKeyId"].string(), keys["SecretAccessKey"].string(),
        keys["SessionToken"].string(), *expires, now);
}

Result<Credential> read_oauth_reply(int status, std::string_view body, Instant asked) {
    const auto document = json::Document::parse(std::string(body));
    const bool is_object = document && document->root().is_object();
    if (status != 200) {
        if (!is_object) return refused(status, "", "");
        const json::Value& error = document->root()["error"];
        // Microsoft's and Google's token endpoints, and Google's other servers.
        if (error.is_object())
            return refused(status, error["status"].string(), error["message"].string());
        return refused(status, error.string(), document->root()["error_description"].string());
    }
    if (!is_object) return unreadable("it is no JSON object");
    const json::Value& root = document->root();
    if (!is_word(root["access_token"].string())) return unreadable("it has no access_token");
    if (const std::string_view type = root["token_type"].string();
        !type.empty() && !equals_ignoring_case(type, "Bearer"))
        return unreadable(fmt::format("its token_type is '{}'", excerpt(type, 40)));
    Credential credential;
    credential.bearer = Secret(std::string(root["access_token"].string()));
    if (const auto lifetime = whole(root["expires_in"])) {
        const std::int64_t bounded = std::clamp<std::int64_t>(*lifetime, 0, kLifetimeMax.count());
        credential.expires = asked + seconds(bounded);
    } else if (const auto until = whole(root["expires_on"])) {
        credential.expires = at_seconds(*until);
    } else {
        return unreadable("it does not say when the token expires");
    }
    return live(std::move(credential), asked);
}

}  // namespace entrepot::upstream
