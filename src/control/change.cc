#include "control/change.h"

namespace entrepot::control {
namespace {

Status write_row(const ApiCall& call, std::string_view kind, const std::string& name,
    const Row& before, const Row& after) {
    const auto changes = store::changes_between(before.stated, after.stated, call.by);
    store::SettingsStore& store = call.backend.store();
    if (after.json)
        return store.put({std::string(kind), name, *after.json, call.backend.now()}, changes);
    ENTREPOT_TRY_DO(store.remove(kind, name, changes));
    return {};
}

}  // namespace

Status change_and_apply(const ApiCall& call, std::string_view kind, const std::string& name,
    const Row& before, const Row& after) {
    ENTREPOT_TRY_DO(write_row(call, kind, name, before, after));
    Status applied = call.backend.apply_stored();
    if (applied) return applied;
    ENTREPOT_TRY_DO(write_row(call, kind, name, after, before));
    ENTREPOT_TRY_DO(call.backend.apply_stored());
    return applied;
}

}  // namespace entrepot::control
