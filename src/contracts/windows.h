#pragma once

#include "contracts/contract.h"

namespace entrepot::contracts {

/// A part of a term in which a commitment has to be met.
struct Window {
    Instant begin;
    Instant end;
    Money amount;
    bool is_milestone = false;  ///< runs from the first day of the term
    friend bool operator==(const Window&, const Window&) = default;
};

/// At most so many windows in one contract: a monthly commitment over fifty years.
inline constexpr std::size_t kWindowsMax = 600;

/// The windows between two instants, each `per` long but the last, which the end may cut.
[[nodiscard]] std::vector<Period> periods_of(Per per, Instant from, Instant to);

/// What has to be met when: windows of `per` in their order, then milestones. Amounts that are
/// missing are those of the last one stated.
[[nodiscard]] std::vector<Window> windows_of(
    const Commitment& commitment, Instant from, Instant to);

}  // namespace entrepot::contracts
