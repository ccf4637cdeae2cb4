#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "ledger/types.h"
#include "store/settings.h"

namespace entrepot::control {

/// Who has budgets: `team:search`.
struct BudgetOwner {
    ledger::OwnerKind kind = ledger::OwnerKind::kKey;
    std::string name;

    /// Errors: kInvalidField.
    [[nodiscard]] static Result<BudgetOwner> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const BudgetOwner&, const BudgetOwner&) = default;
};

/// What makes a budget that one and no other; the limit does not.
struct BudgetIdentity {
    BudgetOwner owner;
    PeriodKind period = PeriodKind::kMonth;
    std::string zone;

    /// `team/search/month/Europe/Stockholm`: its name in the store.
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] bool is(const config::BudgetSettings& budget) const {
        return budget.period == period && budget.zone.name() == zone;
    }
    friend bool operator==(const BudgetIdentity&, const BudgetIdentity&) = default;
};

/// More money for a while.
struct Raise {
    Money by;
    Instant until;
};

/// The budgets and raises that live in the store: kinds `budget` and `raise`, by identity.
struct StoredBudget {
    BudgetIdentity identity;
    config::BudgetSettings settings;
};
struct StoredRaise {
    BudgetIdentity identity;
    Raise raise;
};

[[nodiscard]] std::string budget_to_json(const config::BudgetSettings& budget);
[[nodiscard]] std::string raise_to_json(const Raise& raise);

/// Errors: kIo, kBadConfiguration.
[[nodiscard]] Result<std::vector<StoredBudget>> load_stored_budgets(
    const store::SettingsStore& store, const config::Settings& settings);
[[nodiscard]] Result<std::vector<StoredRaise>> load_raises(const store::SettingsStore& store);

/// The budgets of an owner in these settings; null when there is no such owner.
[[nodiscard]] const std::vector<config::BudgetSettings>* budgets_of(
    const config::Settings& settings, std::span<const config::KeySettings> stored_keys,
    const BudgetOwner& owner);

/// Puts the store's budgets beside those of the file and of the stored keys, and raises those that
/// are raised at `now`. When the first of the raises ends; nothing: none is on. Budgets whose owner
/// is gone bind nobody. Errors: kIo, kBadConfiguration.
[[nodiscard]] Result<std::optional<Instant>> add_stored_budgets(const store::SettingsStore& store,
    config::Settings& settings, std::vector<config::KeySettings>& stored_keys, Instant now);

}  // namespace entrepot::control
