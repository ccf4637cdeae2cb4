#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "routing/offers.h"
#include "store/books.h"
#include "store/settings.h"

namespace entrepot::control {

/// What the admin API needs of the process it stands in: a running gateway, or a command that holds
/// the books' lock. Called by one thread at a time, never a core's.
class Backend {
public:
    virtual ~Backend() = default;
    /// What is in force: of the file, with the store's orgs, teams, projects, models and contracts.
    [[nodiscard]] virtual const config::Settings& settings() = 0;
    /// The file's alone.
    [[nodiscard]] virtual const config::Settings& file_settings() = 0;
    [[nodiscard]] virtual const routing::OfferTable& offers() = 0;
    /// The offers as they would be priced with these own rates, and no others, beside the file, and
    /// with what the catalogue knew at `known`. Errors: kBadConfiguration.
    [[nodiscard]] virtual Result<routing::OfferTable> offers_with(
        std::span<const contracts::OwnRate> rates, Instant known = catalog::kForever) = 0;
    /// Runs `work` with the books on the thread that owns them and waits for it.
    virtual void with_books(const std::function<void(store::Books&)>& work) = 0;
    [[nodiscard]] virtual store::SettingsStore& store() = 0;
    /// Puts what the store has to work, beside what the file has. Errors:
    /// kBadConfiguration.
    [[nodiscard]] virtual Status apply_stored() = 0;
    /// Prometheus text.
    [[nodiscard]] virtual std::string metrics() = 0;
    [[nodiscard]] virtual bool draining() = 0;
    [[nodiscard]] virtual Instant now() = 0;
};

}  // namespace entrepot::control
