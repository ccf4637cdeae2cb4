#include "contracts/windows.h"

#include <algorithm>

namespace entrepot::contracts {

std::vector<Period> periods_of(Per per, Instant from, Instant to) {
    int months = 0;
    switch (per) {
        case Per::kTerm: return {{from, to}};
        case Per::kYear: months = 12; break;
        case Per::kQuarter: months = 3; break;
        case Per::kMonth: months = 1; break;
    }
    std::vector<Period> periods;
    // Counted from the first day each time: a month that is short must not shorten those after it.
    for (int i = 0; periods.size() < kWindowsMax; ++i) {
        const Instant begin = add_months(from, i * months);
        if (begin >= to) break;
        periods.push_back({begin, std::min(to, add_months(from, (i + 1) * months))});
    }
    return periods;
}

std::vector<Window> windows_of(const Commitment& commitment, Instant from, Instant to) {
    std::vector<Window> windows;
    if (!commitment.amounts.empty()) {
        std::size_t i = 0;
        for (const Period& period : periods_of(commitment.per, from, to)) {
            windows.push_back({period.begin, period.end, commitment.amounts[i]});
            if (i + 1 < commitment.amounts.size()) ++i;
        }
    }
    for (const Milestone& milestone : commitment.milestones)
        windows.push_back({from, milestone.by, milestone.amount, true});
    return windows;
}

}  // namespace entrepot::contracts
