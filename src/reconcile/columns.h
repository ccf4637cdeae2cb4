#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "reconcile/csv.h"

namespace entrepot::reconcile {

inline constexpr std::size_t kSlotsMax = 40;

/// A column that a format reads: its names in short form, the preferred first, `|` between them.
struct Column {
    std::string_view names;
    bool is_required = false;
};

/// A column's name in short form: letters and digits alone, lower case. `lineItem/UsageType` and
/// `line_item_usage_type` have the same one.
[[nodiscard]] std::string short_name(std::string_view name);

/// One record by slots, which are the indexes of the format's columns; absent ones are empty.
struct Cells {
    std::uint64_t line = 0;
    std::uint64_t identity = 0;  ///< of everything the record says
    std::array<std::string_view, kSlotsMax> slots{};
    [[nodiscard]] std::string_view operator[](std::size_t slot) const { return slots[slot]; }
};

/// Which column of a file holds which slot.
class Columns {
public:
    /// Errors: kInvalidField naming columns that are missing, or that stand there twice.
    [[nodiscard]] static Result<Columns> bind(
        std::span<const Column> wanted, std::span<const std::string_view> header);
    /// Errors: kInvalidField for a record of another number of fields.
    [[nodiscard]] Result<Cells> cells(const CsvRecord& record) const;
    /// Columns that the format does not know, by their names.
    [[nodiscard]] const std::vector<std::string>& unknown() const { return unknown_; }
    [[nodiscard]] bool has(std::size_t slot) const { return at_[slot] >= 0; }

private:
    std::array<std::int32_t, kSlotsMax> at_{};
    std::size_t slot_count_ = 0;
    std::size_t field_count_ = 0;
    std::vector<std::string> unknown_;
};

/// The slots of a format by the short names of their columns, for records that are JSON objects.
class Slots {
public:
    explicit Slots(std::span<const Column> columns);
    /// The object's members, and the members of its members (`amount.value` is `amountvalue`).
    [[nodiscard]] Cells cells(const json::Value& row, std::uint64_t line) const;

private:
    void put(Cells& cells, std::array<std::uint8_t, kSlotsMax>& ranks, const std::string& name,
        const json::Value& value) const;
    struct Place {
        std::uint8_t slot = 0;
        std::uint8_t rank = 0;  // among the names of its slot; the first is preferred
    };
    std::unordered_map<std::string, Place> places_;
};

/// What a value of JSON says as a cell would: a string's text, a number as spelled, null as
/// nothing.
[[nodiscard]] std::string_view cell_of(const json::Value& value);

/// Adds `text` to the hash of a record.
[[nodiscard]] std::uint64_t mix(std::uint64_t hash, std::string_view text);

}  // namespace entrepot::reconcile
