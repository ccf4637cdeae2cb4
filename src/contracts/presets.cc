#include "contracts/presets.h"

#include <algorithm>
#include <array>

namespace entrepot::contracts {
namespace {

using catalog::CloudKind;

constexpr std::array kAzure{CloudKind::kAzure};
constexpr std::array kAws{CloudKind::kBedrock};
constexpr std::array kGoogle{CloudKind::kVertex, CloudKind::kGemini};
constexpr std::array kOracle{CloudKind::kOci};
constexpr std::array kOpenai{CloudKind::kOpenai};
constexpr std::array kAnthropic{CloudKind::kAnthropic, CloudKind::kAzure, CloudKind::kBedrock};

constexpr std::array<Preset, kKindCount> kPresets{{
    {.kind = Kind::kOther, .note = "nothing is taken for granted but full charge of a shortfall"},
    {.kind = Kind::kAzureMacc,
        .counts_on = CountsOn::kInvoice,
        .per = Per::kTerm,
        .shortfall = {{1, 1}, {1, 1}},
        .eligible = kAzure,
        .note = "decrements when invoiced; eligible marketplace offers count in full before tax; a "
                "shortfall is charged and usually comes back as prepayment credit while enrolled"},
    {.kind = Kind::kAwsEdp,
        .counts_on = CountsOn::kInvoice,
        .per = Per::kYear,
        .marketplace_cap = Ratio{1, 4},
        .shortfall = {{1, 1}, {0, 1}},
        .eligible = kAws,
        .note =
            "one commitment a year, its shortfall paid; marketplace offers that are deployed on "
            "AWS count by invoice date, up to about a quarter (not confirmed: state the cap)"},
    {.kind = Kind::kGoogleCommit,
        .counts_on = CountsOn::kInvoice,
        .per = Per::kYear,
        .shortfall = {{1, 1}, {0, 1}},
        .eligible = kGoogle,
        .note = "marketplace offers may count in full, with exclusions by product"},
    {.kind = Kind::kOracleCredits,
        .counts_on = CountsOn::kUse,
        .per = Per::kYear,
        .shortfall = {{1, 1}, {0, 1}},
        .eligible = kOracle,
        .note = "a pool paid ahead for a year: use draws it down, and what is left lapses"},
    {.kind = Kind::kOpenaiReserved,
        .counts_on = CountsOn::kUse,
        .per = Per::kTerm,
        .shortfall = {{1, 1}, {0, 1}},
        .eligible = kOpenai,
        .note = "dollars per minute and model at list; what exceeds a minute is paid by use, and "
                "batch and flex are outside: state it under provisioned with list_per_minute"},
    {.kind = Kind::kAnthropicCcu,
        .counts_on = CountsOn::kInvoice,
        .per = Per::kTerm,
        .shortfall = {{1, 1}, {0, 1}},
        .eligible = kAnthropic,
        .note = "billed by the hour in units of 0.01 through a cloud's marketplace; a discount is "
                "fewer units, so no tokens stand on the invoice"},
}};

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Preset& preset_of(Kind kind) {
    const auto* found = std::ranges::find(kPresets, kind, &Preset::kind);
    return found == kPresets.end() ? kPresets.front() : *found;
}

}  // namespace entrepot::contracts
