#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "canon/request.h"

namespace entrepot::canon {

/// A field's name as a step of an Extra's path. What takes paths apart (`.`, `[`, `]`) is escaped
/// in it, so that no name can be taken for a field of another object.
[[nodiscard]] std::string path_step(std::string_view name);

/// Refuses a request that has a field of such a name: nobody knows one, and its path could not be
/// written back. Errors: kInvalidField with the escaped path.
[[nodiscard]] Status refuse_odd_names(const Request& request);

}  // namespace entrepot::canon
