#include "control/stored_budgets.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/load.h"
#include "control/stored_keys.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

constexpr std::array kKinds{ledger::OwnerKind::kKey, ledger::OwnerKind::kProject,
    ledger::OwnerKind::kTeam, ledger::OwnerKind::kOrg};

// `team/search/month/Europe/Stockholm`; a zone has slashes of its own.
Result<BudgetIdentity> parse_identity(std::string_view text) {
    const std::vector<std::string_view> parts = split(text, '/');
    constexpr std::size_t kPartsMin = 4;
    if (parts.size() < kPartsMin)
        return fail(ErrorCode::kIo, fmt::format("'{}' names no budget of the store", text));
    BudgetIdentity identity;
    ENTREPOT_TRY(identity.owner, BudgetOwner::parse(fmt::format("{}:{}", parts[0], parts[1])));
    ENTREPOT_TRY(identity.period, parse_period_kind(parts[2]));
    identity.zone = text.substr(static_cast<std::size_t>(parts[3].data() - text.data()));
    return identity;
}

template <typename Entries>
auto find_owner(Entries& entries, std::string_view name) -> decltype(&entries.front()) {
    const auto found =
        std::ranges::find_if(entries, [&](const auto& entry) { return entry.id.view() == name; });
    return found == entries.end() ? nullptr : &*found;
}

template <typename SettingsType, typename Keys>
auto budgets_in(SettingsType& settings, Keys& stored_keys, const BudgetOwner& owner)
    -> decltype(&settings.keys.front().budgets) {
    const auto of = [](auto* entry) { return entry == nullptr ? nullptr : &entry->budgets; };
    switch (owner.kind) {
        case ledger::OwnerKind::kOrg: return of(find_owner(settings.orgs, owner.name));
        case ledger::OwnerKind::kTeam: return of(find_owner(settings.teams, owner.name));
        case ledger::OwnerKind::kProject: return of(find_owner(settings.projects, owner.name));
        case ledger::OwnerKind::kEndUser: return nullptr;  // the file's alone
        case ledger::OwnerKind::kKey: {
            auto* const found = of(find_owner(settings.keys, owner.name));
            return found != nullptr ? found : of(find_owner(stored_keys, owner.name));
        }
    }
    return nullptr;
}

}  // namespace

Result<BudgetOwner> BudgetOwner::parse(std::string_view text) {
    const auto colon = text.find(':');
    if (colon != std::string_view::npos && colon + 1 < text.size())
        for (const ledger::OwnerKind kind : kKinds)
            if (text.substr(0, colon) == ledger::owner_kind_name(kind))
                return BudgetOwner{kind, std::string(text.substr(colon + 1))};
    return fail_field(ErrorCode::kInvalidField, "owner",
        fmt::format(
            "'{}' is no owner of budgets; write org:NAME, team:NAME, project:NAME or key:NAME",
            excerpt(text)));
}

std::string BudgetOwner::to_string() const {
    return fmt::format("{}:{}", ledger::owner_kind_name(kind), name);
}

std::string BudgetIdentity::to_string() const {
    return fmt::format("{}/{}/{}/{}", ledger::owner_kind_name(owner.kind), owner.name,
        period_kind_name(period), zone);
}

std::string budget_to_json(const config::BudgetSettings& budget) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object()
        .member("limit", budget.limit.to_decimal())
        .member("period", period_kind_name(budget.period))
        .member("timezone", budget.zone.name());
    write_notify(writer, budget.notify);
    writer.end_object();
    return out;
}

std::string raise_to_json(const Raise& raise) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object()
        .member("by", raise.by.to_decimal())
        .member("until", to_rfc3339(raise.until))
        .end_object();
    return out;
}

Result<std::vector<StoredBudget>> load_stored_budgets(
    const store::SettingsStore& store, const config::Settings& settings) {
    ENTREPOT_TRY(const std::vector<store::Setting> entries, store.list("budget"));
    std::vector<StoredBudget> budgets;
    for (const store::Setting& entry : entries) {
        StoredBudget budget;
        ENTREPOT_TRY(budget.identity, parse_identity(entry.name));
        ENTREPOT_TRY(budget.settings, config::read_budget(entry.name, entry.json, settings));
        budgets.push_back(std::move(budget));
    }
    return budgets;
}

Result<std::vector<StoredRaise>> load_raises(const store::SettingsStore& store) {
    ENTREPOT_TRY(const std::vector<store::Setting> entries, store.list("raise"));
    std::vector<StoredRaise> raises;
    for (const store::Setting& entry : entries) {
        StoredRaise raise;
        ENTREPOT_TRY(raise.identity, parse_identity(entry.name));
        ENTREPOT_TRY(const json::Document document, json::Document::parse(entry.json));
        ENTREPOT_TRY(raise.raise.by, Money::parse(document.root()["by"].string()));
        ENTREPOT_TRY(raise.raise.until, parse_instant(document.root()["until"].string()));
        raises.push_back(std::move(raise));
    }
    return raises;
}

const std::vector<config::BudgetSettings>* budgets_of(const config::Settings& settings,
    std::span<const config::KeySettings> stored_keys, const BudgetOwner& owner) {
    return budgets_in(settings, stored_keys, owner);
}

Result<std::optional<Instant>> add_stored_budgets(const store::SettingsStore& store,
    config::Settings& settings, std::vector<config::KeySettings>& stored_keys, Instant now) {
    ENTREPOT_TRY(const std::vector<StoredBudget> budgets, load_stored_budgets(store, settings));
    for (const StoredBudget& budget : budgets)
        if (auto* const of_owner = budgets_in(settings, stored_keys, budget.identity.owner))
            of_owner->push_back(budget.settings);
    ENTREPOT_TRY(const std::vector<StoredRaise> raises, load_raises(store));
    std::optional<Instant> first_end;
    for (const StoredRaise& raise : raises) {
        auto* const of_owner = budgets_in(settings, stored_keys, raise.identity.owner);
        if (of_owner == nullptr || raise.raise.until <= now) continue;
        first_end = std::min(first_end.value_or(raise.raise.until), raise.raise.until);
        for (config::BudgetSettings& budget : *of_owner)
            if (raise.identity.is(budget)) {
                budget.raise = raise.raise.by;
                budget.raise_until = raise.raise.until;
            }
    }
    return first_end;
}

}  // namespace entrepot::control
