#include "dialect/openai_responses/reading.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "canon/field_names.h"

namespace entrepot::dialect::openai_responses {

using json::Value;

std::string joined(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::unexpected<Error> wrong(std::string field, const Value& seen, std::string_view accepted) {
    std::string message = fmt::format("'{}' is {}; it must be {}", field,
        seen.is_null() ? "missing" : excerpt(seen.raw(), 120), accepted);
    return fail_field(ErrorCode::kInvalidField, std::move(field), std::move(message));
}

Result<std::string> text_of(const Value& object, std::string_view key, std::string_view path) {
    const Value& value = object[key];
    if (!value.is_string()) return wrong(joined(path, key), value, "a string");
    return std::string(value.string());
}

Status set_text(const Value& object, std::string_view key, std::string_view path, std::string& to) {
    if (object[key].is_null()) return {};
    ENTREPOT_TRY(to, text_of(object, key, path));
    return {};
}

Status set_flag(
    const Value& object, std::string_view key, std::string_view path, std::optional<bool>& to) {
    const Value& value = object[key];
    if (value.is_null()) return {};
    if (!value.is_bool()) return wrong(joined(path, key), value, "true, false or null");
    to = value.as_bool();
    return {};
}

Status set_whole(const Value& object, std::string_view key, std::string_view path, std::int64_t low,
    std::optional<std::int64_t>& to) {
    const Value& value = object[key];
    if (value.is_null()) return {};
    to = value.as_int();
    if (!to || *to < low)
        return wrong(
            joined(path, key), value, fmt::format("a whole number of at least {}, or null", low));
    return {};
}

void keep_rest(const Value& object, std::initializer_list<std::string_view> known,
    std::string_view path, std::vector<canon::Extra>& to) {
    for (const json::Member& member : object.members()) {
        if (std::ranges::find(known, member.key) != known.end() || member.value.is_null()) continue;
        to.push_back({joined(path, canon::path_step(member.key)), std::string(member.value.raw())});
    }
}

}  // namespace entrepot::dialect::openai_responses
