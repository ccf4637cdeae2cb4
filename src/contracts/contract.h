#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "pricing/terms.h"

namespace entrepot::contracts {

/// An offer, as contracts tell offers apart. Views are borrowed for the call.
struct Place {
    std::string_view cloud;
    std::string_view model;   ///< the name that clients use
    std::string_view offer;   ///< `model/name`
    std::string_view region;  ///< where it is processed; empty: not known
};

/// Some of the offers, tiers and meters that a contract covers. Names may end in `*`; an empty list
/// takes everything.
struct Selector {
    std::vector<std::string> clouds, models, offers, regions;
    pricing::TierSet tiers = pricing::kAllTiers;
    pricing::MeterSet meters = pricing::kAllMeters;

    [[nodiscard]] bool takes(const Place& place) const;
    /// Whether some offer, at some tier and meter, could be taken by both.
    [[nodiscard]] bool meets(const Selector& other) const;
};

/// Who wrote the paper: chooses what holds where a contract does not say (presets.h).
enum class Kind : std::uint8_t {
    kOther,
    kAzureMacc,
    kAwsEdp,
    kGoogleCommit,
    kOracleCredits,
    kOpenaiReserved,
    kAnthropicCcu,
};
inline constexpr std::size_t kKindCount = 7;

/// When spend takes its part off the commitment.
enum class CountsOn : std::uint8_t {
    kUse,
    kInvoice,  ///< with the month's invoice: a month that has not ended counts nothing yet
};

/// What a commitment is per. Windows follow each other from the first day of the term.
enum class Per : std::uint8_t { kTerm, kYear, kQuarter, kMonth };

struct Milestone {
    Instant by;
    Money amount;  ///< that eligible spend since the term began must have reached by then
};

/// What falls due when a commitment is not met.
struct Shortfall {
    Ratio charged{1, 1};   ///< of the missing amount
    Ratio returned{0, 1};  ///< of the charge: comes back as credit for later use
};

/// Purchases through the seller's marketplace, which count in part.
struct Marketplace {
    Selector bought;           ///< which offers are billed that way
    Ratio counts{1, 1};        ///< the share of their spend that counts
    std::optional<Ratio> cap;  ///< of a window's amount, that they may fill
};

struct Commitment {
    std::vector<Money> amounts;  ///< one for every window, or one for each in order
    Per per = Per::kTerm;
    std::vector<Milestone> milestones;  ///< beside the windows
    Selector eligible;
    std::optional<Marketplace> marketplace;
    CountsOn counts_on = CountsOn::kInvoice;
    Shortfall shortfall;
    Money elsewhere_per_day;  ///< eligible spend that does not pass through the gateway
};

struct Discount {
    Selector of;
    Ratio off{0, 1};
    bool is_of_net = false;  ///< off what is left, after those off the list
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
};

struct Volume {
    using Measure = pricing::TermVolume::Measure;
    using Reprices = pricing::TermVolume::Reprices;
    Selector of;
    PeriodKind per = PeriodKind::kMonth;
    Measure measure = Measure::kSpend;
    Reprices reprices = Reprices::kMarginal;
    std::vector<pricing::TermVolume::Step> steps;
};

/// Prices that stand in place of the list's.
struct StatedPrices {
    Selector of;  ///< its `meters` are not used: those below are
    std::int64_t prompts_over = 0;
    std::vector<std::pair<canon::Meter, UnitPrice>> prices;
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
};

/// Capacity that is paid by the hour whether or not it is used: PTUs, GSUs, model units, reserved
/// tokens or dollars per minute.
struct Provisioned {
    std::string name;
    std::vector<std::string> offers;  ///< that it serves; they cost nothing by the token
    std::int64_t units = 0;
    Money hourly;  ///< one unit for an hour
    /// What one unit serves in a minute, counted in input tokens; 0 where it is sold by spend.
    std::int64_t tokens_per_minute = 0;
    Money list_per_minute;      ///< what one unit serves in a minute, in list cost; 0: by tokens
    Ratio output_weight{1, 1};  ///< input tokens that one token of output takes up
    Ratio cached_weight{0, 1};
    Ratio cache_write_weight{1, 1};
    std::string spill_over;  ///< the offer that takes what does not fit
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
};

/// What the planner must keep to. Not judged here.
struct Constraints {
    struct Only {
        std::vector<std::string> models;
        std::vector<std::string> clouds;
    };
    std::vector<Only> only_through;    ///< these models at these clouds alone
    std::vector<std::string> regions;  ///< where what the contract covers may be processed
};

/// Commercial terms over clouds.
struct Contract {
    std::string name;
    Kind kind = Kind::kOther;
    std::vector<std::string> clouds;  ///< at least one
    std::vector<std::string> models;  ///< empty: all
    Instant from = catalog::kBeginning;
    Instant to = catalog::kForever;
    Currency currency;
    std::optional<Commitment> commitment;
    std::vector<Discount> discounts;
    std::vector<Volume> volumes;
    std::vector<StatedPrices> prices;
    RoundingRule rounding;
    std::vector<Provisioned> provisioned;
    Constraints constraints;

    [[nodiscard]] bool covers(const Place& place) const;
    /// `covers`, as a selector.
    [[nodiscard]] Selector scope() const;
};

/// `azure_macc`, ...
[[nodiscard]] std::string_view kind_name(Kind kind);
[[nodiscard]] std::string_view per_name(Per per);
[[nodiscard]] std::string_view counts_on_name(CountsOn when);

/// Whether `name` is the pattern, or begins as it does before a `*` at its end.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name);
/// Whether some name could match one of each; an empty list is everything.
[[nodiscard]] bool may_meet(const std::vector<std::string>& a, const std::vector<std::string>& b);
[[nodiscard]] bool takes(const std::vector<std::string>& patterns, std::string_view name);

}  // namespace entrepot::contracts
