#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "catalog/region.h"
#include "contracts/contract.h"

namespace entrepot::contracts {

/// How one seller's paper counts, where a contract of that kind does not say otherwise. Data, read
/// from the sellers' public terms in November 2026; what no term states is left open.
struct Preset {
    Kind kind = Kind::kOther;
    CountsOn counts_on = CountsOn::kInvoice;
    Per per = Per::kTerm;
    Ratio marketplace_counts{1, 1};
    std::optional<Ratio> marketplace_cap;
    Shortfall shortfall;
    std::span<const catalog::CloudKind> eligible;  ///< kinds of clouds; empty: any
    std::string_view note;                         ///< what it rests on, for people
};

[[nodiscard]] const Preset& preset_of(Kind kind);
[[nodiscard]] std::span<const Preset> presets();

}  // namespace entrepot::contracts
