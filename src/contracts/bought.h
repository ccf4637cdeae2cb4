#pragma once

#include <string>

#include "canon/usage.h"
#include "contracts/contract.h"

namespace entrepot::contracts {

/// What was bought of one offer on one UTC day, as the books have it.
struct Bought {
    std::string cloud, model, offer, region;
    Instant day;  ///< its midnight
    Money cost;   ///< contracted
    Money list;
    canon::Usage usage;

    [[nodiscard]] Place place() const { return {cloud, model, offer, region}; }
};

/// Whether the day counts to [begin, end): the day on which a term begins does.
[[nodiscard]] bool is_within(Instant day, Instant begin, Instant end);

}  // namespace entrepot::contracts
