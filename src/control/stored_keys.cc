#include "control/stored_keys.h"

#include <fmt/format.h>

#include "config/load.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

void write_names(
    json::Writer& writer, std::string_view name, const std::vector<std::string>& values) {
    writer.key(name).begin_array();
    for (const std::string& value : values) writer.string(value);
    writer.end_array();
}

}  // namespace

void write_notify(json::Writer& writer, const std::optional<config::NotifySettings>& notify) {
    if (!notify) return;
    writer.key("notify").begin_object().key("at").begin_array();
    for (const std::int64_t share : notify->at) writer.number(share);
    writer.end_array().member("webhook", notify->webhook).end_object();
}

std::string key_to_json(const config::KeySettings& key) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("team", key.team.view());
    writer.key("secret_hash").begin_array();
    for (const auth::Digest& digest : key.digests) writer.string(auth::to_string(digest));
    writer.end_array();
    if (key.expires) writer.member("expires", to_rfc3339(*key.expires));
    if (key.disabled) writer.member_bool("disabled", true);
    if (!key.models.allows_all()) write_names(writer, "models", key.models.patterns());
    if (!key.clouds.allows_all()) write_names(writer, "clouds", key.clouds.patterns());
    if (!key.regions.allows_all()) write_names(writer, "regions", key.regions.names());
    if (!key.budgets.empty()) {
        writer.key("budgets").begin_array();
        for (const config::BudgetSettings& budget : key.budgets) {
            writer.begin_object()
                .member("limit", budget.limit.to_decimal())
                .member("period", period_kind_name(budget.period))
                .member("timezone", budget.zone.name());
            write_notify(writer, budget.notify);
            writer.end_object();
        }
        writer.end_array();
    }
    if (key.limits != auth::Limits{}) {
        writer.key("limits").begin_object();
        const auto rate = [&](std::string_view name, std::int64_t value) {
            if (value > 0) writer.member(name, value);
        };
        rate("requests_per_minute", key.limits.requests_per_minute);
        rate("tokens_per_minute", key.limits.tokens_per_minute);
        rate("concurrent", key.limits.concurrent);
        writer.end_object();
    }
    if (!key.tags.empty()) {
        writer.key("tags").begin_object();
        for (const auto& [name, value] : key.tags) writer.member(name, value);
        writer.end_object();
    }
    if (key.policy != auth::Policy{}) {
        writer.key("policy")
            .begin_object()
            .member("on_lossy", auth::on_lossy_name(key.policy.on_lossy))
            .member("on_unbounded", auth::on_unbounded_name(key.policy.on_unbounded))
            .member("budget_wait_ms", key.policy.budget_wait_ms)
            .member_bool("fail_open", key.policy.fail_open)
            .member("kept", auth::kept_scope_name(key.policy.kept));
        writer.key("expose").begin_array();
        if (key.policy.expose_offer) writer.string("offer");
        if (key.policy.expose_cost) writer.string("cost");
        writer.end_array().end_object();
    }
    writer.end_object();
    return out;
}

Result<std::vector<config::KeySettings>> load_stored_keys(
    const store::SettingsStore& store, const config::Settings& settings) {
    ENTREPOT_TRY(const std::vector<store::Setting> entries, store.list("key"));
    std::vector<config::KeySettings> keys;
    for (const store::Setting& entry : entries) {
        ENTREPOT_TRY(config::KeySettings key, config::read_key(entry.name, entry.json, settings));
        keys.push_back(std::move(key));
    }
    return keys;
}

}  // namespace entrepot::control
