#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/money.h"
#include "base/time.h"
#include "canon/usage.h"
#include "catalog/region.h"
#include "catalog/tier.h"
#include "contracts/contract.h"
#include "contracts/windows.h"

namespace entrepot::reports {

/// Versions of the FinOps Open Cost and Usage Specification that are written.
enum class FocusSpec : std::uint8_t { k12, k13 };
/// `1.2`, `1.3`. Errors: kInvalidField.
[[nodiscard]] Result<FocusSpec> parse_focus_spec(std::string_view text);

/// What is known of an offer beyond its name in the books.
struct OfferFacts {
    std::optional<catalog::CloudKind> kind;  ///< nothing: who sold it is not known any more
    std::string region;                      ///< empty: not known
    std::string id_at_cloud;                 ///< what the seller calls the model
    std::string author;                      ///< of the model, as the catalogue has it; or empty
    friend bool operator==(const OfferFacts&, const OfferFacts&) = default;
};

/// A charge to be written. Text is borrowed for the call.
struct FocusCharge {
    enum class Kind : std::uint8_t {
        kMetered,     ///< so much of one meter
        kUnmetered,   ///< a cost without lines: a hold or a ceiling that was booked
        kCorrection,  ///< of what was booked before
    };
    Kind kind = Kind::kMetered;
    Instant hour;
    std::string_view org, team, project, key, end_user, tags;
    std::string_view model, offer, cloud, contract, rate_version;
    catalog::Tier tier = catalog::Tier::kStandard;
    std::int64_t ctx_over = 0;
    canon::Meter meter = canon::Meter::kInput;
    std::int64_t quantity = 0;
    Money cost;
    Money list_cost;
    ExchangeId correction;                       ///< its own id; all zero where not one alone
    std::string_view reason;                     ///< of the correction
    std::optional<ExchangeId> corrected{};       ///< the exchange that it corrects
    const OfferFacts* facts = nullptr;           ///< never null
    const contracts::Contract* terms = nullptr;  ///< of `contract`; null: not known any more
};

/// Writes the Cost and Usage dataset as CSV, a charge a row. docs/reference/focus.md says what
/// each column holds and why.
class FocusWriter {
public:
    FocusWriter(FocusSpec spec, Currency currency) : spec_(spec), currency_(currency) {}
    void header(std::string& out) const;
    void row(const FocusCharge& charge, std::string& out) const;

private:
    FocusSpec spec_;
    Currency currency_;
};

/// Writes the Contract Commitment dataset of FOCUS 1.3 as CSV: the windows of every commitment and
/// every capacity that meet [since, until). Errors: kOverflow.
[[nodiscard]] Status write_commitments(
    std::span<const contracts::Contract> all, Instant since, Instant until, std::string& out);

/// The id of a window of a contract's commitment: `acme-2027/2027-01-01`, by its first day; a
/// milestone's is `acme-2027/by-2027-07-01`.
[[nodiscard]] std::string commitment_id(std::string_view contract, const contracts::Window& window);

}  // namespace entrepot::reports
