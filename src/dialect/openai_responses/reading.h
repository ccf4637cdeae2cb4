#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/request.h"
#include "json/value.h"

// How this folder reads the members of a client's JSON: absent and null are the same.
namespace entrepot::dialect::openai_responses {

/// Error kInvalidField: what was seen at `field`, and what is accepted there.
[[nodiscard]] std::unexpected<Error> wrong(
    std::string field, const json::Value& seen, std::string_view accepted);

/// A member that must be a string. Errors: kInvalidField.
[[nodiscard]] Result<std::string> text_of(
    const json::Value& object, std::string_view key, std::string_view path);

/// A member that may be a string, else `to` stays. Errors: kInvalidField.
[[nodiscard]] Status set_text(
    const json::Value& object, std::string_view key, std::string_view path, std::string& to);
[[nodiscard]] Status set_flag(const json::Value& object, std::string_view key,
    std::string_view path, std::optional<bool>& to);
/// A whole number of at least `low`. Errors: kInvalidField.
[[nodiscard]] Status set_whole(const json::Value& object, std::string_view key,
    std::string_view path, std::int64_t low, std::optional<std::int64_t>& to);

/// The members that `known` does not name, as extras under `path`.
void keep_rest(const json::Value& object, std::initializer_list<std::string_view> known,
    std::string_view path, std::vector<canon::Extra>& to);

/// `path.key`, or the key alone at the top.
[[nodiscard]] std::string joined(std::string_view path, std::string_view key);

}  // namespace entrepot::dialect::openai_responses
