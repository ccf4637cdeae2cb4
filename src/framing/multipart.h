#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::framing {

/// One field of a form. The views live as long as the body; the name is unescaped.
struct FormPart {
    std::string name;
    std::string file_name;
    bool is_file = false;  ///< it has a file name, be it empty
    std::string_view content_type;
    std::string_view data;
};

/// A `multipart/form-data` body, read and not copied.
struct Form {
    std::vector<FormPart> parts;  ///< in order
    std::string boundary;
    std::string_view body;

    /// The first part of that name, or null.
    [[nodiscard]] const FormPart* find(std::string_view name) const;
    [[nodiscard]] std::size_t count(std::string_view name) const;
    /// The body with that field's text set: replaced where it is there, added in front otherwise.
    [[nodiscard]] std::string with(std::string_view name, std::string_view text) const;
};

struct FormOptions {
    std::size_t parts_max = 256;
    std::size_t head_bytes_max = 8192;  ///< headers of one part
};

[[nodiscard]] bool is_form(std::string_view content_type);

/// Reads the whole form. Errors: kBadRequest, in words for the client: no boundary, a body that is
/// none, or that ends early; too many parts; a part without a name.
[[nodiscard]] Result<Form> read_form(
    std::string_view body, std::string_view content_type, const FormOptions& options = {});

}  // namespace entrepot::framing
