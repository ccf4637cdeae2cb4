#include "reconcile/columns.h"

#include <fmt/format.h>

#include <functional>
#include <unordered_map>

#include "base/check.h"
#include "base/text.h"

namespace entrepot::reconcile {

std::string short_name(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
        if (c >= 'A' && c <= 'Z') out += static_cast<char>(c + 32);
    }
    return out;
}

Result<Columns> Columns::bind(
    std::span<const Column> wanted, std::span<const std::string_view> header) {
    ENTREPOT_CHECK(wanted.size() <= kSlotsMax);
    std::unordered_map<std::string, std::int32_t> places;
    Columns columns;
    columns.field_count_ = header.size();
    columns.slot_count_ = wanted.size();
    columns.at_.fill(-1);
    std::vector<bool> is_known(header.size());
    std::string twice;
    for (std::size_t i = 0; i < header.size(); ++i)
        if (!places.emplace(short_name(header[i]), static_cast<std::int32_t>(i)).second)
            twice = short_name(header[i]);
    std::string missing;
    for (std::size_t slot = 0; slot < wanted.size(); ++slot) {
        for (const std::string_view name : split(wanted[slot].names, '|')) {
            const auto found = places.find(std::string(name));
            if (found == places.end()) continue;
            if (name == twice)
                return fail(ErrorCode::kInvalidField,
                    fmt::format("line 1: the column '{}' stands there twice; which one counts?",
                        excerpt(header[static_cast<std::size_t>(found->second)])));
            is_known[static_cast<std::size_t>(found->second)] = true;
            if (columns.at_[slot] < 0) columns.at_[slot] = found->second;
        }
        if (columns.at_[slot] >= 0 || !wanted[slot].is_required) continue;
        missing += fmt::format("{}'{}'", missing.empty() ? "" : ", ",
            wanted[slot].names.substr(0, wanted[slot].names.find('|')));
    }
    if (!missing.empty())
        return fail(ErrorCode::kInvalidField,
            fmt::format("line 1: columns that this format needs are missing: {}; export with them, "
                        "or name the format with --format",
                missing));
    for (std::size_t i = 0; i < header.size(); ++i)
        if (!is_known[i]) columns.unknown_.push_back(excerpt(header[i]));
    return columns;
}

Result<Cells> Columns::cells(const CsvRecord& record) const {
    if (record.fields.size() != field_count_)
        return fail(ErrorCode::kInvalidField,
            fmt::format("line {}: {} fields, and the header has {}; is a separator or a quote "
                        "missing, or the file cut short?",
                record.line, record.fields.size(), field_count_));
    Cells cells;
    cells.line = record.line;
    for (const std::string_view field : record.fields) cells.identity = mix(cells.identity, field);
    for (std::size_t slot = 0; slot < slot_count_; ++slot)
        if (at_[slot] >= 0)
            cells.slots[slot] = trim(record.fields[static_cast<std::size_t>(at_[slot])]);
    return cells;
}

Slots::Slots(std::span<const Column> columns) {
    for (std::size_t slot = 0; slot < columns.size(); ++slot) {
        std::uint8_t rank = 0;
        for (const std::string_view name : split(columns[slot].names, '|'))
            places_.emplace(name, Place{static_cast<std::uint8_t>(slot), rank++});
    }
}

void Slots::put(Cells& cells, std::array<std::uint8_t, kSlotsMax>& ranks, const std::string& name,
    const json::Value& value) const {
    const auto at = places_.find(name);
    if (at == places_.end() || value.is_null()) return;
    const Place place = at->second;
    if (place.rank >= ranks[place.slot]) return;
    ranks[place.slot] = place.rank;
    cells.slots[place.slot] = cell_of(value);
}

Cells Slots::cells(const json::Value& row, std::uint64_t line) const {
    Cells cells;
    cells.line = line;
    cells.identity = mix(0, row.raw());
    std::array<std::uint8_t, kSlotsMax> ranks{};
    ranks.fill(255);
    for (const json::Member& member : row.members()) {
        const std::string name = short_name(member.key);
        put(cells, ranks, name, member.value);
        for (const json::Member& inner : member.value.members())
            put(cells, ranks, name + short_name(inner.key), inner.value);
    }
    return cells;
}

std::string_view cell_of(const json::Value& value) {
    if (value.is_null()) return {};
    return value.is_string() ? value.string() : value.raw();
}

std::uint64_t mix(std::uint64_t hash, std::string_view text) {
    const std::uint64_t other = std::hash<std::string_view>{}(text);
    return (hash ^ other) * 0x9E37'79B9'7F4A'7C15ULL + (hash >> 29) + 1;
}

}  // namespace entrepot::reconcile
