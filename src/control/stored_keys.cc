#include "control/stored_keys.h"

#include <fmt/format.h>

#include "config/load.h"
#include "json/writer.h"

namespace entrepot::control {
void write_notify(json::Writer& writer, const std::optional<config::NotifySettings>& notify) {
    if (!notify) return;
    writer.key("notify").begin_object().key("at").begin_array();
    for (const std::int64_t share : notify->at) writer.number(share);
    writer.end_array().member("webhook", notify->webhook).end_object();
}

std::string key_document(
    const json::Value& asked, std::span<const auth::Digest> secrets, bool disabled) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : asked.members())
        if (member.key != "name" && member.key != "secret_hash" && member.key != "disabled")
            writer.member_raw(member.key, member.value.raw());
    writer.key("secret_hash").begin_array();
    for (const auth::Digest& digest : secrets) writer.string(auth::to_string(digest));
    writer.end_array();
    if (disabled) writer.member_bool("disabled", true);
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
