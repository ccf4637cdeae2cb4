#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "contracts/own_rates.h"
#include "control/backend.h"
#include "store/charge_query.h"

namespace entrepot::control {

/// What lines of the books would cost at other rates.
struct Reckoned {
    std::string contract, model, offer, team;
    Money booked, becomes;            ///< of what is told
    Money booked_list, becomes_list;  ///< likewise
    std::uint64_t lines = 0;
    Money untold;  ///< booked cost of lines that the books are too coarse to price anew
    std::uint64_t untold_lines = 0;
};

struct Reckoning {
    std::vector<Reckoned> rows;  ///< by contract, model, offer, team
    Reckoned total;              ///< its names are empty
};

/// What the lines of [since, until) that `rates` price would cost if they had been in force all the
/// time, beside `known`. Changes nothing. Errors: kIo, kBadConfiguration, kOverflow.
[[nodiscard]] Result<Reckoning> as_if(Backend& backend, std::span<const contracts::OwnRate> known,
    std::span<const contracts::OwnRate> rates, Instant since, Instant until);

/// What was settled since `rates` apply, at other rates than those of `known`: booked, and what it
/// comes to. `rates` says which lines; `known` what they cost.
[[nodiscard]] Result<Reckoning> behind(Backend& backend, std::span<const contracts::OwnRate> known,
    std::span<const contracts::OwnRate> rates, Instant now);

/// Posts the differences of `behind` into the open period, line by line, each once: what was posted
/// before, by whichever process before whichever crash, is taken off. The sum of what is posted
/// now. Errors: as above; kJournalFull, after which the rest is posted when it is called again.
[[nodiscard]] Result<Money> post_behind(Backend& backend, std::span<const contracts::OwnRate> known,
    std::span<const contracts::OwnRate> rates, Instant now);

/// What a correction of a late rate says it was posted for, as the reason of the posting:
/// `rate OLD -> NEW of 2026-11-05, input, standard, prompts over 0`.
struct LateRateReason {
    std::string was, is;  ///< versions of the rates
    Instant day;          ///< of the dispatches
    canon::Meter meter = canon::Meter::kInput;
    catalog::Tier tier = catalog::Tier::kStandard;
    std::int64_t ctx_over = 0;
    [[nodiscard]] std::string to_string() const;
    /// Nothing for a reason of another kind.
    [[nodiscard]] static std::optional<LateRateReason> parse(std::string_view text);
};

/// Posts what rates of the store are still due: those stated or taken back late, until exchanges
/// that were under way have ended. Cheap when there are none. Errors: as above.
[[nodiscard]] Status post_late_rates(Backend& backend);

}  // namespace entrepot::control
