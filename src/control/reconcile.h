#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "reconcile/compare.h"
#include "reconcile/reader.h"

namespace entrepot::control {

/// Asks the admin API: of this process, or of another one through its socket.
using AskApi = std::function<Result<json::Document>(
    std::string_view method, const std::string& path, std::string_view body)>;

struct ReconcileOptions {
    std::optional<reconcile::Format> format;
    std::string cloud;  ///< whose bill it is; empty: of every cloud of the bill's sellers
    std::optional<Period> period;
    std::optional<Instant> as_of;
    Instant now;  ///< a bill of a period that is not over is one of up to its last usage
    std::optional<Ratio> exchange;  ///< of the books' currency for one unit of the bill's
    std::uint64_t lines_max = 100'000'000;
    bool adjusts = false;  ///< posts what is proposed; else nothing is changed
    std::function<void(const reconcile::Progress&)> on_progress;
};

struct Reconciled {
    reconcile::Report report;
    std::uint64_t posted = 0;  ///< adjustments, by this run
    Money posted_amount;
    /// Every difference is posted, by this run or before, and none is left to ask the seller about.
    bool agrees = false;
};

/// What an adjustment says it was posted for. Written as the reason of the posting:
/// `reconciliation 2026-11-01/2026-12-01 2026-11-05 late aws`.
struct PostingReason {
    Period bill;
    Instant day;
    reconcile::Type type = reconcile::Type::kUnknown;
    std::string seller;
    [[nodiscard]] std::string to_string() const;
    /// Nothing for a reason of another kind.
    [[nodiscard]] static std::optional<PostingReason> parse(std::string_view text);
};

/// A supplier's bill against the books behind an API. The bill is read where this runs and its
/// lines never travel: the books give what they have in the bill's period, by hour, offer and
/// meter, which is small whatever the number of lines and requests. Memory is that of
/// reconcile::Comparison.
class Reconciliation {
public:
    /// Asks for the books' currency and clouds. Errors: those of `ask`; kInvalidField for a cloud
    /// that there is not.
    [[nodiscard]] static Result<std::unique_ptr<Reconciliation>> begin(
        ReconcileOptions options, AskApi ask);
    /// A further part of the bill's file. Errors: kInvalidField naming the line, kUnsupported.
    [[nodiscard]] Status feed(std::string_view bytes);
    /// Compares, and posts where that was asked for. Errors: as `feed`, as `ask`; kConflict when
    /// adjustments cannot be told apart from those of another bill, before anything is posted.
    [[nodiscard]] Result<Reconciled> finish();

private:
    struct PostedBefore {
        PostingReason reason;
        std::string text, cloud, offer;
        Money amount;
    };
    Reconciliation(ReconcileOptions options, AskApi ask)
        : options_(std::move(options)), ask_(std::move(ask)) {}
    [[nodiscard]] Status learn_books();
    [[nodiscard]] Result<std::vector<std::string>> clouds_of(
        const std::vector<std::string>& sellers);
    [[nodiscard]] Status add_charges(const Period& period, const std::vector<std::string>& clouds);
    [[nodiscard]] Status add_charge(const json::Value& row);
    [[nodiscard]] Status add_corrections(
        const Period& period, const std::vector<std::string>& clouds);
    [[nodiscard]] Status add_correction(
        const json::Value& row, const Period& period, const std::vector<std::string>& clouds);
    [[nodiscard]] Status add_late_rates();
    [[nodiscard]] Status post(Reconciled& outcome);

    ReconcileOptions options_;
    AskApi ask_;
    std::map<std::string, std::string> sellers_;  ///< of each configured cloud
    std::string only_seller_;  ///< of the bill, for a named cloud whose seller is not known
    std::map<std::string, std::string> contracts_;  ///< of cloud and offer; empty: several
    std::vector<PostedBefore> posted_;
    std::vector<std::string> overlapping_;  ///< bills that share some of their days with this one
    /// Corrections of late rates, of one day, offer, meter and rate version each, with the hours of
    /// that day that they are spread over by quantity.
    struct LateRate {
        Money amount;
        std::vector<std::pair<Instant, std::int64_t>> hours;
        reconcile::Meter meter = reconcile::Meter::kInput;
        reconcile::Tier tier = reconcile::Tier::kStandard;
        std::int64_t ctx_over = 0;
        std::string cloud, seller, offer, model, id, region;
    };
    std::map<std::string, LateRate> late_rates_;
    Money other_corrections_;
    std::uint64_t other_count_ = 0;
    std::unique_ptr<reconcile::Comparison> comparison_;
    std::unique_ptr<reconcile::BillReader> reader_;
};

/// As the API gives it: the report, with what was posted.
[[nodiscard]] std::string to_json(const Reconciled& outcome);

}  // namespace entrepot::control
