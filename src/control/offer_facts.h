#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/backend.h"
#include "reports/focus.h"

namespace entrepot::control {

/// What offers were, by time: an offer may move to another region or cloud, and leave the settings,
/// while the books keep its name. Each change is noted in the store when settings are taken over.
class OfferFactsAt {
public:
    /// What was noted, and what the settings have now. Errors: kIo.
    [[nodiscard]] static Result<OfferFactsAt> load(Backend& backend);

    /// Of an offer in an hour: what was noted last before its end, else first after it. An offer
    /// that nobody knows (a passed-through call has none) is told by its cloud.
    [[nodiscard]] const reports::OfferFacts& of(
        std::string_view offer, std::string_view cloud, Instant hour) const;

private:
    using ByTime = std::map<std::int64_t, reports::OfferFacts>;
    std::map<std::string, ByTime, std::less<>> offers_;
    std::map<std::string, reports::OfferFacts, std::less<>> clouds_;
};

/// Notes what the offers are from now on, where it differs from what was noted last. Errors: kIo.
[[nodiscard]] Status note_offers(
    store::SettingsStore& store, const routing::OfferTable& offers, Instant now);

}  // namespace entrepot::control
