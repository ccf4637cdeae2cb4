#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "control/admin_api.h"
#include "json/value.h"

namespace entrepot::control {

/// A request whose path and query were taken apart.
struct ApiCall {
    Backend& backend;
    std::string name;                              ///< what stands for `{name}` or `{id}`, decoded
    std::map<std::string, std::string> arguments;  ///< of the query, decoded
    std::string_view body;
    store::AuditBy by;  ///< who asks, for what is changed

    [[nodiscard]] std::string_view argument(const std::string& key) const {
        const auto found = arguments.find(key);
        return found == arguments.end() ? std::string_view() : std::string_view(found->second);
    }
};

struct ApiAnswer {
    int status = 200;
    std::string json;  ///< or the text of `content_type`
    std::string content_type = "application/json";
    std::function<Result<bool>(std::string& out)> more = {};  ///< as AdminResponse has it
    std::string file_name = {};
};

/// What the books answer, on the thread that owns them.
template <typename T>
T ask(Backend& backend, const std::function<T(store::Books&)>& work) {
    std::optional<T> answer;
    backend.with_books([&](store::Books& books) { answer.emplace(work(books)); });
    return std::move(*answer);
}

/// Everything that is booked is in the files of this folder, where long questions are asked on
/// other threads than the books'. Errors: kIo.
[[nodiscard]] Result<std::filesystem::path> checkpointed(Backend& backend);

/// A body that must be an object. Errors: kBadRequest, with the example; kInvalidJson.
[[nodiscard]] Result<json::Document> object_of(const ApiCall& call, std::string_view example);

// api_keys.cc
[[nodiscard]] Result<ApiAnswer> list_keys(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> get_key(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> create_key(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> rotate_key(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> disable_key(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> enable_key(const ApiCall& call);

// api_books.cc
[[nodiscard]] Result<ApiAnswer> get_usage(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> get_exchange(const ApiCall& call);

// api_ledger.cc
[[nodiscard]] Result<ApiAnswer> verify_ledger(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> resolve_attempt(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> close_month(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> make_backup(const ApiCall& call);

// api_reconcile.cc
[[nodiscard]] Result<ApiAnswer> list_charges(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> list_adjustments(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> post_adjustments(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> reconcile_bill(const ApiCall& call);

// api_budgets.cc
[[nodiscard]] Result<ApiAnswer> get_budgets(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> get_budgets_of(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> set_budget(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> remove_budget(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> raise_budget(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> end_raise(const ApiCall& call);

// api_entries.cc: of a section of config::kStoredSections
[[nodiscard]] Result<ApiAnswer> list_entries(const ApiCall& call, std::string_view section);
[[nodiscard]] Result<ApiAnswer> get_entry(const ApiCall& call, std::string_view section);
[[nodiscard]] Result<ApiAnswer> set_entry(const ApiCall& call, std::string_view section);
[[nodiscard]] Result<ApiAnswer> remove_entry(const ApiCall& call, std::string_view section);

// api_audit.cc
[[nodiscard]] Result<ApiAnswer> get_audit(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> verify_audit(const ApiCall& call);

// api_catalog.cc
[[nodiscard]] Result<ApiAnswer> list_models(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> list_prices(const ApiCall& call);

// api_rates.cc
[[nodiscard]] Result<ApiAnswer> list_own_rates(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> get_rates_of(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> preview_rates(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> set_rates(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> remove_rate(const ApiCall& call);
// api_export.cc
[[nodiscard]] Result<ApiAnswer> export_focus(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> export_commitments(const ApiCall& call);

// api_statement.cc
[[nodiscard]] Result<ApiAnswer> get_statement(const ApiCall& call);

// api_contracts.cc
[[nodiscard]] Result<ApiAnswer> list_contracts(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> get_contract(const ApiCall& call);
[[nodiscard]] Result<ApiAnswer> get_contract_status(const ApiCall& call);

}  // namespace entrepot::control
