#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "json/value.h"
#include "json/writer.h"
#include "store/settings.h"

namespace entrepot::control {

/// The document of a key as the store keeps it: what was asked for, with these secrets, as hashes,
/// and this state.
[[nodiscard]] std::string key_document(
    const json::Value& asked, std::span<const auth::Digest> secrets, bool disabled);

/// `notify: {...}` of a budget, when it has one.
void write_notify(json::Writer& writer, const std::optional<config::NotifySettings>& notify);

/// All keys of the store, checked against the settings (teams, clouds, models, regions, width).
/// Errors: kIo, and kBadConfiguration with every problem.
[[nodiscard]] Result<std::vector<config::KeySettings>> load_stored_keys(
    const store::SettingsStore& store, const config::Settings& settings);

}  // namespace entrepot::control
