#pragma once

#include <string>

#include "routing/plan.h"

namespace entrepot::routing {

/// The plan as a table for a terminal: one line per offer with its place, price, hold, rates and
/// reason; below it a line for each offer whose price is not known or another region's.
[[nodiscard]] std::string explain_text(const Plan& plan, const OfferTable& table, Now now);

/// The same as one JSON object:
/// {"attempts":[{"offer","cloud","model_id","region","reason","why","expected","hold",
/// "rate_version",...}],"excluded":[{"offer","cloud","region","reason","why"}]}. Amounts are
/// decimal strings.
[[nodiscard]] std::string explain_json(const Plan& plan, const OfferTable& table, Now now);

}  // namespace entrepot::routing
