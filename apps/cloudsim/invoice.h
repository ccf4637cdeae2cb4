#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "canon/usage.h"

namespace entrepot::cloudsim {

/// What each simulated seller counted of what it answered, and the bill it makes of that: by its
/// own price list, in its own format, with its own arithmetic. It shares nothing with the gateway's
/// catalogue, pricing or books, so that agreement between the two means something.
class Invoices {
public:
    /// What was answered is billed, whether or not the answer arrived.
    void add(std::string_view cloud, std::string_view model, const canon::Usage& usage, Instant at);
    /// Sellers that have something to bill: `aws`, `azure`, `gcp`, `oci` (FOCUS), `openai`,
    /// `anthropic` (answers of their cost and usage APIs).
    [[nodiscard]] std::vector<std::string> sellers() const;
    /// `aws.csv`, `openai.json`.
    [[nodiscard]] static std::string file_of(std::string_view seller);
    /// Errors: kNotFound for a seller that bills nothing here, kUnsupported for usage that no price
    /// stands for in the list; it names cloud, model and meter.
    [[nodiscard]] Result<std::string> bill(std::string_view seller) const;
    void clear() { counted_.clear(); }

private:
    struct Place {
        std::int64_t hour = 0;  ///< since 1970
        std::string cloud, model;
        std::size_t meter = 0;
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    struct Line;
    [[nodiscard]] Result<std::vector<Line>> lines_of(std::string_view seller) const;

    std::map<Place, std::int64_t> counted_;
};

}  // namespace entrepot::cloudsim
