#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/load.h"
#include "control/change.h"
#include "control/routes.h"
#include "control/stored_keys.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

enum class Origin { kFile, kStore };

// The key as people see it: where it stands, whether it works, what it reaches. Never a secret or a
// hash.
void write_key(json::Writer& writer, const config::KeySettings& key, Origin origin,
    const config::Settings& settings, Instant now) {
    const config::TeamSettings* team = settings.find_team(key.team.view());
    writer.begin_object().member("name", key.id.view()).member("team", key.team.view());
    writer.member("org", team == nullptr ? std::string_view() : team->org.view());
    writer.member("origin", origin == Origin::kFile ? "file" : "store");
    const bool expired = key.expires && *key.expires <= now;
    writer.member("state", key.disabled ? "disabled" : expired ? "expired" : "live");
    writer.member("live_secrets", static_cast<std::int64_t>(key.digests.size()));
    if (key.expires) writer.member("expires", to_rfc3339(*key.expires));
    const auto names = [&](std::string_view name, const std::vector<std::string>& values) {
        writer.key(name).begin_array();
        for (const std::string& value : values) writer.string(value);
        writer.end_array();
    };
    names("models", key.models.patterns());
    names("clouds", key.clouds.patterns());
    names("regions", key.regions.names());
    writer.key("budgets").begin_array();
    for (const config::BudgetSettings& budget : key.budgets)
        writer.begin_object()
            .member("limit", budget.limit.to_decimal())
            .member("currency", budget.currency.code())
            .member("period", period_kind_name(budget.period))
            .member("timezone", budget.zone.name())
            .end_object();
    writer.end_array();
    writer.key("limits")
        .begin_object()
        .member("requests_per_minute", key.limits.requests_per_minute)
        .member("tokens_per_minute", key.limits.tokens_per_minute)
        .member("concurrent", key.limits.concurrent)
        .end_object();
    writer.key("tags").begin_object();
    for (const auto& [name, value] : key.tags) writer.member(name, value);
    writer.end_object().end_object();
}

std::string key_json(const config::KeySettings& key, Origin origin, const ApiCall& call) {
    std::string out;
    json::Writer writer(out);
    write_key(writer, key, origin, call.backend.settings(), call.backend.now());
    return out;
}

Error unknown_key(const ApiCall& call, const std::vector<store::Setting>& stored) {
    std::vector<std::string> names;
    for (const auto& key : call.backend.settings().keys) names.push_back(key.id.str());
    for (const auto& entry : stored) names.push_back(entry.name);
    const std::string_view close = nearest(call.name, names);
    return {ErrorCode::kNotFound,
        fmt::format("There is no key '{}'{}.", excerpt(call.name),
            close.empty() ? "" : fmt::format("; did you mean '{}'?", close)),
        {}, {}};
}

// A key of the store, which may be changed: as asked for, as read, and for the audit log.
struct StoredKey {
    std::string json;
    config::KeySettings settings;
    config::Stated stated;
};

// Errors: kConflict for a key of the file, kNotFound.
Result<StoredKey> changeable_key(const ApiCall& call) {
    if (call.backend.settings().find_key(call.name) != nullptr)
        return fail(ErrorCode::kConflict,
            fmt::format(
                "The key '{}' stands in the configuration file, so it is changed there; the "
                "gateway takes the change over by itself.",
                excerpt(call.name)));
    ENTREPOT_TRY(const auto entry, call.backend.store().get("key", call.name));
    if (!entry) {
        ENTREPOT_TRY(const auto stored, call.backend.store().list("key"));
        return std::unexpected(unknown_key(call, stored));
    }
    StoredKey key;
    key.json = entry->json;
    ENTREPOT_TRY(key.settings,
        config::read_key(entry->name, entry->json, call.backend.settings(), &key.stated));
    return key;
}

// Gives what is in the store now.
Result<config::KeySettings> put_and_apply(const ApiCall& call, const StoredKey& key,
    std::span<const auth::Digest> secrets, bool disabled) {
    ENTREPOT_TRY(const json::Document asked, json::Document::parse(key.json));
    const std::string json = key_document(asked.root(), secrets, disabled);
    config::Stated after;
    const std::string& name = key.settings.id.str();
    ENTREPOT_TRY(
        config::KeySettings made, config::read_key(name, json, call.backend.settings(), &after));
    Row before;
    if (!key.stated.empty()) before = {key.json, key.stated};
    ENTREPOT_TRY_DO(change_and_apply(call, "key", name, before, {json, after}));
    return made;
}

std::string with_secret(const config::KeySettings& key, const Secret& secret) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object()
        .member("name", key.id.view())
        .member("team", key.team.view())
        .member("secret", secret.reveal())
        .end_object();
    return out;
}

}  // namespace

Result<ApiAnswer> list_keys(const ApiCall& call) {
    const config::Settings& settings = call.backend.settings();
    ENTREPOT_TRY(const auto stored, load_stored_keys(call.backend.store(), settings));
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("keys").begin_array();
    for (const auto& key : settings.keys)
        write_key(writer, key, Origin::kFile, settings, call.backend.now());
    for (const auto& key : stored)
        write_key(writer, key, Origin::kStore, settings, call.backend.now());
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> get_key(const ApiCall& call) {
    if (const auto* key = call.backend.settings().find_key(call.name))
        return ApiAnswer{200, key_json(*key, Origin::kFile, call)};
    ENTREPOT_TRY(const auto key, changeable_key(call));
    return ApiAnswer{200, key_json(key.settings, Origin::kStore, call)};
}

Result<ApiAnswer> create_key(const ApiCall& call) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(call.body)));
    const json::Value& root = document.root();
    if (!root.is_object())
        return fail(
            ErrorCode::kBadRequest, "The body must be an object: {\"name\":...,\"team\":...}");
    const auto name = root["name"].as_string();
    if (!name)
        return fail_field(
            ErrorCode::kInvalidField, "name", "'name' is missing: the key's name, text");
    if (root.find("secret") != nullptr || root.find("secret_hash") != nullptr)
        return fail_field(ErrorCode::kInvalidField, "secret",
            "The gateway makes the secret; leave it out. A secret of your own goes into the file.");
    ENTREPOT_TRY(const auto existing, call.backend.store().get("key", *name));
    if (existing)
        return fail(ErrorCode::kConflict,
            fmt::format(
                "There is a key '{}' already; rotate it for a new secret.", excerpt(*name)));
    const Secret secret = auth::new_secret();
    StoredKey key;
    key.json = call.body;
    key.settings.id = KeyId(std::string(*name));
    const auth::Digest digest = auth::digest_of(secret.reveal());
    ENTREPOT_TRY(const config::KeySettings made, put_and_apply(call, key, {&digest, 1}, false));
    return ApiAnswer{201, with_secret(made, secret)};
}

Result<ApiAnswer> rotate_key(const ApiCall& call) {
    ENTREPOT_TRY(const StoredKey stored, changeable_key(call));
    const Secret secret = auth::new_secret();
    // The newest stands last; of two live ones the older goes.
    std::vector<auth::Digest> secrets;
    if (call.argument("drop_old") != "true" && !stored.settings.digests.empty())
        secrets.push_back(stored.settings.digests.back());
    secrets.push_back(auth::digest_of(secret.reveal()));
    ENTREPOT_TRY(const config::KeySettings made,
        put_and_apply(call, stored, secrets, stored.settings.disabled));
    return ApiAnswer{200, with_secret(made, secret)};
}

namespace {

Result<ApiAnswer> set_disabled(const ApiCall& call, bool disabled) {
    ENTREPOT_TRY(const StoredKey stored, changeable_key(call));
    ENTREPOT_TRY(const config::KeySettings made,
        put_and_apply(call, stored, stored.settings.digests, disabled));
    return ApiAnswer{200, key_json(made, Origin::kStore, call)};
}

}  // namespace

Result<ApiAnswer> disable_key(const ApiCall& call) { return set_disabled(call, true); }
Result<ApiAnswer> enable_key(const ApiCall& call) { return set_disabled(call, false); }

}  // namespace entrepot::control
