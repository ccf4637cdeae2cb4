#include "config/settings.h"

#include <algorithm>

namespace entrepot::config {

std::string_view cloud_kind_name(CloudKind kind) {
    switch (kind) {
        case CloudKind::kOpenai: return "openai";
        case CloudKind::kOpenaiCompatible: return "openai_compatible";
        case CloudKind::kAzure: return "azure";
        case CloudKind::kAnthropic: return "anthropic";
        case CloudKind::kBedrock: return "bedrock";
        case CloudKind::kVertex: return "vertex";
        case CloudKind::kGemini: return "gemini";
        case CloudKind::kOci: return "oci";
        case CloudKind::kCohere: return "cohere";
    }
    return "openai";
}

std::optional<CloudKind> parse_cloud_kind(std::string_view name) {
    for (const auto kind : {CloudKind::kOpenai, CloudKind::kOpenaiCompatible, CloudKind::kAzure,
             CloudKind::kAnthropic, CloudKind::kBedrock, CloudKind::kVertex, CloudKind::kGemini,
             CloudKind::kOci, CloudKind::kCohere})
        if (name == cloud_kind_name(kind)) return kind;
    return std::nullopt;
}

bool is_supported(CloudKind kind) {
    return kind <= CloudKind::kBedrock;  // the enumeration lists the supported ones first
}

namespace {

template <typename T>
const T* find_by_id(const std::vector<T>& entries, std::string_view id) {
    const auto found = std::ranges::find_if(entries, [&](const T& e) { return e.id.view() == id; });
    return found == entries.end() ? nullptr : &*found;
}

bool same_listen(const ListenSettings& a, const ListenSettings& b) {
    const auto same_tls = [](const TlsSettings& x, const TlsSettings& y) {
        return x.cert_file == y.cert_file && x.key_file == y.key_file &&
            x.client_ca_file == y.client_ca_file;
    };
    return a.address == b.address && a.port == b.port && a.trusted_proxies == b.trusted_proxies &&
        a.tls.has_value() == b.tls.has_value() && (!a.tls || same_tls(*a.tls, *b.tls));
}

}  // namespace

const CloudSettings* Settings::find_cloud(std::string_view id) const {
    return find_by_id(clouds, id);
}
const ModelSettings* Settings::find_model(std::string_view id) const {
    return find_by_id(models, id);
}
const TeamSettings* Settings::find_team(std::string_view id) const { return find_by_id(teams, id); }
const OrgSettings* Settings::find_org(std::string_view id) const { return find_by_id(orgs, id); }
const KeySettings* Settings::find_key(std::string_view id) const { return find_by_id(keys, id); }

std::vector<std::string> needs_restart(const Settings& running, const Settings& changed) {
    std::vector<std::string> names;
    if (!same_listen(running.listen, changed.listen)) names.emplace_back("listen");
    if (!same_listen(running.admin, changed.admin)) names.emplace_back("admin");
    if (running.data != changed.data) names.emplace_back("data");
    if (running.threads != changed.threads) names.emplace_back("threads");
    if (running.durability != changed.durability) names.emplace_back("durability");
    if (running.currency != changed.currency) names.emplace_back("currency");
    return names;
}

}  // namespace entrepot::config
