#include "auth/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace entrepot::auth {

Result<OnLossy> parse_on_lossy(std::string_view text) {
    for (const auto value : {OnLossy::kRefuse, OnLossy::kMeaning, OnLossy::kName})
        if (text == on_lossy_name(value)) return value;
    return fail(
        ErrorCode::kInvalidField, fmt::format("'{}' is not one of refuse, meaning, name", text));
}

Result<OnUnbounded> parse_on_unbounded(std::string_view text) {
    for (const auto value : {OnUnbounded::kRefuse, OnUnbounded::kClamp})
        if (text == on_unbounded_name(value)) return value;
    return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not one of refuse, clamp", text));
}

Result<KeptScope> parse_kept_scope(std::string_view text) {
    for (const auto value : {KeptScope::kKey, KeptScope::kTeam, KeptScope::kOrg})
        if (text == kept_scope_name(value)) return value;
    return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not one of key, team, org", text));
}

std::string_view kept_scope_name(KeptScope value) {
    switch (value) {
        case KeptScope::kKey: return "key";
        case KeptScope::kTeam: return "team";
        case KeptScope::kOrg: return "org";
    }
    return "key";
}

std::string_view limit_level_name(LimitLevel level) {
    switch (level) {
        case LimitLevel::kKey: return "key";
        case LimitLevel::kProject: return "project";
        case LimitLevel::kTeam: return "team";
        case LimitLevel::kOrg: return "org";
    }
    return "key";
}

std::string_view on_lossy_name(OnLossy value) {
    switch (value) {
        case OnLossy::kRefuse: return "refuse";
        case OnLossy::kMeaning: return "meaning";
        case OnLossy::kName: return "name";
    }
    return "refuse";
}

std::string_view on_unbounded_name(OnUnbounded value) {
    return value == OnUnbounded::kClamp ? "clamp" : "refuse";
}

NameSet::NameSet(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {
    all_ = std::ranges::find(patterns_, "*") != patterns_.end();
}

NameSet NameSet::all() { return NameSet({"*"}); }

namespace {

bool matches(std::string_view pattern, std::string_view name) {
    if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
    return pattern == name;
}

}  // namespace

bool NameSet::allows(std::string_view name) const {
    if (all_) return true;
    return std::ranges::any_of(patterns_, [&](const std::string& p) { return matches(p, name); });
}

bool NameSet::covers_pattern(std::string_view pattern) const {
    if (all_) return true;
    if (!pattern.ends_with('*')) return allows(pattern);
    // A prefix is covered by a shorter or equal prefix, never by exact names.
    return std::ranges::any_of(patterns_, [&](const std::string& p) {
        return p.ends_with('*') && pattern.starts_with(std::string_view(p).substr(0, p.size() - 1));
    });
}

bool NameSet::covers(const NameSet& other) const {
    return std::ranges::all_of(
        other.patterns_, [&](const std::string& p) { return covers_pattern(p); });
}

RegionSet::RegionSet(std::vector<std::string> names) : names_(std::move(names)) {
    for (std::string& name : names_) name = to_lower(name);
    all_ = std::ranges::find(names_, "*") != names_.end();
}

RegionSet RegionSet::all() { return RegionSet({"*"}); }

}  // namespace entrepot::auth
