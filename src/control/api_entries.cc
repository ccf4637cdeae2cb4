// Orgs, teams, projects, models and contracts as objects: those of the file to be looked at, those
// of the store to be changed too.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/load.h"
#include "control/change.h"
#include "control/routes.h"
#include "control/stored_entries.h"
#include "control/stored_keys.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

using config::StoredEntry;

/// The path of an entry and of what is in it: `teams.search`.
bool is_below(std::string_view path, std::string_view entry) {
    return path == entry || (path.starts_with(entry) && path[entry.size()] == '.');
}

std::vector<std::string> names_in(const config::Settings& settings, std::string_view section) {
    std::vector<std::string> names;
    const auto take = [&](const auto& all) {
        for (const auto& entry : all) names.push_back(entry.id.str());
    };
    if (section == "orgs") take(settings.orgs);
    if (section == "teams") take(settings.teams);
    if (section == "projects") take(settings.projects);
    if (section == "models") take(settings.models);
    if (section == "contracts")
        for (const auto& contract : settings.contracts) names.push_back(contract.name);
    return names;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

/// What the file says of an entry, path by path below it.
void write_stated(json::Writer& writer, const config::Settings& of_file, std::string_view path) {
    writer.key("stated").begin_object();
    if (of_file.stated != nullptr)
        for (const auto& [at, value] : *of_file.stated)
            if (at.size() > path.size() && is_below(at, path))
                writer.member(std::string_view(at).substr(path.size() + 1), value);
    writer.end_object();
}

void write_entry(json::Writer& writer, const ApiCall& call, std::string_view section,
    const std::string& name, std::span<const StoredEntry> stored) {
    const auto found = std::ranges::find_if(stored,
        [&](const StoredEntry& entry) { return entry.section == section && entry.name == name; });
    writer.begin_object().member("name", name);
    writer.member("origin", found == stored.end() ? "file" : "store");
    if (found != stored.end()) {
        writer.member_raw("entry", found->json);
    } else {
        write_stated(writer, call.backend.file_settings(), fmt::format("{}.{}", section, name));
    }
    writer.end_object();
}

std::unexpected<Error> unknown_entry(const ApiCall& call, std::string_view section) {
    const std::vector<std::string> names = names_in(call.backend.settings(), section);
    const std::string_view close = nearest(call.name, names);
    return fail(ErrorCode::kNotFound,
        fmt::format("There is no {} '{}'{}.", kind_of_section(section), excerpt(call.name),
            close.empty() ? "" : fmt::format("; did you mean '{}'?", close)));
}

Status check_is_of_store(const ApiCall& call, std::string_view section) {
    if (!has(names_in(call.backend.file_settings(), section), call.name)) return {};
    return fail(ErrorCode::kConflict,
        fmt::format("The {} '{}' stands in the configuration file, so it is changed there; the "
                    "gateway takes the change over by itself.",
            kind_of_section(section), excerpt(call.name)));
}

/// The entries as they would be, checked with everything that refers to them.
Result<config::Stated> check_whole(const ApiCall& call, std::span<const StoredEntry> entries) {
    config::Stated stated;
    ENTREPOT_TRY(const config::Settings whole,
        config::with_entries(call.backend.file_settings(), entries, &stated));
    auto keys = load_stored_keys(call.backend.store(), whole);
    if (keys) return stated;
    return fail(ErrorCode::kConflict,
        fmt::format("A key of the store needs it as it is: {}", keys.error().message));
}

Row row_of(std::span<const StoredEntry> entries, const config::Stated& stated,
    std::string_view section, std::string_view name) {
    Row row;
    for (const StoredEntry& entry : entries)
        if (entry.section == section && entry.name == name) row.json = entry.json;
    if (!row.json) return row;
    const std::string path = fmt::format("{}.{}", section, name);
    for (const auto& value : stated)
        if (is_below(value.first, path)) row.stated.push_back(value);
    return row;
}

/// Puts `changed` in place of what the store has.
Status change(const ApiCall& call, std::string_view section, const std::vector<StoredEntry>& stored,
    const std::vector<StoredEntry>& changed) {
    ENTREPOT_TRY(const config::Stated after, check_whole(call, changed));
    config::Stated before;
    // What is wrong with the store as it is must not keep anybody from mending it.
    (void)config::with_entries(call.backend.file_settings(), stored, &before);
    return change_and_apply(call, kind_of_section(section), call.name,
        row_of(stored, before, section, call.name), row_of(changed, after, section, call.name));
}

}  // namespace

Result<ApiAnswer> list_entries(const ApiCall& call, std::string_view section) {
    ENTREPOT_TRY(const auto stored, load_entries(call.backend.store()));
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key(section).begin_array();
    for (const std::string& name : names_in(call.backend.settings(), section))
        write_entry(writer, call, section, name, stored);
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> get_entry(const ApiCall& call, std::string_view section) {
    if (!has(names_in(call.backend.settings(), section), call.name))
        return unknown_entry(call, section);
    ENTREPOT_TRY(const auto stored, load_entries(call.backend.store()));
    std::string out;
    json::Writer writer(out);
    write_entry(writer, call, section, call.name, stored);
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> set_entry(const ApiCall& call, std::string_view section) {
    ENTREPOT_TRY_DO(object_of(call, "the entry in the form that it has in the file"));
    ENTREPOT_TRY_DO(check_is_of_store(call, section));
    ENTREPOT_TRY(const auto stored, load_entries(call.backend.store()));
    std::vector<StoredEntry> changed = stored;
    std::erase_if(changed, [&](const StoredEntry& entry) {
        return entry.section == section && entry.name == call.name;
    });
    const bool is_new = changed.size() == stored.size();
    changed.push_back({std::string(section), call.name, std::string(call.body)});
    ENTREPOT_TRY_DO(change(call, section, stored, changed));
    ENTREPOT_TRY(ApiAnswer answer, get_entry(call, section));
    answer.status = is_new ? 201 : 200;
    return answer;
}

Result<ApiAnswer> remove_entry(const ApiCall& call, std::string_view section) {
    ENTREPOT_TRY_DO(check_is_of_store(call, section));
    ENTREPOT_TRY(const auto stored, load_entries(call.backend.store()));
    std::vector<StoredEntry> changed = stored;
    std::erase_if(changed, [&](const StoredEntry& entry) {
        return entry.section == section && entry.name == call.name;
    });
    if (changed.size() == stored.size()) return unknown_entry(call, section);
    ENTREPOT_TRY_DO(change(call, section, stored, changed));
    return ApiAnswer{200, "{}"};
}

}  // namespace entrepot::control
