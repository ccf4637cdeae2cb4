#pragma once

#include <optional>
#include <string>

#include "control/routes.h"

namespace entrepot::control {

/// One row of the store and what it states for the audit log; absent where there is none.
struct Row {
    std::optional<std::string> json = std::nullopt;
    store::StatedValues stated = {};
};

/// The store first, with its audit entries, then the gateway; what the gateway refuses goes out of
/// the store again, or the next start would fail over it. Errors: kIo, kBadConfiguration.
[[nodiscard]] Status change_and_apply(const ApiCall& call, std::string_view kind,
    const std::string& name, const Row& before, const Row& after);

}  // namespace entrepot::control
