#include "config/settings.h"

#include <algorithm>

#include "base/text.h"

namespace entrepot::config {

std::string_view api_format_name(ApiFormat format) {
    switch (format) {
        case ApiFormat::kByModel: break;
        case ApiFormat::kOpenai: return "openai";
        case ApiFormat::kGeneric: return "generic";
        case ApiFormat::kCohere: return "cohere";
        case ApiFormat::kCohereV2: return "cohere_v2";
    }
    return "by model";
}

ApiFormat oci_format(ApiFormat stated, std::string_view model_at_cloud) {
    if (stated != ApiFormat::kByModel) return stated;
    // The second version came with these.
    for (const std::string_view name : {"cohere.command-a-reasoning", "cohere.command-a-vision"})
        if (model_at_cloud.starts_with(name)) return ApiFormat::kCohereV2;
    if (model_at_cloud.starts_with("cohere.")) return ApiFormat::kCohere;
    if (model_at_cloud.starts_with("ocid1.")) return ApiFormat::kGeneric;
    return ApiFormat::kOpenai;
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
const ProjectSettings* Settings::find_project(std::string_view id) const {
    return find_by_id(projects, id);
}
const TeamSettings* Settings::find_team(std::string_view id) const { return find_by_id(teams, id); }
const OrgSettings* Settings::find_org(std::string_view id) const { return find_by_id(orgs, id); }
const WebhookSettings* Settings::find_webhook(std::string_view name) const {
    const auto found = std::ranges::find(webhooks, name, &WebhookSettings::name);
    return found == webhooks.end() ? nullptr : &*found;
}

Secret WebhookSettings::signing_key() const {
    constexpr std::string_view kPrefix = "whsec_";
    const std::string_view text = secret.reveal();
    std::string bytes;
    if (text.starts_with(kPrefix) && base64_decode(text.substr(kPrefix.size()), bytes))
        return Secret(std::move(bytes));
    return secret;
}

const KeySettings* Settings::find_key(std::string_view id) const { return find_by_id(keys, id); }

std::vector<std::string> needs_restart(const Settings& running, const Settings& changed) {
    std::vector<std::string> names;
    if (!same_listen(running.listen, changed.listen)) names.emplace_back("listen");
    if (!same_listen(running.admin, changed.admin)) names.emplace_back("admin");
    if (running.data != changed.data) names.emplace_back("data");
    if (running.threads != changed.threads) names.emplace_back("threads");
    if (running.durability != changed.durability) names.emplace_back("durability");
    if (running.currency != changed.currency) names.emplace_back("currency");
    if (running.timeouts != changed.timeouts) names.emplace_back("timeouts");
    if (running.http2 != changed.http2) names.emplace_back("http2");
    if (running.body_bytes_max != changed.body_bytes_max) names.emplace_back("body_bytes_max");
    if (running.header_bytes_max != changed.header_bytes_max)
        names.emplace_back("header_bytes_max");
    if (running.connections_max != changed.connections_max) names.emplace_back("connections_max");
    if (running.access_log != changed.access_log) names.emplace_back("access_log");
    return names;
}

}  // namespace entrepot::config
