#include "table.h"

#include <algorithm>

namespace entrepot::cli {
namespace {

// Columns on the terminal: UTF-8 continuation bytes take no place.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(),
        [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string csv_cell(const std::string& text, bool is_number) {
    std::string cell = text;
    if (!is_number && !cell.empty() &&
        std::string("=+-@\t\r").find(cell.front()) != std::string::npos)
        cell.insert(cell.begin(), '\'');
    if (cell.find_first_of(",\"\n\r") == std::string::npos) return cell;
    std::string quoted = "\"";
    for (const char c : cell) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

}  // namespace

std::string Table::to_text() const {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        std::size_t width = width_of(columns[i].name);
        for (const auto& row : rows) width = std::max(width, width_of(row[i]));
        widths.push_back(width);
    }
    std::string out;
    const auto line = [&](const auto& cell_of) {
        std::string text;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const std::string& cell = cell_of(i);
            const std::string padding(widths[i] - width_of(cell), ' ');
            if (i > 0) text += "  ";
            text += columns[i].is_number ? padding + cell : cell + padding;
        }
        while (text.ends_with(' ')) text.pop_back();
        out += text + '\n';
    };
    line([&](std::size_t i) -> const std::string& { return columns[i].name; });
    for (const auto& row : rows) line([&](std::size_t i) -> const std::string& { return row[i]; });
    return out;
}

std::string Table::to_csv() const {
    std::string out;
    for (std::size_t i = 0; i < columns.size(); ++i)
        out += (i > 0 ? "," : "") + csv_cell(columns[i].name, false);
    out += '\n';
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < columns.size(); ++i)
            out += (i > 0 ? "," : "") + csv_cell(row[i], columns[i].is_number);
        out += '\n';
    }
    return out;
}

}  // namespace entrepot::cli
