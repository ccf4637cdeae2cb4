#pragma once

#include <string>
#include <vector>

namespace entrepot::cli {

/// Rows for a terminal or a spreadsheet.
struct Table {
    struct Column {
        std::string name;
        bool is_number = false;  ///< aligned to the right
    };
    std::vector<Column> columns;
    std::vector<std::vector<std::string>> rows;

    /// Aligned columns with a heading; columns are two spaces apart.
    [[nodiscard]] std::string to_text() const;
    /// RFC 4180 with `\n`; a text that a spreadsheet would take for a formula is quoted with a
    /// leading apostrophe.
    [[nodiscard]] std::string to_csv() const;
};

}  // namespace entrepot::cli
