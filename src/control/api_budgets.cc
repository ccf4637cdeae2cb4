#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/load.h"
#include "control/change.h"
#include "control/routes.h"
#include "control/stored_budgets.h"
#include "control/stored_keys.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

/// All that is known of budgets beside the books.
struct Known {
    std::vector<config::KeySettings> keys;  ///< of the store
    std::vector<StoredBudget> budgets;      ///< of the store
    std::vector<StoredRaise> raises;
};

Result<Known> known_of(const ApiCall& call) {
    Known known;
    ENTREPOT_TRY(known.keys, load_stored_keys(call.backend.store(), call.backend.settings()));
    ENTREPOT_TRY(known.budgets, load_stored_budgets(call.backend.store(), call.backend.settings()));
    ENTREPOT_TRY(known.raises, load_raises(call.backend.store()));
    return known;
}

template <typename Entries>
auto find_identity(const Entries& entries, const BudgetIdentity& identity) {
    const auto found = std::ranges::find_if(
        entries, [&](const auto& entry) { return entry.identity == identity; });
    return found == entries.end() ? nullptr : &*found;
}

/// Where it is stated: `file`, `store`; `none` when it was taken away since the gateway ran last.
std::string_view origin_of(const BudgetIdentity& identity, const Known& known, Backend& backend) {
    const auto states = [&](const config::Settings& settings,
                            std::span<const config::KeySettings> keys) {
        const auto* const budgets = budgets_of(settings, keys, identity.owner);
        return budgets != nullptr &&
            std::ranges::any_of(*budgets, [&](const auto& budget) { return identity.is(budget); });
    };
    if (find_identity(known.budgets, identity) != nullptr) return "store";
    if (states(backend.file_settings(), {})) return "file";
    return states(backend.settings(), known.keys) ? "store" : "none";
}

void write_budget(json::Writer& writer, const store::BudgetStanding& budget, const Known& known,
    Backend& backend) {
    const BudgetIdentity identity{
        {budget.owner_kind, budget.owner}, budget.period_kind, budget.zone};
    writer.begin_object()
        .member("owner_kind", ledger::owner_kind_name(budget.owner_kind))
        .member("owner", budget.owner)
        .member("period", period_kind_name(budget.period_kind))
        .member("timezone", budget.zone)
        .member("origin", origin_of(identity, known, backend));
    if (budget.period_kind != PeriodKind::kTotal)
        writer.member("begins", to_rfc3339(budget.period.begin))
            .member("renews", to_rfc3339(budget.period.end));
    writer.member("limit", budget.limit.to_decimal())
        .member("settled", budget.settled.to_decimal())
        .member("held", budget.held.to_decimal())
        .member("overdraft", budget.overdraft.to_decimal())
        .member("available", budget.available.to_decimal())
        .member("open_holds", static_cast<std::int64_t>(budget.open_holds));
    if (const StoredRaise* raise = find_identity(known.raises, identity);
        raise != nullptr && raise->raise.until > backend.now())
        writer.member_raw("raise", raise_to_json(raise->raise));
    writer.end_object();
}

Result<ApiAnswer> answer_budgets(const ApiCall& call, const std::optional<BudgetOwner>& owner) {
    const Instant now = call.backend.now();
    ENTREPOT_TRY(const Known known, known_of(call));
    std::vector<store::BudgetStanding> budgets;
    call.backend.with_books([&](store::Books& books) { budgets = books.budgets(now); });
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", call.backend.settings().currency.code());
    writer.key("budgets").begin_array();
    for (const store::BudgetStanding& budget : budgets)
        if (!owner || (budget.owner_kind == owner->kind && budget.owner == owner->name))
            write_budget(writer, budget, known, call.backend);
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

std::string listed(const std::vector<config::BudgetSettings>& budgets) {
    std::string all;
    for (const config::BudgetSettings& budget : budgets)
        all += fmt::format("{}{} {}", all.empty() ? "" : ", ", period_kind_name(budget.period),
            budget.zone.name());
    return all.empty() ? "none" : all;
}

/// Who is named by the path, and all the budgets that he has now: of the settings, then of the
/// store. Errors: kInvalidField, kNotFound.
struct Owned {
    BudgetOwner owner;
    std::vector<config::BudgetSettings> of_settings, all;
};

Result<Owned> owned_by(const ApiCall& call, const Known& known) {
    Owned owned;
    ENTREPOT_TRY(owned.owner, BudgetOwner::parse(call.name));
    const auto* const budgets = budgets_of(call.backend.settings(), known.keys, owned.owner);
    if (budgets == nullptr)
        return fail(ErrorCode::kNotFound,
            fmt::format("There is no {} '{}'.", ledger::owner_kind_name(owned.owner.kind),
                excerpt(owned.owner.name)));
    owned.of_settings = owned.all = *budgets;
    for (const StoredBudget& budget : known.budgets)
        if (budget.identity.owner == owned.owner) owned.all.push_back(budget.settings);
    return owned;
}

/// Which of an owner's budgets is meant: the one of that period and zone; unsaid, the only one.
Result<BudgetIdentity> meant_budget(
    const Owned& owned, std::string_view period, std::string_view zone) {
    std::vector<BudgetIdentity> fits;
    for (const config::BudgetSettings& budget : owned.all)
        if ((period.empty() || period == period_kind_name(budget.period)) &&
            (zone.empty() || zone == budget.zone.name()))
            fits.push_back({owned.owner, budget.period, budget.zone.name()});
    if (fits.size() == 1) return fits.front();
    return fail_field(fits.empty() ? ErrorCode::kNotFound : ErrorCode::kInvalidField, "period",
        fmt::format("{} budgets of {} fit; it has: {}. Name period and timezone of one",
            fits.size(), owned.owner.to_string(), listed(owned.all)));
}

Row row_of(const StoredRaise* raise) {
    if (raise == nullptr) return {};
    const std::string path = fmt::format("budgets.{}.raise", raise->identity.to_string());
    return {raise_to_json(raise->raise),
        {{path + ".by", raise->raise.by.to_decimal()},
            {path + ".until", to_rfc3339(raise->raise.until)}}};
}

Result<Row> row_of(
    const ApiCall& call, const std::string& name, const config::BudgetSettings& budget) {
    Row row;
    row.json = budget_to_json(budget);
    ENTREPOT_TRY_DO(config::read_budget(name, *row.json, call.backend.settings(), &row.stated));
    return row;
}

Result<Raise> read_raise(const json::Value& root, Instant now) {
    for (const json::Member& member : root.members())
        if (member.key != "by" && member.key != "until" && member.key != "period" &&
            member.key != "timezone")
            return fail_field(ErrorCode::kInvalidField, std::string(member.key),
                fmt::format("'{}' is no member of a raise; known are by, until, period, timezone",
                    excerpt(member.key)));
    Raise raise;
    const auto by = Money::parse(root["by"].string());
    if (!by || by->is_negative() || by->is_zero() || *by > ledger::kAmountMax)
        return fail_field(ErrorCode::kInvalidField, "by",
            fmt::format("'{}' is no amount to raise by; write a decimal above 0 such as \"100.00\"",
                excerpt(root["by"].string())));
    raise.by = *by;
    const auto until = parse_instant(root["until"].string());
    if (!until || *until <= now)
        return fail_field(ErrorCode::kInvalidField, "until",
            fmt::format("'{}' is no time to come; write a date or an RFC 3339 time after {}",
                excerpt(root["until"].string()), to_rfc3339(now)));
    raise.until = *until;
    return raise;
}

}  // namespace

Result<ApiAnswer> get_budgets(const ApiCall& call) { return answer_budgets(call, std::nullopt); }

Result<ApiAnswer> get_budgets_of(const ApiCall& call) {
    ENTREPOT_TRY(const Known known, known_of(call));
    ENTREPOT_TRY(const Owned owned, owned_by(call, known));
    return answer_budgets(call, owned.owner);
}

Result<ApiAnswer> set_budget(const ApiCall& call) {
    ENTREPOT_TRY_DO(object_of(call, R"({"limit":"500.00","period":"month"})"));
    const config::Settings& settings = call.backend.settings();
    ENTREPOT_TRY(const Known known, known_of(call));
    ENTREPOT_TRY(const Owned owned, owned_by(call, known));
    ENTREPOT_TRY(const config::BudgetSettings budget,
        config::read_budget(owned.owner.to_string(), call.body, settings));
    const BudgetIdentity identity{owned.owner, budget.period, budget.zone.name()};
    const std::string name = identity.to_string();
    const auto is_it = [&](const config::BudgetSettings& other) { return identity.is(other); };
    if (std::ranges::any_of(owned.of_settings, is_it))
        return fail(ErrorCode::kConflict,
            fmt::format("The budget {} is stated where {} is: in the configuration file, or with "
                        "its key. Change it there; 'budgets raise' raises it for a while.",
                name, owned.owner.to_string()));
    const StoredBudget* const before = find_identity(known.budgets, identity);
    if (before == nullptr && owned.all.size() >= ledger::kBudgetsPerOwnerMax)
        return fail(ErrorCode::kConflict,
            fmt::format("{} has {} budgets already: {}; keep the tighter ones",
                owned.owner.to_string(), owned.all.size(), listed(owned.all)));
    Row was;
    if (before != nullptr) {
        ENTREPOT_TRY(was, row_of(call, name, before->settings));
    }
    ENTREPOT_TRY(const Row is, row_of(call, name, budget));
    ENTREPOT_TRY_DO(change_and_apply(call, "budget", name, was, is));
    return ApiAnswer{before == nullptr ? 201 : 200, *is.json};
}

Result<ApiAnswer> remove_budget(const ApiCall& call) {
    ENTREPOT_TRY(const Known known, known_of(call));
    Owned stored;
    ENTREPOT_TRY(stored.owner, BudgetOwner::parse(call.name));
    for (const StoredBudget& budget : known.budgets)
        if (budget.identity.owner == stored.owner) stored.all.push_back(budget.settings);
    ENTREPOT_TRY(const BudgetIdentity identity,
        meant_budget(stored, call.argument("period"), call.argument("timezone")));
    const std::string name = identity.to_string();
    ENTREPOT_TRY(
        const Row was, row_of(call, name, find_identity(known.budgets, identity)->settings));
    ENTREPOT_TRY_DO(change_and_apply(call, "budget", name, was, {}));
    return ApiAnswer{200, "{}"};
}

Result<ApiAnswer> raise_budget(const ApiCall& call) {
    ENTREPOT_TRY(
        const json::Document document, object_of(call, R"({"by":"100.00","until":"2026-12-01"})"));
    ENTREPOT_TRY(const Known known, known_of(call));
    ENTREPOT_TRY(const Owned owned, owned_by(call, known));
    StoredRaise raise;
    ENTREPOT_TRY(raise.raise, read_raise(document.root(), call.backend.now()));
    ENTREPOT_TRY(raise.identity,
        meant_budget(
            owned, document.root()["period"].string(), document.root()["timezone"].string()));
    const Row is = row_of(&raise);
    ENTREPOT_TRY_DO(change_and_apply(call, "raise", raise.identity.to_string(),
        row_of(find_identity(known.raises, raise.identity)), is));
    return ApiAnswer{200, *is.json};
}

Result<ApiAnswer> end_raise(const ApiCall& call) {
    ENTREPOT_TRY(const Known known, known_of(call));
    ENTREPOT_TRY(const Owned owned, owned_by(call, known));
    ENTREPOT_TRY(const BudgetIdentity identity,
        meant_budget(owned, call.argument("period"), call.argument("timezone")));
    const StoredRaise* const raise = find_identity(known.raises, identity);
    if (raise == nullptr)
        return fail(ErrorCode::kNotFound,
            fmt::format("The budget {} is not raised.", identity.to_string()));
    ENTREPOT_TRY_DO(change_and_apply(call, "raise", identity.to_string(), row_of(raise), {}));
    return ApiAnswer{200, "{}"};
}

}  // namespace entrepot::control
