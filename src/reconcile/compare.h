#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "canon/usage.h"
#include "catalog/tier.h"
#include "reconcile/bill_line.h"
#include "reconcile/reader.h"
#include "reconcile/report.h"

namespace entrepot::reconcile {

/// What the books hold of one meter of one offer in one hour.
struct BookedLine {
    std::string_view cloud;   ///< as configured
    std::string_view seller;  ///< as the catalogue calls it: `aws`
    std::string_view offer;   ///< `claude-sonnet-4-5/aws`
    std::string_view provider_model_id;
    std::string_view model;                      ///< canonical, where it is known
    std::optional<Meter> meter = Meter::kInput;  ///< none: of usage that is not known
    Tier tier = Tier::kStandard;
    std::int64_t ctx_over = 0;
    std::string_view region;
    Instant hour;
    std::int64_t quantity = 0;
    std::string_view rate_version;
    UnitPrice price;
    Money list;
    Money contracted;
    std::uint64_t charges = 1;  ///< ledger lines in it at most, each rounded once
    bool is_estimated = false;
    bool is_unverified = false;  ///< a crash left it open: booked at its full hold
};

struct CompareOptions {
    Currency currency;             ///< of the books
    std::optional<Period> period;  ///< of the bill; else what the bill says of itself
    /// Units of the books' currency for one of the bill's, where they differ.
    std::optional<Ratio> exchange;
    /// The one cloud of a seller, where there is one: what no offer can be told of is its.
    std::map<std::string, std::string> cloud_of_seller;
    std::string cloud;  ///< whose bill it is, where it is of one alone
    /// When the bill was exported; usage of the `late_days` before it may still come.
    std::optional<Instant> as_of;
    /// Usage is late, not missing, when it is billed within so many days.
    std::int64_t late_days = 3;
    std::uint32_t cells_max = 4'000'000;     ///< SKU and hour, on either side
    std::uint32_t repeats_max = 8'000'000;   ///< lines among which repeated ones are looked for
    std::uint32_t differences_max = 10'000;  ///< told one by one; the totals hold all
};

/// Puts a bill and the books side by side, by seller, SKU and hour (or day, or the period that the
/// bill has): quantity first, then rate, then money. Holds sums, and a hash for each line up to
/// `repeats_max`; never lines.
class Comparison {
public:
    explicit Comparison(CompareOptions options);
    Comparison(const Comparison&) = delete;
    Comparison& operator=(const Comparison&) = delete;
    ~Comparison();

    /// Errors: kInvalidField naming the line, for another currency than the lines before or the
    /// books, and beyond `cells_max`.
    [[nodiscard]] Status add(const BillLine& line);
    [[nodiscard]] Status add(const BookedLine& line);
    /// What was posted for this bill before, as it was proposed: it is not proposed again.
    void add_posted(const Adjustment& posted);
    /// What the comparison of another bill took off the books as not billed: only that can be put
    /// back when this bill has it late.
    void add_taken_off(const Adjustment& posted);
    /// What the books are to be asked for, once the bill is read.
    struct Wanted {
        Period period;
        std::vector<std::string> sellers;
        Instant last{INT64_MIN};  ///< when the last usage on the bill ends
    };
    [[nodiscard]] Wanted wanted() const;
    /// When the bill was exported, where that is known only now.
    void set_as_of(Instant exported);
    /// Explains what differs. Once. Errors: kInvalidField when no line of a model service came.
    [[nodiscard]] Result<Report> finish(const BillFacts& facts);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace entrepot::reconcile
