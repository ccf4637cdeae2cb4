#pragma once

#include <filesystem>

#include "base/result.h"
#include "base/secret.h"

namespace entrepot::control {

/// The admin token of a data folder: `admin.token`, mode 0600, made at the first start.
/// Errors: kIo, also when others than its owner may read the file.
[[nodiscard]] Result<Secret> load_or_make_admin_token(const std::filesystem::path& data);

}  // namespace entrepot::control
