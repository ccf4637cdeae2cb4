#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "dialect/wrong.h"
#include "framing/multipart.h"

namespace entrepot::dialect::openai_small {

/// The fields of a request, whether it came as JSON or as a form: there every value is a text.
class Fields {
public:
    /// Errors: kBadRequest for a body that is neither, or that gives a known field twice;
    /// kUnsupported for a form that names stored files.
    [[nodiscard]] static Result<Fields> read(
        const json::Document& body, const RequestContext& context);

    [[nodiscard]] bool is_form() const { return form_.has_value(); }
    [[nodiscard]] const framing::Form& form() const { return *form_; }
    [[nodiscard]] const json::Value& root() const { return *root_; }

    /// Absent where it is null or not there. Errors: kInvalidField for another kind.
    [[nodiscard]] Result<std::optional<std::string>> text(std::string_view name) const;
    [[nodiscard]] Result<std::optional<std::int64_t>> whole(
        std::string_view name, std::int64_t least, std::int64_t most) const;
    [[nodiscard]] Result<bool> flag(std::string_view name) const;

private:
    std::optional<framing::Form> form_;
    const json::Value* root_ = nullptr;
};

/// Characters, as suppliers count what is to be spoken: code points of UTF-8.
[[nodiscard]] std::int64_t characters_of(std::string_view text);

}  // namespace entrepot::dialect::openai_small
