#pragma once

// Requests to canon: what the two files that read them share.

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/text.h"
#include "canon/request.h"
#include "json/value.h"

namespace entrepot::dialect::gemini {

/// `systemInstruction` as items of turn 0. Errors: kInvalidField.
[[nodiscard]] Status decode_system(const json::Value& instruction, canon::Request& request);
/// `contents` as items of the turns that follow. Calls and results that Google's clients leave
/// without an id are given one and matched by name and order. Errors: kInvalidField.
[[nodiscard]] Status decode_contents(const json::Value& contents, canon::Request& request);

/// What a `fileUri` names: Google's store of buckets, a file of one account, or a plain URL.
[[nodiscard]] canon::Media::Source source_of(std::string_view uri);

[[nodiscard]] inline std::unexpected<Error> wrong(
    std::string_view path, const json::Value& seen, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::string(path),
        seen.is_null()
            ? fmt::format("{} is required; it must be {}", path, accepted)
            : fmt::format("{} must be {}, not {}", path, accepted, excerpt(seen.raw(), 60)));
}

}  // namespace entrepot::dialect::gemini
