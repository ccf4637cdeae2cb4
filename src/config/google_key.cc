#include "config/google_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/value.h"

namespace entrepot::config {
namespace {

// What Google's own tools have written into key files over the years.
constexpr std::array<std::string_view, 4> kTokenUris{"https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token", "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v3/token"};

}  // namespace

Result<GoogleKey> parse_google_key(std::string_view text, bool may_name_any_host) {
    const auto bad = [](std::string why) {
        return fail(ErrorCode::kBadConfiguration, std::move(why));
    };
    const auto document = json::Document::parse(std::string(text));
    if (!document || !document->root().is_object())
        return bad("it is not the JSON of a service account's key file");
    const json::Value& root = document->root();
    const std::string_view type = root["type"].string();
    if (type != "service_account")
        return bad(fmt::format(
            "its 'type' is '{}'; only 'service_account' is supported here", excerpt(type, 40)));
    const std::string_view universe = root["universe_domain"].string();
    if (!universe.empty() && universe != "googleapis.com" && !may_name_any_host)
        return bad(
            fmt::format("it is of the universe '{}'; name its token endpoint in "
                        "credentials.endpoint",
                excerpt(universe, 60)));
    for (const std::string_view key : {"client_email", "private_key"})
        if (root[key].string().empty()) return bad(fmt::format("it has no '{}'", key));
    auto key = crypto::RsaPrivateKey::parse(root["private_key"].string());
    if (!key) return bad(fmt::format("its 'private_key': {}", key.error().message));
    std::string uri(root["token_uri"].string());
    if (uri.empty()) uri = kTokenUris.front();
    if (!may_name_any_host && std::ranges::find(kTokenUris, uri) == kTokenUris.end())
        return bad(
            fmt::format("its 'token_uri' is '{}', which is none that Google documents; if "
                        "it is meant, name it in credentials.endpoint",
                excerpt(uri, 100)));
    return GoogleKey{std::string(root["client_email"].string()),
        std::string(root["private_key_id"].string()), std::move(*key), std::move(uri)};
}

}  // namespace entrepot::config
