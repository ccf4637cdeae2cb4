#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "base/time.h"

namespace entrepot::reconcile {

/// Why a bill and the books differ.
enum class Type : std::uint8_t {
    kLate,       ///< billed in another hour, day or month than it was used in
    kMissing,    ///< on one side alone
    kDuplicate,  ///< billed twice
    kCache,      ///< tokens counted, or priced, as another kind of prompt token
    kRate,       ///< the same quantity at another price
    kTier,       ///< at another service tier or context band
    kUplift,     ///< at a regional or residency surcharge, or without it
    kRounding,
    kCredit,
    kUnknown,  ///< none of these explains it
};
inline constexpr std::size_t kTypeCount = 10;
[[nodiscard]] std::string_view type_name(Type type);
[[nodiscard]] std::optional<Type> parse_type(std::string_view name);

/// One difference, or several of one cause. `amount` is what the bill has more than the books.
struct Difference {
    Type type = Type::kUnknown;
    bool is_disputable = false;  ///< better asked of the seller than booked
    bool is_pending = false;     ///< may come yet, or is to be settled in the books first
    std::string seller, cloud, offer, model, meter;
    Period at;
    Int128 quantity_pico = 0;  ///< of the meter's units, the bill's less the books'
    Money amount;
    std::uint64_t cells = 1;  ///< hours or days it was found in
    std::uint64_t line = 0;   ///< first line of the bill; 0: none
    std::string why;          ///< in one line
};

/// Something about the bill itself that its reader should know.
struct Finding {
    std::uint64_t line = 0;  ///< 0: of no one line
    std::string text;
};

/// A posting that would bring the books to the bill, less what was posted for it before. Nothing is
/// posted by comparing.
struct Adjustment {
    Instant day;
    std::string seller, cloud, offer;
    Type type = Type::kUnknown;
    Money amount;
};

struct TypeTotal {
    std::uint64_t count = 0;
    Money amount;
};

/// What comparing came to. Exactly: `billed` = `booked` + the amounts of all types.
struct Report {
    Currency currency;
    Period period;
    Money billed;    ///< usage, credits and adjustments of model services
    Money booked;    ///< contracted cost, of the same sellers and period
    Money adjusted;  ///< posted by earlier comparisons of this bill; a part of the differences
    Money purchases, taxes, other_services;  ///< on the bill beside it; not compared
    std::array<TypeTotal, kTypeCount> totals{};
    std::vector<Difference> differences;  ///< the largest first; at most `differences_max`
    std::uint64_t differences_left_out = 0;
    std::vector<Finding> findings;
    std::vector<Adjustment> adjustments;
    std::uint64_t bill_lines = 0;     ///< of model services
    std::uint64_t unknown_lines = 0;  ///< of them in differences that nothing explains
    std::uint64_t cells = 0;          ///< SKU and hour (or day) compared
    std::uint64_t cells_equal = 0;
    bool has_costs = true;       ///< false: the bill has quantities alone, priced as the books do
    bool has_quantities = true;  ///< false: it has money alone

    [[nodiscard]] bool is_equal() const { return differences.empty(); }
    [[nodiscard]] const TypeTotal& total(Type type) const {
        return totals[static_cast<std::size_t>(type)];
    }
};

/// For people: totals, then a line for each difference, then findings.
[[nodiscard]] std::string to_table(const Report& report);
/// A row for each difference, with a header.
[[nodiscard]] std::string to_csv(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace entrepot::reconcile
